/** Commands on namespaces: NSNEW, NSDEL, NSINFO, NSLIST, NSSET, SELECT, FLUSH, RELOAD, NSJUMP. */
import { isNodeError } from '../../../base/errors.ts'
import { MIB } from '../../../base/units.ts'
import { NAME_BYTES_MAX } from '../constants.ts'
import type { Namespace } from '../namespace.ts'
import {
  hashPassword,
  isPassword,
  type NamespaceProperties,
  type PasswordHash,
} from '../namespace-properties.ts'
import { IS_REPLICA } from './access.ts'
import { challengeAnswer, isChallengeAnswer } from './challenge.ts'
import { type Command, hasArguments, isAdmin, type Replied } from './command.ts'
import type { CommandParser } from './command-parser.ts'
import { DIALECT_RULES } from './dialect.ts'
import { DEFAULT_NAMESPACE } from './limits.ts'
import { isOneLine, oneLine } from './plain-text.ts'
import { namespaceReplicationFacts } from './replication-info.ts'
import type { Session } from './session.ts'

/** As in 0-db. */
const PASSWORD_BYTES_MAX = 255
const PROPERTY_BYTES_MAX = 63

/** The commands of this file. */
export const NAMESPACE_COMMANDS: readonly Command[] = [
  { name: 'NSNEW', arity: 2, flags: ['admin'], run: nsNew },
  { name: 'NSDEL', arity: 2, flags: ['admin'], run: nsDel },
  { name: 'NSLIST', arity: 1, flags: ['readonly'], run: nsList },
  { name: 'NSINFO', arity: 2, flags: ['readonly'], run: nsInfo },
  { name: 'NSSET', arity: 4, flags: ['admin'], run: nsSet },
  { name: 'NSJUMP', arity: 1, flags: ['admin'], run: nsJump },
  { name: 'SELECT', arity: -2, flags: ['fast'], run: select },
  { name: 'FLUSH', arity: 1, flags: ['write'], run: flush },
  { name: 'COMPACT', arity: -1, flags: ['admin'], run: compact },
  { name: 'RELOAD', arity: 2, flags: ['admin'], run: reload },
]

function nsNew(session: Session, args: CommandParser): Promise<void> | Replied {
  if (!isAdmin(session) || !hasArguments(session, args, 2) || !isShortName(session, args)) return
  const name = args.text(1)
  const { store } = session.server
  if (name === '.' || name === '..' || name.includes('/') || !isOneLine(name)) {
    session.writer.error('This name is not allowed')
    return
  }
  if (store.namespaces.has(name)) {
    session.writer.error('This namespace is not available')
    return
  }
  // Whose records these are nobody knows any more: the administrator says it, and thaws them.
  const overrides = store.whySetAside(name) === undefined ? {} : { isFrozen: true, isPublic: false }
  return store.create(name, overrides).then(() => session.writer.status('OK'))
}

function nsDel(session: Session, args: CommandParser): Promise<void> | Replied {
  const { writer } = session
  if (!isAdmin(session) || !hasArguments(session, args, 2) || !isShortName(session, args)) return
  const name = args.text(1)
  const { store } = session.server
  if (name === DEFAULT_NAMESPACE) return writer.error('Cannot remove default namespace')
  const found = store.namespaces.get(name)
  if (!found) return writer.error("This namespace doesn't exists")
  if (session.namespace === found) {
    return writer.error("Cannot remove namespace you're currently using.")
  }
  return store.remove(name).then(() => writer.status('OK'))
}

function nsList(session: Session, args: CommandParser): Replied {
  if (!hasArguments(session, args, 1)) return
  const names = [...session.server.store.namespaces.values()]
    .filter((one) => session.principal.kind !== 'peer' || isKnownTo(one, session))
    .map((one) => one.name)
  session.writer.array(names.length)
  for (const name of names) session.writer.bulk(Buffer.from(name, 'latin1'))
}

/** A peer sees the namespaces that name it, and no others. */
function isKnownTo(namespace: Namespace, session: Session): boolean {
  if (session.principal.kind !== 'peer') return true
  const { writers, readers } = namespace.properties
  const { account } = session.principal
  return writers.includes(account) || readers.includes(account)
}

function nsInfo(session: Session, args: CommandParser): Replied {
  if (!hasArguments(session, args, 2) || !isShortName(session, args)) return
  const namespace = session.server.store.namespaces.get(args.text(1))
  if (!namespace || !isKnownTo(namespace, session)) {
    return session.writer.error('Namespace not found')
  }
  const lines = Object.entries(namespaceFacts(session, namespace)).map(
    ([name, value]) => `${name}: ${value}\n`,
  )
  session.writer.bulk(Buffer.from(`# namespace\n${lines.join('')}`, 'latin1'))
}

function namespaceFacts(session: Session, namespace: Namespace): Record<string, string | number> {
  const { properties, log, counters } = namespace
  const { counts, index } = log
  const { freeBytes } = session.server.store.ports.disk.space()
  const { maxBytes } = properties
  const available = maxBytes === 0 ? freeBytes : Math.min(freeBytes, maxBytes - counts.dataBytes)
  return {
    name: oneLine(properties.name),
    entries: index.liveKeys,
    public: yesNo(properties.isPublic),
    worm: yesNo(properties.worm),
    locked: yesNo(properties.isLocked),
    frozen: yesNo(properties.isFrozen),
    password: yesNo(properties.password !== null),
    data_size_bytes: counts.dataBytes,
    data_size_mb: (counts.dataBytes / MIB).toFixed(2),
    data_live_bytes: counts.liveBytes,
    data_value_bytes: log.valueBytes,
    data_limits_bytes: maxBytes,
    index_size_bytes: index.memoryBytes,
    index_size_kb: (index.memoryBytes / 1024).toFixed(2),
    next_internal_id: hexadecimal(log.nextSeq),
    mode: properties.mode === 'seq' ? 'sequential' : 'userkey',
    sync: properties.sync,
    dialect: properties.dialect,
    history_seconds: properties.historySeconds,
    provable: yesNo(properties.isProvable),
    proofs_failure: oneLine(namespace.treeFailure?.message ?? 'none'),
    records: log.appended,
    records_acknowledged: log.acknowledged,
    segments: counts.segments,
    damaged_bytes: counts.damagedBytes,
    cut_bytes: counts.cutBytes,
    missing_records: counts.missingRecords,
    failure: oneLine(log.failure?.message ?? 'none'),
    stats_index_io_errors: 0,
    stats_index_io_error_last: 0,
    stats_index_faults: 0,
    stats_data_io_errors: counters.failedReads + counters.failedWrites,
    stats_data_io_error_last: 0,
    stats_data_faults: counters.failedReads,
    space_available: Math.max(0, available),
    index_disk_freespace_bytes: freeBytes,
    index_disk_freespace_mb: (freeBytes / MIB).toFixed(2),
    data_disk_freespace_bytes: freeBytes,
    data_disk_freespace_mb: (freeBytes / MIB).toFixed(2),
    data_path: session.isAdmin ? namespace.directory : 'hidden',
    ...namespaceReplicationFacts(session.server, namespace),
  }
}

const yesNo = (value: boolean): string => (value ? 'yes' : 'no')

function hexadecimal(value: number): string {
  return `0x${value.toString(16).padStart(16, '0')}`
}

/** NSSET namespace property value. */
function nsSet(session: Session, args: CommandParser): Promise<void> | Replied {
  const { writer } = session
  if (!isAdmin(session) || !hasArguments(session, args, 4) || !isShortName(session, args)) return
  if (args.lengthOf(3) > PROPERTY_BYTES_MAX) return writer.error('Argument too long')
  const namespace = session.server.store.namespaces.get(args.text(1))
  if (!namespace) return writer.error('Namespace not found')
  if (namespace.properties.isReplica) return writer.error(IS_REPLICA)
  const property = args.text(2).toLowerCase()
  if (namespace.name === DEFAULT_NAMESPACE && !DEFAULT_MAY_CHANGE.includes(property)) {
    return writer.error('Cannot update default namespace')
  }
  const parse = PROPERTIES[property]
  if (!parse) return writer.error('Invalid property')
  if (property === 'mode' && session.server.init.isMixed === false) {
    return writer.error('This server instance is configured to use a single runtime mode')
  }
  const value = args.copy(3)
  if (property === 'password') return setPassword(session, namespace, value)
  const changes = parse(value.toString('latin1'))
  if (typeof changes === 'string') return writer.error(changes)
  return namespace.change(changes).then(
    () => writer.status('OK'),
    (caught: unknown) => {
      if (!isNodeError(caught, 'LOG_PROPERTY_INVALID')) throw caught
      writer.error('Cannot change mode of used namespace')
    },
  )
}

async function setPassword(session: Session, namespace: Namespace, value: Buffer): Promise<void> {
  const isRemoved = value.toString('latin1') === '*'
  const { passwords } = session.server
  const password = isRemoved ? null : await passwords.inTurn(session, () => hashPassword(value))
  namespace.secretKnown = isRemoved ? undefined : value
  await namespace.change({ password })
  session.writer.status('OK')
}

const DEFAULT_MAY_CHANGE = ['mode', 'lock', 'freeze', 'sync', 'history', 'provable', 'dialect']

type Change = Partial<NamespaceProperties>

/** How each property is read: what changes, or words that refuse. */
const PROPERTIES: Readonly<Record<string, (value: string) => Change | string>> = {
  maxsize: (value) => (/^\d{1,15}$/.test(value) ? { maxBytes: Number(value) } : INVALID_VALUE),
  // Hashed elsewhere.
  password: () => ({}),
  public: (value) => ({ isPublic: value.startsWith('1') }),
  worm: (value) => ({ worm: value.startsWith('1') }),
  lock: (value) => ({ isLocked: value.startsWith('1') }),
  freeze: (value) => ({ isFrozen: value.startsWith('1') }),
  mode: (value) =>
    value === 'user' || value === 'seq'
      ? { mode: value }
      : 'Invalid property value (expected: user, seq)',
  sync: (value) =>
    value === 'always' || value === 'group' || value === 'never'
      ? { sync: value }
      : 'Invalid property value (expected: always, group, never)',
  dialect: (value) => {
    const rule = DIALECT_RULES.find((one) => one === value)
    return rule === undefined
      ? `Invalid property value (expected: ${DIALECT_RULES.join(', ')})`
      : { dialect: rule }
  },
  provable: (value) => ({ isProvable: value.startsWith('1') }),
  history: (value) =>
    /^(-1|\d{1,10})$/.test(value) ? { historySeconds: Number(value) } : INVALID_VALUE,
}

const INVALID_VALUE = 'Invalid property value'

function nsJump(session: Session): Replied {
  if (!isAdmin(session)) return
  const { namespace, writer } = session
  if (!namespace) return writer.error('Namespace not found')
  namespace.log.rotate()
  writer.status('OK')
}

/** SELECT namespace [password | SECURE answer]. */
export function select(session: Session, args: CommandParser): Promise<void> | Replied {
  const { writer } = session
  if (args.count < 2) return writer.error('Invalid argument')
  if (!isShortName(session, args)) return
  const found = session.server.store.namespaces.get(args.text(1))
  if (!found || !isKnownTo(found, session)) return writer.error('Namespace not found')
  if (session.principal.kind === 'peer') {
    session.select(found, false)
    return writer.status('OK')
  }
  const { password, isPublic } = found.properties
  if (!password) {
    session.select(found, false)
    return session.rights.read ? writer.status('OK') : writer.error('Access denied')
  }
  if (args.count === 2) {
    if (!isPublic) return writer.error('Namespace protected and private')
    session.select(found, false)
    return writer.status('OK')
  }
  if (args.count > 4) return writer.error('Too many arguments')
  if (args.count === 3) {
    if (args.lengthOf(2) > PASSWORD_BYTES_MAX) return writer.error('Password too long')
    return selectWithPassword(session, found, password, args.copy(2))
  }
  return selectByChallenge(session, found, args)
}

function selectWithPassword(
  session: Session,
  namespace: Namespace,
  kept: PasswordHash,
  given: Buffer,
): Promise<void> | undefined {
  return session.server.passwords.ask(session, 'Access denied', {
    isCostly: true,
    async check() {
      const isRight = await isPassword(given, kept)
      // Meanwhile the namespace may be gone or have another password.
      return isRight && !namespace.isGone && namespace.properties.password?.hash === kept.hash
    },
    right: () => selected(session, namespace),
  })
}

function selectByChallenge(
  session: Session,
  namespace: Namespace,
  args: CommandParser,
): Promise<void> | Replied {
  const { writer, nonce } = session
  if (args.word(2) !== 'SECURE') return writer.error('Only SECURE extra method supported')
  if (nonce === undefined) {
    return writer.error('No CHALLENGE requested, secure authentication not available')
  }
  const answer = args.text(3)
  if (answer.length !== 40) return writer.error('Invalid hash length')
  // Only a hash is kept, so after a restart the challenge cannot be checked until the password is set again.
  if (!namespace.secretKnown) {
    return writer.error('SECURE is not available after a restart, use the password')
  }
  const expected = challengeAnswer(nonce, namespace.secretKnown)
  // As for AUTH: an answer that was overheard is worth nothing.
  session.nonce = undefined
  return session.server.passwords.ask(session, 'Access denied', {
    check: () => isChallengeAnswer(answer, expected),
    right: () => selected(session, namespace),
  })
}

function selected(session: Session, namespace: Namespace): void {
  session.select(namespace, true)
  session.writer.status('OK')
}

/** FLUSH: empties the selected namespace, if it is private and has a password. */
function flush(session: Session, args: CommandParser): Promise<void> | Replied {
  const { writer, namespace } = session
  if (!hasArguments(session, args, 1)) return
  if (!namespace || !session.rights.write) {
    return writer.error('Namespace is in read-only mode')
  }
  const { isPublic, password, isLocked, isFrozen, worm, name } = namespace.properties
  if (isFrozen) return writer.error('Namespace is temporarily frozen (read-write disabled)')
  if (namespace.properties.isReplica) return writer.error(IS_REPLICA)
  if (isLocked) return writer.error('Namespace is temporarily locked (read-only)')
  if (isPublic || !password) return writer.error('Flushing public namespace denied')
  if (worm) return writer.error('Namespace is protected by worm mode')
  return session.server.store.empty(name).then(() => writer.status('OK'))
}

function reload(session: Session, args: CommandParser): Promise<void> | Replied {
  const { writer } = session
  if (!isAdmin(session) || !hasArguments(session, args, 2) || !isShortName(session, args)) return
  const namespace = session.server.store.namespaces.get(args.text(1))
  if (!namespace) return writer.error('Namespace not found')
  return namespace.reload().then(() => writer.status('OK'))
}

/** COMPACT [namespace]: gives back all room that can be, and replies how many bytes that was. */
function compact(session: Session, args: CommandParser): Promise<void> | Replied {
  const { writer } = session
  if (!isAdmin(session)) return
  const { namespaces } = session.server.store
  const found = args.count > 1 ? namespaces.get(args.text(1)) : session.namespace
  if (!found) return writer.error('Namespace not found')
  if (found.properties.worm) return writer.error('Namespace is protected by worm mode')
  if (!found.isCompactable) return writer.error('Namespace keeps its history for ever')
  return found.compact(0).then((freedBytes) => writer.integer(freedBytes))
}

function isShortName(session: Session, args: CommandParser): boolean {
  if (args.lengthOf(1) <= NAME_BYTES_MAX) return true
  session.writer.error('Namespace too long')
  return false
}
