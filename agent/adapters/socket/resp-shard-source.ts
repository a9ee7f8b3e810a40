/**
 * The shards of one slot, as audits see them: what its namespace held at one serial and all that was written since, whether or
 * not it was replaced or deleted in the meantime.
 *
 * The node reads its own store through it, the writer of the slot the store of the node, so both have the same list. Nothing is
 * believed of what comes back but its form: whoever hashes the shards finds out whether they are the right ones.
 */
import { isNodeError, NodeError } from '../../base/errors.ts'
import type { ShardInfo, ShardSource } from '../../engines/audit/index.ts'
import { type Answer, bytesOf, type RespNamespace } from './resp-namespace.ts'
import { type ListedShard, ShardList } from './shard-list.ts'

/** Asked for at once: some tens of KiB, and what the store gathers in a few milliseconds. */
const PAGE_SHARDS = 1000
/** Bytes of a serial in a shard's name. */
const SERIAL_BYTES = 8
/** Of longer store keys, only the beginning is in the name: the serial before it is different for each. */
const NAME_KEY_BYTES = 255 - SERIAL_BYTES
/** Beyond every serial, and no longer than the store reads numbers. */
const FAR_SERIAL = 2 ** 48

/** Where a namespace stands. */
export interface NamespacePlace {
  /** Records that are durable: a list of shards may begin at this serial. */
  readonly durable: number
  /** Seconds since when what died is kept; 0 if it is not. */
  readonly keptSince: number
}

/** The shards from a serial on. */
export interface RespShardSource extends ShardSource {
  /** The serial at which the list begins. */
  readonly since: number
}

/**
 * Asks where a namespace stands.
 *
 * @param remote - The namespace.
 * @returns Where a list may begin, and whether it would stay.
 * @throws NodeError `STORE_*`.
 */
export async function namespacePlace(
  remote: RespNamespace,
  signal: AbortSignal,
): Promise<NamespacePlace> {
  const { durable, keptSince } = await askPage(remote, FAR_SERIAL, FAR_SERIAL, 1, signal)
  return { durable, keptSince }
}

/**
 * Makes the source of one slot.
 *
 * @param remote - Its namespace.
 * @param since - The serial at which the list begins.
 * @returns The source, whatever slot it is asked for; memory: 16 bytes and the key for each shard, and one shard.
 * @example
 * const tree = new SlotTree(name, respShardSource(remote, since), leaves)
 */
export function respShardSource(remote: RespNamespace, since: number): RespShardSource {
  const shards = new ShardList()
  let revision = 1
  /** Serial from which on nothing was looked at. */
  let seen = 0

  /** Takes in what follows until there are so many shards, or no more. */
  async function fill(count: number, signal: AbortSignal): Promise<void> {
    while (shards.count < count) {
      const page = await askPage(remote, since, seen, PAGE_SHARDS, signal)
      for (const shard of page.shards) shards.push(shard)
      seen = Math.max(seen, page.next)
      if (page.next >= page.durable) return
    }
  }

  function serialOf(shard: ShardInfo): ListedShard | undefined {
    const name = Buffer.from(shard.key.buffer, shard.key.byteOffset, shard.key.byteLength)
    const serial = Number(name.readBigUInt64BE(0))
    let [low, high] = [0, shards.count]
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if (shards.at(middle).serial < serial) low = middle + 1
      else high = middle
    }
    const found = low < shards.count ? shards.at(low) : undefined
    return found?.serial === serial ? found : undefined
  }

  return {
    since,
    async revision(_slot, signal) {
      const { durable } = await namespacePlace(remote, signal)
      // A log only grows: one that is shorter is another one.
      if (durable < seen) {
        shards.clear()
        seen = 0
        revision++
      }
      return revision
    },
    async list(_slot, from, limit, signal) {
      await fill(from + limit, signal)
      const end = Math.min(from + limit, shards.count)
      const listed: ShardInfo[] = []
      for (let at = from; at < end; at++) listed.push(infoOf(shards.at(at)))
      return listed
    },
    async read(_slot, shard, signal) {
      const listed = serialOf(shard)
      if (!listed) return undefined
      const { key, serial } = listed
      const version = await askValue(remote, ['VERSION', key, String(serial)], signal)
      // What was damaged and written again has the same bytes under another serial.
      return version ?? (await askValue(remote, ['GET', key], signal))
    },
  }
}

/**
 * The store's key in a shard's name: the whole of it for any but the longest.
 *
 * @param name - As {@link respShardSource} lists it.
 */
export function storeKeyOf(name: Uint8Array): Uint8Array {
  return name.subarray(SERIAL_BYTES)
}

function infoOf({ serial, key, lengthBytes }: ListedShard): ShardInfo {
  const name = Buffer.alloc(SERIAL_BYTES + Math.min(key.byteLength, NAME_KEY_BYTES))
  name.writeBigUInt64BE(BigInt(serial))
  name.set(key.subarray(0, NAME_KEY_BYTES), SERIAL_BYTES)
  return { key: name, lengthBytes }
}

/** A value that is damaged is as good as none; a store that cannot be reached says nothing of it. */
async function askValue(
  remote: RespNamespace,
  args: readonly (string | Uint8Array)[],
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  try {
    return bytesOf(await remote.ask(args, signal))
  } catch (caught) {
    if (isNodeError(caught, 'STORE_IO')) return undefined
    throw caught
  }
}

interface Page extends NamespacePlace {
  readonly next: number
  readonly shards: readonly ListedShard[]
}

async function askPage(
  remote: RespNamespace,
  since: number,
  from: number,
  count: number,
  signal: AbortSignal,
): Promise<Page> {
  const args = ['VERSIONS', String(since), String(from), 'COUNT', String(count)]
  const answer = await remote.ask(args, signal)
  const [durable, keptSince, next, listed] = Array.isArray(answer) ? answer : []
  const isForm =
    typeof durable === 'number' && typeof keptSince === 'number' && typeof next === 'number'
  if (!isForm || !Array.isArray(listed) || listed.length > count) throw malformed()
  return { durable, keptSince, next, shards: listed.map(readListed) }
}

function readListed(answer: Answer | object): ListedShard {
  const [serial, key, lengthBytes] = Array.isArray(answer) ? answer : []
  const isShard = isCount(serial) && Buffer.isBuffer(key) && isCount(lengthBytes)
  if (!isShard) throw malformed()
  return { serial, key, lengthBytes }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function malformed(): NodeError {
  return new NodeError('STORE_REFUSED', 'VERSIONS did not reply a list of values')
}
