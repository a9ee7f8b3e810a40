/** Names of values in the stores of a volume (docs/design/0001, section 4). */

const PACK_PREFIX = 'p'.charCodeAt(0)
const COMMIT_PREFIX = 'c'.charCodeAt(0)
const SNAPSHOT_PREFIX = 's'.charCodeAt(0)

/** Key of a pack's shard: `p` and the pack's id. */
export function shardKey(packId: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.of(PACK_PREFIX), packId])
}

/** Key of a commit: `c` and its sequence. */
export function commitKey(sequence: number): Uint8Array {
  const key = Buffer.alloc(9)
  key[0] = COMMIT_PREFIX
  key.writeBigUInt64BE(BigInt(sequence), 1)
  return key
}

/** Key of a part of a snapshot: `s`, the sequence it follows, the part. */
export function snapshotKey(sequence: number, part: number): Uint8Array {
  const key = Buffer.alloc(13)
  key[0] = SNAPSHOT_PREFIX
  key.writeBigUInt64BE(BigInt(sequence), 1)
  key.writeUInt32BE(part, 9)
  return key
}

/** What all keys of shards begin with. */
export const SHARDS: Uint8Array = Buffer.of(PACK_PREFIX)
/** What all keys of commits begin with. */
export const COMMITS: Uint8Array = Buffer.of(COMMIT_PREFIX)
/** What all keys of snapshots begin with. */
export const SNAPSHOTS: Uint8Array = Buffer.of(SNAPSHOT_PREFIX)

/** Sequence in the key of a commit or a snapshot, or undefined if it is no such key. */
export function sequenceOf(key: Uint8Array): number | undefined {
  const isCommit = key[0] === COMMIT_PREFIX && key.byteLength === 9
  const isSnapshot = key[0] === SNAPSHOT_PREFIX && key.byteLength === 13
  if (!isCommit && !isSnapshot) return undefined
  const sequence = Buffer.from(key.buffer, key.byteOffset, key.byteLength).readBigUInt64BE(1)
  return sequence <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(sequence) : undefined
}

/** Key of the note that a store was filled. */
export const FILLED_KEY: Uint8Array = Buffer.from('nf')
/** What all keys of claims begin with: a writer of that epoch began to write. */
export const CLAIMS: Uint8Array = Buffer.from('nc')
/** What all keys of hand-overs begin with: the writer of that epoch ended. */
export const HANDOVERS: Uint8Array = Buffer.from('nh')

/** Key of the note of an epoch. @param prefix - {@link CLAIMS} or {@link HANDOVERS}. */
export function epochKey(prefix: Uint8Array, epoch: number): Uint8Array {
  const number = Buffer.alloc(8)
  number.writeBigUInt64BE(BigInt(epoch))
  return Buffer.concat([prefix, number])
}

/** Epoch in the key of a claim or a hand-over, or undefined if it is no such key. */
export function epochOf(key: Uint8Array): number | undefined {
  if (key.byteLength !== 10) return undefined
  const epoch = Buffer.from(key.buffer, key.byteOffset, key.byteLength).readBigUInt64BE(2)
  return epoch <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(epoch) : undefined
}

/** Key under which a record is kept that another took the place of: `x`, its sequence, the beginning of its hash. */
export function asideKey(sequence: number, recordHash: Uint8Array): Uint8Array {
  const number = Buffer.alloc(8)
  number.writeBigUInt64BE(BigInt(sequence))
  return Buffer.concat([Buffer.from('x'), number, recordHash.subarray(0, 8)])
}
