/**
 * Commands in redis' semantics, for connections in that dialect: in the place of 0-db's of the same name, or beside them.
 *
 * What redis can and this store cannot is refused by name and with the reason, and never half done.
 */
import type { Namespace } from '../namespace.ts'
import { readable, writable } from './access.ts'
import type { Command, Replied } from './command.ts'
import type { CommandParser } from './command-parser.ts'
import { getRange, nowSeconds, setAsZeroDb, unlink } from './commands-data.ts'
import { select } from './commands-namespace.ts'
import { replWait } from './commands-replication.ts'
import { DEFAULT_NAMESPACE } from './limits.ts'
import type { Session } from './session.ts'

const NO_EXPIRY = 'values of this store do not expire'
const NO_TRANSACTIONS = 'this store has no transactions'
const NO_CHANNELS = 'this store passes on no messages'
const NO_EMPTYING = 'use NSDEL and NSNEW, or FLUSH in a private namespace'

/** Commands of redis that are refused, and why. */
const REFUSED: Readonly<Record<string, string>> = {
  ...each('EXPIRE PEXPIRE EXPIREAT PEXPIREAT SETEX PSETEX GETEX PERSIST', NO_EXPIRY),
  ...each('WATCH UNWATCH', NO_TRANSACTIONS),
  ...each('SUBSCRIBE PSUBSCRIBE SSUBSCRIBE PUBLISH SPUBLISH MONITOR', NO_CHANNELS),
  ...each('FLUSHDB FLUSHALL SWAPDB', NO_EMPTYING),
  ...each('KEYS', 'use SCAN'),
  ...each('RENAME RENAMENX MOVE COPY', 'records of this store stay where they were written'),
  ...each('EVAL EVALSHA FCALL SCRIPT FUNCTION', 'this store runs no scripts'),
  ...each('ACL', 'who may do what is said by NSSET and by the password of the administrator'),
}

/** Of redis, and spoken in both dialects: volumes put their commits with it, so that none takes the place of another. */
export const SETNX: Command = {
  ...{ name: 'SETNX', arity: 3, flags: ['write', 'fast'], keys: [1, 1, 1], run: setNx },
}

/** The commands of this file. */
export const REDIS_COMMANDS: readonly Command[] = [
  { name: 'SET', arity: -3, flags: ['write', 'fast'], keys: [1, 1, 1], run: set },
  { name: 'DEL', arity: -2, flags: ['write'], keys: [1, -1, 1], run: unlink },
  {
    name: 'GETRANGE',
    arity: 4,
    flags: ['readonly'],
    keys: [1, 1, 1],
    run: (session, args) => getRange(session, args, 'empty'),
  },
  { name: 'TTL', arity: 2, flags: ['readonly', 'fast'], keys: [1, 1, 1], run: ttl },
  { name: 'PTTL', arity: 2, flags: ['readonly', 'fast'], keys: [1, 1, 1], run: ttl },
  { name: 'TYPE', arity: 2, flags: ['readonly', 'fast'], keys: [1, 1, 1], run: type },
  { name: 'SELECT', arity: -2, flags: ['fast'], run: selectAsRedis },
  { name: 'WAIT', arity: 3, flags: ['readonly'], run: replWait },
  { name: 'CONFIG', arity: -2, flags: ['admin'], run: config },
  { name: 'MULTI', arity: 1, flags: ['fast'], run: multi },
  { name: 'EXEC', arity: 1, flags: ['fast'], run: endOfMulti },
  { name: 'DISCARD', arity: 1, flags: ['fast'], run: endOfMulti },
  ...Object.entries(REFUSED).map(([name, reason]) => refusal(name, reason)),
]

function each(names: string, reason: string): Record<string, string> {
  return Object.fromEntries(names.split(' ').map((name) => [name, reason]))
}

function refusal(name: string, reason: string): Command {
  const words = `ERR ${name} is not supported: ${reason}`
  return { name, arity: -1, flags: ['fast'], run: ({ writer }) => writer.error(words) }
}

interface SetOptions {
  readonly when: 'always' | 'absent' | 'present'
  readonly wantsOld: boolean
}

/** SET key value [NX|XX] [GET] [KEEPTTL]: OK, or nil where the condition fails; with GET the value before. */
function set(session: Session, args: CommandParser): Replied {
  const { writer } = session
  const options = readSetOptions(args)
  if (typeof options === 'string') return writer.error(options)
  const namespace = writable(session)
  if (!namespace) return
  // A key that the store makes is only told by the reply.
  if (namespace.properties.mode === 'seq') return setAsZeroDb(session, args)
  const { bytes, starts, ends } = args
  const [keyStart, keyEnd] = [starts[1] as number, ends[1] as number]
  const entry = namespace.find(bytes, keyStart, keyEnd)
  const isMet = options.when === 'always' || (options.when === 'absent') === entry < 0
  const old = options.wantsOld && entry >= 0 ? readValue(namespace, entry) : undefined
  if (entry >= 0 && namespace.log.isUnacknowledged(entry)) session.holdFor(namespace.log)
  if (isMet) store(session, namespace, args)
  if (options.wantsOld) return old ? writer.bulk(old) : writer.nil()
  if (isMet) writer.status('OK')
  else writer.nil()
}

function readSetOptions(args: CommandParser): SetOptions | string {
  let when: SetOptions['when'] = 'always'
  let wantsOld = false
  for (let at = 3; at < args.count; at++) {
    const word = args.word(at)
    if (word === 'NX' || word === 'XX') {
      if (when !== 'always') return 'ERR syntax error'
      when = word === 'NX' ? 'absent' : 'present'
    } else if (word === 'GET') wantsOld = true
    else if (/^(EX|PX|EXAT|PXAT)$/.test(word)) return `ERR ${word} is not supported: ${NO_EXPIRY}`
    // What never expires keeps its time by itself.
    else if (word !== 'KEEPTTL') return 'ERR syntax error'
  }
  return { when, wantsOld }
}

function readValue(namespace: Namespace, entry: number): Buffer {
  const { index, records } = namespace.log
  const slack = records.readSlackBytes(entry)
  const into = Buffer.allocUnsafe(slack + index.valueBytesOf(entry))
  records.read(entry, into, slack)
  return into.subarray(slack)
}

function store(session: Session, namespace: Namespace, args: CommandParser): void {
  const { bytes, starts, ends } = args
  const [keyStart, keyEnd] = [starts[1] as number, ends[1] as number]
  const [valueStart, valueEnd] = [starts[2] as number, ends[2] as number]
  namespace.set(bytes, keyStart, keyEnd, bytes, valueStart, valueEnd, nowSeconds(session))
  session.holdFor(namespace.log)
}

/** SETNX key value: 1 if the key was new. */
function setNx(session: Session, args: CommandParser): Replied {
  const namespace = writable(session)
  if (!namespace) return
  const entry = namespace.find(args.bytes, args.starts[1] as number, args.ends[1] as number)
  if (namespace.properties.mode === 'seq') return session.writer.error('SETNX needs user keys')
  if (entry < 0) store(session, namespace, args)
  session.writer.integer(entry < 0 ? 1 : 0)
}

/** TTL key, PTTL key: -1 for what is there, since nothing expires; -2 for what is not. */
function ttl(session: Session, args: CommandParser): Replied {
  const entry = entryOf(session, args)
  if (entry !== undefined) session.writer.integer(entry < 0 ? -2 : -1)
}

function type(session: Session, args: CommandParser): Replied {
  const entry = entryOf(session, args)
  if (entry !== undefined) session.writer.status(entry < 0 ? 'none' : 'string')
}

function entryOf(session: Session, args: CommandParser): number | undefined {
  const namespace = readable(session)
  if (!namespace) return undefined
  const entry = namespace.find(args.bytes, args.starts[1] as number, args.ends[1] as number)
  if (entry >= 0 && namespace.log.isUnacknowledged(entry)) session.holdFor(namespace.log)
  return entry
}

/** SELECT number: redis' databases are namespaces by that name; 0 is the default one unless there is one of that name. */
function selectAsRedis(session: Session, args: CommandParser): Promise<void> | Replied {
  const { namespaces } = session.server.store
  const name = args.text(1)
  if (namespaces.has(name) || !/^-?\d+$/.test(name)) return select(session, args)
  const found = name === '0' ? namespaces.get(DEFAULT_NAMESPACE) : undefined
  if (!found || session.principal.kind === 'peer') {
    return session.writer.error('ERR DB index is out of range')
  }
  session.select(found, false)
  session.writer.status('OK')
}

/** CONFIG GET: an empty map, since nothing is configured while the store runs. */
function config(session: Session, args: CommandParser): Replied {
  if (args.word(1) === 'GET') return session.writer.map(0)
  session.writer.error(`ERR CONFIG ${args.word(1).slice(0, 32)} is not supported`)
}

/** MULTI: refused, and what came along with it is not run either, because it was meant to happen as a whole. */
function multi(session: Session): Replied {
  session.refusesUntilExec = true
  session.writer.error(`ERR MULTI is not supported: ${NO_TRANSACTIONS}`)
}

function endOfMulti(session: Session): Replied {
  const wasRefused = session.refusesUntilExec
  session.refusesUntilExec = false
  if (wasRefused) session.writer.error(`EXECABORT Nothing was run: ${NO_TRANSACTIONS}`)
  else session.writer.error('ERR EXEC and DISCARD are not supported without MULTI')
}
