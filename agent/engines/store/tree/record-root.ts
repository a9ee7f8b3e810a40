/**
 * The root of a record: the tree of four leaves, kind, root of the key, root of the value, time; so that a contract can
 * check any 32 bytes of a value.
 */
import { bytesRoot } from '../../../base/bytes-root.ts'
import { foldTree } from '../../../base/fold-tree.ts'
import { NODE_BYTES } from '../../../base/hash-blocks.ts'

/** What of a record is committed to. */
export interface CommittedRecord {
  readonly kind: number
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly timeSeconds: number
}

/**
 * The root of a record.
 *
 * @param record - Kind, key, value and time.
 * @returns 32 bytes.
 * @example
 * recordRoot({ kind: 1, key: Buffer.from('a'), value: Buffer.from('b'), timeSeconds: 0 })
 */
export function recordRoot(record: CommittedRecord): Uint8Array {
  const leaves = new Uint8Array(4 * NODE_BYTES)
  leaves[0] = record.kind
  leaves.set(bytesRoot(record.key), NODE_BYTES)
  leaves.set(bytesRoot(record.value), 2 * NODE_BYTES)
  new DataView(leaves.buffer).setUint32(3 * NODE_BYTES, record.timeSeconds, true)
  return foldTree(leaves, 4)
}
