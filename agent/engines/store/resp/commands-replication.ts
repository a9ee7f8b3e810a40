/**
 * Commands of replication: MIRROR, REPLWAIT, REPLICAOF.
 *
 * `WAIT` is what 0-db has under that name, so redis' command of replicas is `REPLWAIT` here.
 */
import { fromHex } from '../../../base/bytes.ts'
import { describeError, isNodeError } from '../../../base/errors.ts'
import type { Namespace } from '../namespace.ts'
import { CLAIM_LOGS_MAX, type Claim, checkClaim, settledSize } from '../replication/claim.ts'
import { FOLLOWERS_MAX } from '../replication/followers.ts'
import { type Command, hasArguments, hasArgumentsMin, isAdmin, type Replied } from './command.ts'
import type { CommandParser } from './command-parser.ts'
import { isPlainWord } from './plain-text.ts'
import type { Session } from './session.ts'

/** A name for people, in logs and INFO. */
const REPLICA_NAME_BYTES_MAX = 64
/** As for WAIT: nobody waits longer than half an hour. */
const WAIT_MS_MAX = 30 * 60 * 1000
/** Place of the first name of a log in MIRROR FOLLOW. */
const LOG_IDS_AT = 8

/** The commands of this file. */
export const REPLICATION_COMMANDS: readonly Command[] = [
  { name: 'MIRROR', arity: -1, flags: ['admin'], run: mirror },
  { name: 'REPLWAIT', arity: 3, flags: ['readonly'], run: replWait },
  { name: 'REPLICAOF', arity: 3, flags: ['admin'], run: replicaOf },
]

/**
 * MIRROR: 0-db's form, from now on every write of others is sent here, as it was received.
 * MIRROR FOLLOW namespace name size root|- serial|- record|- log...: the form of replicas, which acknowledge what they have.
 * MIRROR ACK position: has no reply.
 */
function mirror(session: Session, args: CommandParser): Promise<void> | Replied {
  const { writer } = session
  if (!isAdmin(session)) return
  if (args.count === 1) {
    session.server.mirrors.add(session)
    return writer.status('Starting mirroring')
  }
  const what = args.word(1)
  if (what === 'FOLLOW') return follow(session, args)
  if (what === 'ACK') return acknowledge(session, args)
  return writer.error('Unknown MIRROR subcommand')
}

function follow(session: Session, args: CommandParser): Promise<void> | Replied {
  const { writer, server } = session
  if (!hasArgumentsMin(session, args, LOG_IDS_AT)) return
  const name = args.text(3)
  const claim = readClaim(args)
  const isNameGood = name.length <= REPLICA_NAME_BYTES_MAX && isPlainWord(name)
  if (!claim || !isNameGood) return writer.error('Invalid argument')
  const namespace = server.store.namespaces.get(args.text(2))
  if (!namespace) return writer.error('Namespace not found')
  if (session.stream) return writer.error('This session follows already')
  if (server.followers.all.size >= FOLLOWERS_MAX) return writer.error('BUSY too many replicas')
  return accept(session, namespace, name, claim)
}

function readClaim(args: CommandParser): Claim | undefined {
  const size = args.integer(4)
  if (size === undefined || size < 0 || args.count - LOG_IDS_AT > CLAIM_LOGS_MAX) return undefined
  const logIds = Array.from({ length: args.count - LOG_IDS_AT }, (_, at) =>
    args.text(LOG_IDS_AT + at),
  )
  const root = readNode(args.text(5))
  const serial = args.text(6) === '-' ? undefined : args.integer(6)
  const record = readNode(args.text(7))
  const last = serial !== undefined && record ? { serial, root: record } : undefined
  return { size, logIds, root, last }
}

function readNode(text: string): Uint8Array | undefined {
  return /^[0-9a-f]{64}$/.test(text) ? fromHex(text) : undefined
}

/** Replies ["FOLLOW", properties, size of the tree, root over it or nil, [nodes from the claim to it]], then streams. */
async function accept(
  session: Session,
  namespace: Namespace,
  name: string,
  claim: Claim,
): Promise<void> {
  const { writer, server } = session
  try {
    await namespace.beginReplication(server.store.newLogId())
    await settledSize(namespace)
    checkClaim(namespace, claim)
  } catch (caught) {
    if (!isNodeError(caught, 'LOG_REPLICA_DIVERGED')) throw caught
    server.store.ports.log.warn({ replica: name, cause: describeError(caught) }, 'replica refused')
    return writer.error(`DIVERGED ${caught.message}`)
  }
  const { tree, properties } = namespace
  const isProved = tree !== undefined && claim.root !== undefined && claim.size <= tree.size
  writer.array(5)
  writer.text('FOLLOW')
  writer.text(JSON.stringify(properties))
  writer.integer(isProved ? tree.size : 0)
  if (isProved) writer.bulk(tree.root(tree.size))
  else writer.nil()
  const path = isProved ? tree.consistency(claim.size, tree.size) : []
  writer.array(path.length)
  for (const node of path) writer.bulk(node)
  if (!session.isClosed) server.followers.join(session, namespace, name, claim.size).start()
}

function acknowledge(session: Session, args: CommandParser): Replied {
  const position = args.count === 3 ? args.integer(2) : undefined
  const follower = [...session.server.followers.all].find((one) => one === session.stream)
  if (!follower || position === undefined || position < 0) {
    return session.writer.error('Invalid argument')
  }
  follower.acknowledge(position)
}

/** REPLWAIT replicas ms: how many replicas have all that the namespace holds now, once it is so many or the time is over. */
export function replWait(session: Session, args: CommandParser): Promise<void> | Replied {
  const { writer, namespace, server } = session
  if (!hasArguments(session, args, 3)) return
  const [count, timeoutMs] = [args.integer(1), args.integer(2)]
  if (count === undefined || count < 0 || timeoutMs === undefined || timeoutMs < 0) {
    return writer.error('Invalid argument')
  }
  if (!namespace || !session.rights.read) return writer.error('Access denied')
  const limitMs = timeoutMs === 0 ? WAIT_MS_MAX : Math.min(timeoutMs, WAIT_MS_MAX)
  return server.followers.wait(namespace, count, limitMs).then((reached) => writer.integer(reached))
}

/** REPLICAOF NO ONE: a replica becomes a store of its own. Which primary it follows is said when it is started. */
function replicaOf(session: Session, args: CommandParser): Promise<void> | Replied {
  const { writer, server } = session
  if (!isAdmin(session) || !hasArguments(session, args, 3)) return
  if (args.word(1) !== 'NO' || args.word(2) !== 'ONE') {
    return writer.error('Start the store with --replica-of HOST:PORT[/NAMESPACE]')
  }
  const { replica } = server.init
  if (!replica?.isFollowing) return writer.status('OK')
  return replica.promote().then(() => writer.status('OK'))
}
