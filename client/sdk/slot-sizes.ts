/**
 * How large the slots of a volume are. Pure.
 *
 * A data slot holds its share of the packs, `size / k`, and a tenth more: packs are padded, a store keeps a header and a
 * checksum with each record, and what was overwritten stays until compaction. The slack on top is for small volumes, whose
 * packs are not full: one each few seconds of writing. A metadata slot holds the whole chain of commits and its
 * snapshots: entries of chunks and packs are about 1/200 of the bytes they describe at the usual chunk of 16 KiB, kept at
 * most some times over; 1/32 leaves room for volumes of many small files.
 */
import { assert } from '../../agent/base/assert.ts'
import { MIB } from '../../agent/base/units.ts'

const DATA_SLACK_BYTES = 32 * MIB
const META_SHARE = 32
const META_SLACK_BYTES = 64 * MIB

/** What a volume's slots depend on. */
export interface VolumeShape {
  /** Plain bytes that the tenant may keep, `>= 1`. */
  readonly sizeBytes: number
  /** k, `>= 1`. */
  readonly dataShards: number
  /** m, `>= 0`. */
  readonly parityShards: number
  /** Metadata slots, `>= 2`. */
  readonly metaStores: number
}

/**
 * Computes what a volume takes of each node.
 *
 * @param shape - The volume.
 * @returns Bytes of one data (or parity) slot and of one metadata slot.
 * @example
 * slotSizes({ sizeBytes: 1024 ** 3, dataShards: 4, parityShards: 2, metaStores: 3 })
 * // { dataBytes: 328833434, metaBytes: 100663296 }
 */
export function slotSizes(shape: VolumeShape): { dataBytes: number; metaBytes: number } {
  const { sizeBytes, dataShards } = shape
  assert(Number.isSafeInteger(sizeBytes) && sizeBytes >= 1, 'a volume has at least one byte')
  assert(dataShards >= 1, 'a volume has at least one data shard')
  const shareBytes = Math.ceil(sizeBytes / dataShards)
  return {
    dataBytes: shareBytes + Math.ceil(shareBytes / 10) + DATA_SLACK_BYTES,
    metaBytes: Math.ceil(sizeBytes / META_SHARE) + META_SLACK_BYTES,
  }
}
