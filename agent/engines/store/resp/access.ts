/** Whether a session may read or write its namespace now, and the words of the refusal if not. */
import type { Namespace } from '../namespace.ts'
import type { Session } from './session.ts'

/** In redis' words, so that clients know them. */
export const IS_REPLICA = "READONLY You can't write against a read only replica."

/** The selected namespace if it may be read; else replies and gives undefined. */
export function readable(session: Session): Namespace | undefined {
  const { namespace, writer } = session
  if (!namespace || !session.rights.read) {
    writer.error('Access denied')
    return undefined
  }
  // What a tenant may not use for now its node must still prove.
  if (namespace.properties.isFrozen && session.principal.kind !== 'auditor') {
    writer.error('Namespace is temporarily frozen (read-write disabled)')
    return undefined
  }
  namespace.counters.commands++
  return namespace
}

/** The selected namespace if it may be written; else replies and gives undefined. */
export function writable(session: Session): Namespace | undefined {
  const { namespace, writer } = session
  if (!namespace || !session.rights.read) {
    writer.error('Access denied')
    return undefined
  }
  if (!session.rights.write) {
    writer.error('Namespace is in read-only mode')
    return undefined
  }
  if (namespace.properties.isFrozen) {
    writer.error('Namespace is temporarily frozen (read-write disabled)')
    return undefined
  }
  if (namespace.properties.isReplica) {
    writer.error(IS_REPLICA)
    return undefined
  }
  if (namespace.properties.isLocked) {
    writer.error('Namespace is temporarily locked (read-only)')
    return undefined
  }
  namespace.counters.commands++
  return namespace
}
