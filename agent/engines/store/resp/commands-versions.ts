/** Commands that find values by serial, also those whose key has another value by now: VERSIONS, VERSION. */
import { KEY_BYTES_MAX } from '../constants.ts'
import { readVersion, type WrittenVersion, walkVersions } from '../version-walk.ts'
import { readable } from './access.ts'
import { type Command, hasArguments, type Replied } from './command.ts'
import type { CommandParser } from './command-parser.ts'
import type { Session } from './session.ts'

/** Values in one reply at most, and how long they may be gathered, as for SCAN. */
const VERSIONS_MAX = 2000
const VERSIONS_MS_MAX = 2
/** Values after which it is looked at the time. */
const VERSIONS_PER_LOOK = 64

/** The commands of this file. */
export const VERSION_COMMANDS: readonly Command[] = [
  { name: 'VERSIONS', arity: -3, flags: ['readonly'], run: versions },
  { name: 'VERSION', arity: 3, flags: ['readonly'], run: version },
]

/**
 * VERSIONS since from [COUNT n]: [records that are durable, seconds since when what died is kept (0: it is not), serial to go
 * on from, [[serial, key, bytes] ...]]: what was live at serial `since` and all that was written from there on, from serial
 * `from` on. The end is reached when the third number is the first.
 */
function versions(session: Session, args: CommandParser): Replied {
  const { writer } = session
  const [since, from] = [args.integer(1), args.integer(2)]
  const count = args.count === 5 && args.word(3) === 'COUNT' ? args.integer(4) : undefined
  const isCountWrong = args.count !== 3 && (count === undefined || count < 1)
  if (since === undefined || from === undefined || since < 0 || from < 0 || isCountWrong) {
    return writer.error('Invalid argument')
  }
  const namespace = readable(session)
  if (!namespace) return
  const { log, properties } = namespace
  const { clock } = session.server.store.ports
  const endMs = clock.monotonic() + VERSIONS_MS_MAX
  const limit = Math.min(count ?? VERSIONS_MAX, VERSIONS_MAX)
  const { durable } = log
  const found: WrittenVersion[] = []
  let next = durable
  for (const one of walkVersions(log, since, from)) {
    // One that became durable since would be beyond the end that is told.
    if (one.serial >= durable) break
    found.push(one)
    const isLate = found.length % VERSIONS_PER_LOOK === 0 && clock.monotonic() > endMs
    if (found.length < limit && !isLate) continue
    next = one.serial + 1
    break
  }
  writer.array(4)
  writer.integer(durable)
  writer.integer(properties.keptSince)
  writer.integer(next)
  writer.array(found.length)
  for (const { serial, key, valueBytes } of found) {
    writer.array(3)
    writer.integer(serial)
    writer.bulk(key)
    writer.integer(valueBytes)
  }
}

/** VERSION key serial: the value that was written under that serial; nil if there is none (any more). */
function version(session: Session, args: CommandParser): Replied {
  const { writer } = session
  if (!hasArguments(session, args, 3)) return
  const serial = args.integer(2)
  if (args.lengthOf(1) > KEY_BYTES_MAX) return writer.error('Invalid key')
  if (serial === undefined || serial < 0) return writer.error('Invalid argument')
  const namespace = readable(session)
  if (!namespace) return
  const { log } = namespace
  // Nobody is told of what the next crash may take back.
  const record = serial < log.durable ? readVersion(log, args.copy(1), serial) : undefined
  if (record) writer.bulk(record.value)
  else writer.nil()
}
