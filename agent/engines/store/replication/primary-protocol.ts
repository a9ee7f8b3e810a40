/** What a replica says to its primary and what it hears: words on the wire to values, and nothing believed unchecked. */
import { toHex } from '../../../base/bytes.ts'
import { NodeError } from '../../../base/errors.ts'
import type { NamespaceProperties } from '../namespace-properties.ts'
import type { PeerReply, PrimaryLink } from '../ports.ts'
import { challengeAnswer } from '../resp/challenge.ts'
import type { Claim } from './claim.ts'
import type { ReceivedBatch } from './replica-log.ts'

/** What the primary answered to a claim. */
export interface Accepted {
  readonly properties: NamespaceProperties
  /** The primary's tree, and the proof that what was claimed is its beginning; undefined where there is nothing to prove. */
  readonly proof:
    | { readonly size: number; readonly root: Uint8Array; readonly path: readonly Uint8Array[] }
    | undefined
}

/** What the primary sends after that. */
export type FeedMessage =
  | { readonly kind: 'records'; readonly batch: ReceivedBatch }
  /** Everything that exists before it was sent. */
  | { readonly kind: 'position'; readonly position: number }
  | { readonly kind: 'properties'; readonly properties: NamespaceProperties }

/**
 * Becomes admin of the primary, without sending the password itself.
 *
 * @throws NodeError `LOG_REPLICA_REFUSED`, `LOG_PRIMARY_LOST`.
 */
export async function logIn(
  link: PrimaryLink,
  password: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  link.send(['AUTH', 'SECURE', 'CHALLENGE'])
  const nonce = await answer(link, signal)
  if (typeof nonce !== 'string') throw lost('no challenge')
  link.send(['AUTH', 'SECURE', challengeAnswer(nonce, password)])
  await answer(link, signal)
}

/** The names of the primary's namespaces, bytes as latin1. @throws NodeError as {@link logIn}. */
export async function listNamespaces(link: PrimaryLink, signal: AbortSignal): Promise<string[]> {
  link.send(['NSLIST'])
  const names = await answer(link, signal)
  if (!isList(names)) throw lost('no list of names')
  return names.map((name) => {
    if (!(name instanceof Uint8Array)) throw lost('a name that is none')
    return Buffer.from(name).toString('latin1')
  })
}

/** Offers a claim. @throws NodeError `LOG_REPLICA_DIVERGED`, and as {@link logIn}. */
export async function offerClaim(
  link: PrimaryLink,
  namespace: string,
  name: string,
  claim: Claim,
  signal: AbortSignal,
): Promise<Accepted> {
  const { size, root, last, logIds } = claim
  link.send([
    ...['MIRROR', 'FOLLOW'],
    Buffer.from(namespace, 'latin1'),
    name,
    String(size),
    root ? toHex(root) : '-',
    last ? String(last.serial) : '-',
    last ? toHex(last.root) : '-',
    ...logIds,
  ])
  const reply = await answer(link, signal)
  if (!isList(reply) || reply[0] === undefined || textOf(reply[0]) !== 'FOLLOW') {
    throw lost('no answer to a claim')
  }
  const [, properties, treeSize, treeRoot, path] = reply
  const isProved = typeof treeSize === 'number' && treeRoot instanceof Uint8Array && isList(path)
  return {
    properties: readProperties(properties),
    proof: isProved ? { size: treeSize, root: treeRoot, path: path.map(nodeOf) } : undefined,
  }
}

/** Tells how far everything is durable here. */
export function acknowledge(link: PrimaryLink, position: number): void {
  link.send(['MIRROR', 'ACK', String(position)])
}

/** The next message. @throws NodeError as {@link logIn}. */
export async function nextMessage(link: PrimaryLink, signal: AbortSignal): Promise<FeedMessage> {
  const reply = await answer(link, signal)
  if (!isList(reply)) throw lost('no message')
  const [kind, first, next, records, goneRoots] = reply
  switch (kind === undefined ? '' : textOf(kind)) {
    case 'RECORDS':
      if (
        typeof first !== 'number' ||
        typeof next !== 'number' ||
        !(records instanceof Uint8Array) ||
        !(goneRoots instanceof Uint8Array)
      ) {
        throw lost('a batch that is none')
      }
      return { kind: 'records', batch: { from: first, next, records, goneRoots } }
    case 'POSITION':
      if (typeof first !== 'number') throw lost('a position that is none')
      return { kind: 'position', position: first }
    case 'PROPERTIES':
      return { kind: 'properties', properties: readProperties(first) }
    default:
      throw lost('an unknown message')
  }
}

async function answer(link: PrimaryLink, signal: AbortSignal): Promise<PeerReply> {
  const reply = await link.next(signal)
  if (reply === null || typeof reply !== 'object' || !('words' in reply)) return reply
  const { words } = reply
  if (words.startsWith('DIVERGED ')) {
    throw new NodeError('LOG_REPLICA_DIVERGED', words.slice('DIVERGED '.length))
  }
  throw new NodeError('LOG_REPLICA_REFUSED', `the primary says: ${words}`)
}

/** As in `namespace.json`: the primary is trusted with what its clients may do here, not with the shape of what it sends. */
function readProperties(reply: PeerReply | undefined): NamespaceProperties {
  const text = reply === undefined ? '' : textOf(reply)
  try {
    const parsed: unknown = JSON.parse(text)
    if (isProperties(parsed)) return parsed
  } catch (cause) {
    throw new NodeError('LOG_PRIMARY_LOST', 'properties that are no JSON', { cause })
  }
  throw lost('properties that are none')
}

function isProperties(value: unknown): value is NamespaceProperties {
  if (typeof value !== 'object' || value === null) return false
  const field = (name: string): unknown => Reflect.get(value, name)
  return (
    ['name', 'mode', 'sync', 'logId'].every((name) => typeof field(name) === 'string') &&
    ['maxBytes', 'historySeconds'].every((name) => typeof field(name) === 'number') &&
    FLAGS.every((name) => typeof field(name) === 'boolean') &&
    ['writers', 'readers', 'ancestors'].every((name) => Array.isArray(field(name)))
  )
}

const FLAGS = ['worm', 'isPublic', 'isLocked', 'isFrozen', 'isProvable', 'isReplica']

function textOf(reply: PeerReply): string {
  if (typeof reply === 'string') return reply
  return reply instanceof Uint8Array ? Buffer.from(reply).toString('utf8') : ''
}

function nodeOf(reply: PeerReply): Uint8Array {
  if (reply instanceof Uint8Array) return reply
  throw lost('a proof that is none')
}

function isList(reply: PeerReply | undefined): reply is readonly PeerReply[] {
  return Array.isArray(reply)
}

function lost(problem: string): NodeError {
  return new NodeError('LOG_PRIMARY_LOST', `not a primary on the other end: ${problem}`)
}
