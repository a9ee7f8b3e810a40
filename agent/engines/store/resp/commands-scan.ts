/** Commands that walk over keys: SCAN and RSCAN in 0-db's form, SCAN in redis' form, KSCAN, KEYCUR, HISTORY. */
import { KEY_BYTES_MAX } from '../constants.ts'
import { previousVersion, type WalkedRecord, walkBackward, walkForward } from '../log-walk.ts'
import type { Namespace } from '../namespace.ts'

import { KIND_DELETE, word32 } from '../record.ts'
import { readable } from './access.ts'
import { type Command, hasArguments, type Replied } from './command.ts'
import type { CommandParser } from './command-parser.ts'
import { globPattern } from './glob-pattern.ts'
import { decodeCursor, encodeCursor } from './scan-cursor.ts'
import type { Session } from './session.ts'

/** Keys looked at for one reply of redis' SCAN at most. */
const SCAN_COUNT_MAX = 10_000
const SCAN_COUNT_DEFAULT = 10
/** Records in one reply of 0-db's SCAN at most, and how long they may be gathered, as in 0-db. */
const WALK_RECORDS_MAX = 2000
const WALK_MS_MAX = 2
/** Keys in one reply of KSCAN at most. */
const KSCAN_KEYS_MAX = 10_000
/** Of a HISTORY key: segment and offset. */
const HISTORY_KEY_BYTES = 8

/** The commands of this file. */
export const SCAN_COMMANDS: readonly Command[] = [
  { name: 'SCAN', arity: -1, flags: ['readonly'], run: scan },
  { name: 'SCANX', arity: -1, flags: ['readonly'], run: scan },
  { name: 'RSCAN', arity: -1, flags: ['readonly'], run: rscan },
  { name: 'KSCAN', arity: 2, flags: ['readonly'], run: kscan },
  { name: 'KEYCUR', arity: 2, flags: ['readonly'], run: keyCursor },
  { name: 'HISTORY', arity: -2, flags: ['readonly'], run: history },
]

/** SCAN [cursor of 17 bytes], or redis' SCAN number [MATCH pattern] [COUNT n]. */
function scan(session: Session, args: CommandParser): Replied {
  if (args.count > 1 && args.integer(1) !== undefined) return scanAsRedis(session, args)
  const namespace = readable(session)
  if (!namespace) return
  if (args.count === 1) {
    return writeWalk(session, walkForward(namespace.log, undefined), undefined)
  }
  const place = decodeCursor(args.view(1))
  if (!place) return session.writer.error('Invalid key format')
  writeWalk(session, walkForward(namespace.log, place), place)
}

/** RSCAN [cursor]: the same from the newest to the oldest. */
function rscan(session: Session, args: CommandParser): Replied {
  const namespace = readable(session)
  if (!namespace) return
  const place = args.count > 1 ? decodeCursor(args.view(1)) : undefined
  if (args.count > 1 && !place) return session.writer.error('Invalid key format')
  writeWalk(session, walkBackward(namespace.log, place), undefined)
}

/** Replies the cursor of the last record and [key, size, time] of each. */
function writeWalk(
  session: Session,
  walk: Generator<WalkedRecord>,
  given: { segment: number; offset: number } | undefined,
): Replied {
  const { writer, server } = session
  const { clock } = server.store.ports
  const endMs = clock.monotonic() + WALK_MS_MAX
  const found: WalkedRecord[] = []
  for (const record of walk) {
    // The cursor names the last record given, which is not given again.
    if (given && record.segment === given.segment && record.offset === given.offset) continue
    found.push(record)
    if (found.length >= WALK_RECORDS_MAX) break
    if (found.length % 64 === 0 && clock.monotonic() > endMs) break
  }
  const last = found.at(-1)
  if (!last) return writer.error('No more data')
  writer.array(2)
  writer.bulk(encodeCursor(last.key.byteLength, last))
  writer.array(found.length)
  for (const { key, header } of found) {
    writer.array(3)
    writer.bulk(key)
    writer.integer(header.valueBytes)
    writer.integer(header.timeSeconds)
  }
}

/** SCAN number [MATCH pattern] [COUNT n]: every key that is there from the first to the last call is given. */
function scanAsRedis(session: Session, args: CommandParser): Replied {
  const { writer } = session
  const cursor = args.integer(1) ?? -1
  if (cursor < 0) return writer.error('ERR invalid cursor')
  let matches: ((key: Uint8Array) => boolean) | undefined
  let count = SCAN_COUNT_DEFAULT
  for (let at = 2; at + 1 < args.count; at += 2) {
    const option = args.word(at)
    const number = args.integer(at + 1)
    if (option === 'MATCH') matches = globPattern(args.copy(at + 1))
    else if (option === 'COUNT' && number !== undefined && number >= 1) count = number
    else if (option !== 'TYPE') return writer.error('ERR syntax error')
  }
  const namespace = readable(session)
  if (!namespace) return
  const { index } = namespace.log
  const keys: Uint8Array[] = []
  let entry = index.nextEntry(cursor)
  for (let seen = 0; entry >= 0 && seen < Math.min(count, SCAN_COUNT_MAX); seen++) {
    const key = index.keyOf(entry)
    if (!index.isDeleted(entry) && (!matches || matches(key))) keys.push(key)
    entry = index.nextEntry(entry + 1)
  }
  writer.array(2)
  writer.text(String(Math.max(0, entry)))
  writer.array(keys.length)
  for (const key of keys) writer.bulk(key)
}

/** KSCAN prefix: ["0", keys]. */
function kscan(session: Session, args: CommandParser): Replied {
  const { writer } = session
  if (!hasArguments(session, args, 2)) return
  const namespace = readable(session)
  if (!namespace) return
  if (namespace.properties.mode === 'seq') {
    return writer.error("Index running mode doesn't support this feature")
  }
  const keys = namespace.log.index.listKeys(args.copy(1), undefined, KSCAN_KEYS_MAX)
  writer.array(2)
  writer.text('0')
  writer.array(keys.length)
  for (const key of keys) writer.bulk(key)
}

/** KEYCUR key: the cursor of a key, for SCAN and RSCAN from there. */
function keyCursor(session: Session, args: CommandParser): Replied {
  const { writer } = session
  if (!hasArguments(session, args, 2)) return
  const namespace = readable(session)
  if (!namespace) return
  const entry = namespace.find(args.bytes, args.starts[1] as number, args.ends[1] as number)
  if (entry < 0) return writer.error('Key not found')
  const { log } = namespace
  writer.bulk(encodeCursor(log.index.keyBytesOf(entry), log.placeOf(entry)))
}

/** HISTORY key [where]: [where the version before is, or nil; time; value], newest first. */
function history(session: Session, args: CommandParser): Replied {
  const { writer } = session
  if (args.count !== 2 && args.count !== 3) return writer.error('Invalid arguments')
  if (args.lengthOf(1) > KEY_BYTES_MAX) return writer.error('Invalid key')
  const namespace = readable(session)
  if (!namespace) return
  const key = args.copy(1)
  if (args.count === 2) {
    const entry = namespace.find(key, 0, key.byteLength)
    if (entry < 0) return writer.error('Key not found')
    if (namespace.log.isUnacknowledged(entry)) session.holdFor(namespace.log)
    const { segment, offset } = namespace.log.placeOf(entry)
    return writeVersion(session, namespace, key, segment, offset)
  }
  if (args.lengthOf(2) !== HISTORY_KEY_BYTES) return writer.error('Invalid arguments')
  const where = args.view(2)
  const [segment, offset] = [word32(where, 0), word32(where, 4)]
  if (segment === 0) return writer.error('No more history')
  writeVersion(session, namespace, key, segment, offset)
}

function writeVersion(
  session: Session,
  namespace: Namespace,
  key: Buffer,
  segment: number,
  offset: number,
): Replied {
  const { writer } = session
  const { log } = namespace
  const record = log.records.recordAt(segment, offset)
  if (!record) return writer.error('Invalid arguments (index query)')
  if (!record.key.equals(key)) return writer.error('Invalid arguments (invalid key)')
  const { timeSeconds, kind } = record.header
  const previous = previousVersion(log, record.header, key)
  writer.array(3)
  if (previous) {
    const where = Buffer.alloc(HISTORY_KEY_BYTES)
    where.writeUInt32LE(previous.segment, 0)
    where.writeUInt32LE(previous.offset, 4)
    writer.bulk(where)
  } else writer.nil()
  writer.text(String(timeSeconds))
  if (kind === KIND_DELETE) writer.nil()
  else writer.bulk(record.value)
}
