/** Commands on keys and values: SET, GET and their relatives. */
import { KEY_BYTES_MAX } from '../constants.ts'
import type { Namespace } from '../namespace.ts'
import { readable, writable } from './access.ts'
import { type Command, hasArguments, hasArgumentsMin, isAdmin, type Replied } from './command.ts'
import type { CommandParser } from './command-parser.ts'
import { wordsOf } from './replies.ts'
import type { Session } from './session.ts'

/** Keys of one LIST reply; the longest reply stays below 300 KiB. */
const LIST_KEYS_MAX = 1000

/** The commands of this file. */
export const DATA_COMMANDS: readonly Command[] = [
  { name: 'SET', arity: -3, flags: ['write', 'fast'], keys: [1, 1, 1], run: setAsZeroDb },
  { name: 'SETX', arity: -3, flags: ['write'], keys: [1, 1, 1], run: setAsZeroDb },
  { name: 'MSET', arity: -3, flags: ['write'], keys: [1, -1, 2], run: mset },
  { name: 'GET', arity: 2, flags: ['readonly', 'fast'], keys: [1, 1, 1], run: get },
  { name: 'MGET', arity: -2, flags: ['readonly'], keys: [1, -1, 1], run: mget },
  {
    name: 'GETRANGE',
    arity: 4,
    flags: ['readonly'],
    keys: [1, 1, 1],
    run: (session, args) => getRange(session, args, 'nil'),
  },
  { name: 'DEL', arity: -2, flags: ['write'], keys: [1, 1, 1], run: del },
  { name: 'UNLINK', arity: -2, flags: ['write'], keys: [1, -1, 1], run: unlink },
  { name: 'EXISTS', arity: -2, flags: ['readonly', 'fast'], keys: [1, -1, 1], run: exists },
  { name: 'LENGTH', arity: 2, flags: ['readonly', 'fast'], keys: [1, 1, 1], run: length },
  { name: 'STRLEN', arity: 2, flags: ['readonly', 'fast'], keys: [1, 1, 1], run: strlen },
  { name: 'CHECK', arity: 2, flags: ['readonly'], keys: [1, 1, 1], run: check },
  { name: 'KEYTIME', arity: 2, flags: ['readonly'], keys: [1, 1, 1], run: keyTime },
  { name: 'LIST', arity: -2, flags: ['readonly'], run: list },
  { name: 'DBSIZE', arity: 1, flags: ['readonly', 'fast'], run: dbSize },
]

/** SET key value [timestamp]: 0-db's form, which replies the key, or nil where the key has this value already. */
export function setAsZeroDb(session: Session, args: CommandParser): Replied {
  const { writer } = session
  if (args.count !== 3 && args.count !== 4) return writer.error('Unexpected arguments')
  if (args.count === 4 && !isAdmin(session)) return
  if (args.lengthOf(1) > KEY_BYTES_MAX) return writer.error('Key too large')
  const namespace = writable(session)
  if (!namespace) return
  const timeSeconds = args.count === 4 ? args.integer(3) : nowSeconds(session)
  if (timeSeconds === undefined || timeSeconds < 0 || timeSeconds >= 2 ** 32) {
    return writer.error('Invalid timestamp')
  }
  const { bytes, starts, ends } = args
  const keyStart = starts[1] as number
  const keyEnd = ends[1] as number
  const valueStart = starts[2] as number
  const valueEnd = ends[2] as number
  if (namespace.properties.mode === 'seq') {
    return setSequential(session, namespace, args, timeSeconds)
  }
  if (keyStart === keyEnd) return writer.error('Invalid argument, key needed')
  const outcome = namespace.set(bytes, keyStart, keyEnd, bytes, valueStart, valueEnd, timeSeconds)
  session.holdFor(namespace.log)
  if (outcome === 'same') writer.nil()
  else writer.bulkPart(bytes, keyStart, keyEnd)
}

function setSequential(
  session: Session,
  namespace: Namespace,
  args: CommandParser,
  timeSeconds: number,
): Replied {
  const { writer } = session
  const { bytes } = args
  const valueStart = args.starts[2] as number
  const valueEnd = args.ends[2] as number
  if (args.lengthOf(1) === 0) {
    const key = namespace.append(bytes, valueStart, valueEnd, timeSeconds)
    session.holdFor(namespace.log)
    return writer.bulk(key)
  }
  const keyStart = args.starts[1] as number
  const keyEnd = args.ends[1] as number
  if (namespace.find(bytes, keyStart, keyEnd) < 0) {
    return writer.error('Invalid key, only update authorized')
  }
  const outcome = namespace.set(bytes, keyStart, keyEnd, bytes, valueStart, valueEnd, timeSeconds)
  // As in 0-db, an update uses up a number too.
  if (outcome === 'stored') namespace.log.nextSeq++
  session.holdFor(namespace.log)
  if (outcome === 'same') writer.nil()
  else writer.bulkPart(bytes, keyStart, keyEnd)
}

/** MSET key value ...: redis' form; not atomic over a crash, but acknowledged as one. */
function mset(session: Session, args: CommandParser): Replied {
  const { writer } = session
  if (args.count % 2 === 0) return writer.error('Unexpected arguments')
  const namespace = writable(session)
  if (!namespace) return
  if (namespace.properties.mode === 'seq') return writer.error('MSET needs user keys')
  for (let at = 1; at < args.count; at += 2) {
    if (args.lengthOf(at) > KEY_BYTES_MAX) return writer.error('Key too large')
    if (args.lengthOf(at) === 0) return writer.error('Invalid argument, key needed')
  }
  const { bytes, starts, ends } = args
  const time = nowSeconds(session)
  for (let at = 1; at < args.count; at += 2) {
    const [keyStart, keyEnd] = [starts[at] as number, ends[at] as number]
    const [valueStart, valueEnd] = [starts[at + 1] as number, ends[at + 1] as number]
    namespace.set(bytes, keyStart, keyEnd, bytes, valueStart, valueEnd, time)
  }
  session.holdFor(namespace.log)
  writer.status('OK')
}

function get(session: Session, args: CommandParser): Replied {
  const { writer } = session
  if (!hasArguments(session, args, 2)) return
  if (args.lengthOf(1) > KEY_BYTES_MAX) return writer.error('Invalid key')
  const namespace = readable(session)
  if (!namespace) return
  writeValue(session, namespace, args.bytes, args.starts[1] as number, args.ends[1] as number)
}

/** MGET key ...: an array of values; one that cannot be read is an error in its place. */
function mget(session: Session, args: CommandParser): Replied {
  const { writer } = session
  if (!hasArgumentsMin(session, args, 2)) return
  for (let at = 1; at < args.count; at++) {
    if (args.lengthOf(at) > KEY_BYTES_MAX) return writer.error('Invalid key')
  }
  const namespace = readable(session)
  if (!namespace) return
  writer.array(args.count - 1)
  for (let at = 1; at < args.count; at++) {
    try {
      const [start, end] = [args.starts[at] as number, args.ends[at] as number]
      writeValue(session, namespace, args.bytes, start, end)
    } catch (caught) {
      writer.error(wordsOf(caught))
    }
  }
}

function writeValue(
  session: Session,
  namespace: Namespace,
  key: Buffer,
  keyStart: number,
  keyEnd: number,
): Replied {
  const { writer } = session
  const { log } = namespace
  const entry = namespace.find(key, keyStart, keyEnd)
  if (entry < 0) return writer.nil()
  // What is not durable yet might vanish with the next crash: nobody is told of it before.
  if (log.isUnacknowledged(entry)) session.holdFor(log)
  try {
    const slack = log.records.readSlackBytes(entry)
    writer.fillBulk(log.index.valueBytesOf(entry), slack, (into, at) =>
      log.records.read(entry, into, at),
    )
  } catch (caught) {
    namespace.counters.failedReads++
    throw caught
  }
}

/**
 * GETRANGE key start end: redis' form, both ends inclusive, negative from the back.
 *
 * @param absent - What is replied where there is no such key.
 */
export function getRange(session: Session, args: CommandParser, absent: 'nil' | 'empty'): Replied {
  const { writer } = session
  if (!hasArguments(session, args, 4)) return
  const [first, last] = [args.integer(2), args.integer(3)]
  if (first === undefined || last === undefined) return writer.error('Invalid argument')
  const namespace = readable(session)
  if (!namespace) return
  const { log } = namespace
  const entry = namespace.find(args.bytes, args.starts[1] as number, args.ends[1] as number)
  if (entry < 0) return absent === 'nil' ? writer.nil() : writer.text('')
  if (log.isUnacknowledged(entry)) session.holdFor(log)
  const size = log.index.valueBytesOf(entry)
  const from = Math.max(0, first < 0 ? size + first : first)
  const to = Math.min(size - 1, last < 0 ? size + last : last)
  if (from > to) return writer.bulk(new Uint8Array(0))
  writer.bulk(log.records.readRange(entry, from, to - from + 1))
}

/** DEL key [timestamp]: 0-db's form, which replies OK; the timestamp is for admins. */
function del(session: Session, args: CommandParser): Replied {
  const { writer } = session
  if (args.count !== 2 && args.count !== 3) return writer.error('Unexpected arguments')
  if (args.lengthOf(1) === 0) return writer.error('Invalid argument')
  if (args.lengthOf(1) > KEY_BYTES_MAX) return writer.error('Invalid key')
  if (args.count === 3 && !isAdmin(session)) return
  const timeSeconds = args.count === 3 ? args.integer(2) : nowSeconds(session)
  if (timeSeconds === undefined) return writer.error('Invalid timestamp')
  const namespace = deletable(session)
  if (!namespace) return
  const isDeleted = namespace.delete(args.copy(1), timeSeconds)
  session.holdFor(namespace.log)
  if (isDeleted) writer.status('OK')
  else writer.error('Key not found')
}

/** UNLINK key ...: redis' form of deletion, replies how many were there. */
export function unlink(session: Session, args: CommandParser): Replied {
  const { writer } = session
  if (!hasArgumentsMin(session, args, 2)) return
  for (let at = 1; at < args.count; at++) {
    if (args.lengthOf(at) > KEY_BYTES_MAX) return writer.error('Invalid key')
  }
  const namespace = deletable(session)
  if (!namespace) return
  let deleted = 0
  for (let at = 1; at < args.count; at++) {
    if (namespace.delete(args.copy(at), nowSeconds(session))) deleted++
  }
  session.holdFor(namespace.log)
  writer.integer(deleted)
}

function deletable(session: Session): Namespace | undefined {
  const namespace = writable(session)
  if (!namespace?.properties.worm) return namespace
  session.writer.error('Cannot delete a key when namespace is in worm mode')
  return undefined
}

function exists(session: Session, args: CommandParser): Replied {
  const { writer } = session
  if (!hasArgumentsMin(session, args, 2)) return
  for (let at = 1; at < args.count; at++) {
    if (args.lengthOf(at) > KEY_BYTES_MAX) return writer.error('Invalid key')
  }
  const namespace = readable(session)
  if (!namespace) return
  let found = 0
  for (let at = 1; at < args.count; at++) {
    const entry = namespace.find(args.bytes, args.starts[at] as number, args.ends[at] as number)
    if (entry < 0) continue
    found++
    if (namespace.log.isUnacknowledged(entry)) session.holdFor(namespace.log)
  }
  writer.integer(found)
}

/** The entry that a one-key command asks for; else replies nil or the refusal and gives undefined. */
function askedFor(
  session: Session,
  args: CommandParser,
): { namespace: Namespace; entry: number } | undefined {
  const { writer } = session
  if (!hasArguments(session, args, 2)) return undefined
  if (args.lengthOf(1) > KEY_BYTES_MAX) {
    writer.error('Invalid key')
    return undefined
  }
  const namespace = readable(session)
  if (!namespace) return undefined
  const entry = namespace.find(args.bytes, args.starts[1] as number, args.ends[1] as number)
  if (entry < 0) {
    writer.nil()
    return undefined
  }
  if (namespace.log.isUnacknowledged(entry)) session.holdFor(namespace.log)
  return { namespace, entry }
}

function length(session: Session, args: CommandParser): Replied {
  const asked = askedFor(session, args)
  if (asked) session.writer.integer(asked.namespace.log.index.valueBytesOf(asked.entry))
}

/** STRLEN key: LENGTH as redis has it, 0 where there is no such key. */
function strlen(session: Session, args: CommandParser): Replied {
  if (!hasArguments(session, args, 2)) return
  const namespace = readable(session)
  if (!namespace) return
  const entry = namespace.find(args.bytes, args.starts[1] as number, args.ends[1] as number)
  session.writer.integer(entry < 0 ? 0 : namespace.log.index.valueBytesOf(entry))
}

/** CHECK key: 1 if the value matches its checksum, 0 if not. */
function check(session: Session, args: CommandParser): Replied {
  const asked = askedFor(session, args)
  if (!asked) return
  const { log } = asked.namespace
  const slack = log.records.readSlackBytes(asked.entry)
  const into = Buffer.allocUnsafe(slack + log.index.valueBytesOf(asked.entry))
  try {
    log.records.read(asked.entry, into, slack)
    session.writer.integer(1)
  } catch {
    session.writer.integer(0)
  }
}

function keyTime(session: Session, args: CommandParser): Replied {
  const asked = askedFor(session, args)
  if (asked) session.writer.integer(asked.namespace.log.records.timeOf(asked.entry))
}

/** LIST prefix [AFTER key] [COUNT n]: keys that start with `prefix`, ascending. The prefix may be empty. */
function list(session: Session, args: CommandParser): Replied {
  const { writer } = session
  if (args.count < 2) return writer.error('Missing arguments')
  let after: Buffer | undefined
  let count = LIST_KEYS_MAX
  for (let at = 2; at < args.count; at += 2) {
    const option = args.word(at)
    if (at + 1 >= args.count) return writer.error('Missing arguments')
    const number = args.integer(at + 1)
    if (option === 'AFTER') after = args.copy(at + 1)
    else if (option === 'COUNT' && number !== undefined && number >= 1) count = number
    else return writer.error('Invalid argument')
  }
  const namespace = readable(session)
  if (!namespace) return
  const { log } = namespace
  if (log.sync === 'always' && log.acknowledged < log.appended) session.holdFor(log)
  const keys = log.index.listKeys(args.copy(1), after, Math.min(count, LIST_KEYS_MAX))
  writer.array(keys.length)
  for (const key of keys) writer.bulk(key)
}

function dbSize(session: Session, args: CommandParser): Replied {
  if (!hasArguments(session, args, 1)) return
  const namespace = readable(session)
  if (namespace) session.writer.integer(namespace.log.index.liveKeys)
}

/** The time that a record of now gets. */
export function nowSeconds(session: Session): number {
  return Math.floor(session.server.store.ports.clock.now() / 1000)
}
