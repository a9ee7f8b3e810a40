/** One unit of a slot with the two paths that show it, packed as the contract reads it. */

import { bytesEqual, concatBytes } from '../../base/bytes.ts'
import { leafCount } from '../../base/bytes-root.ts'
import { NODE_BYTES } from '../../base/hash-blocks.ts'
import { UNIT_BYTES } from './constants.ts'
import { climb } from './tree/climb.ts'
import { depthOf, shardRoot } from './tree/shard-tree.ts'
import { sumLeaf } from './tree/sum-node.ts'

/** Unit, number of the unit in the slot, length of the shard. The slot's root is what the paths lead to. */
const HEAD_BYTES = UNIT_BYTES + 6 + 6
const UNIT_NUMBER_AT = UNIT_BYTES
const LENGTH_AT = UNIT_NUMBER_AT + 6

/** An opening, taken apart. */
export interface Opening {
  /** 32 bytes. */
  readonly unit: Uint8Array
  /** Number of the unit in the slot. */
  readonly unitNumber: number
  /** Bytes of the shard that holds it. */
  readonly shardBytes: number
  /** Siblings through the shard, 32 bytes a level. */
  readonly shardPath: Uint8Array
  /** Sum path through the slot, 38 bytes a level. */
  readonly slotPath: Uint8Array
}

/**
 * Packs an opening.
 *
 * @param opening - Its parts.
 * @returns As `IAudits.answer` takes it.
 * @example
 * packOpening(opening)
 */
export function packOpening(opening: Opening): Uint8Array {
  const head = Buffer.alloc(HEAD_BYTES)
  head.set(opening.unit)
  head.writeUIntBE(opening.unitNumber, UNIT_NUMBER_AT, 6)
  head.writeUIntBE(opening.shardBytes, LENGTH_AT, 6)
  return concatBytes([head, opening.shardPath, opening.slotPath])
}

/**
 * Takes an opening apart.
 *
 * @param packed - Not trusted.
 * @returns Its parts, as views; undefined if it is too short for what it says.
 * @example
 * unpackOpening(packed)?.unit
 */
export function unpackOpening(packed: Uint8Array): Opening | undefined {
  if (packed.byteLength < HEAD_BYTES) return undefined
  const head = Buffer.from(packed.buffer, packed.byteOffset, HEAD_BYTES)
  const shardBytes = head.readUIntBE(LENGTH_AT, 6)
  const pathEnd = HEAD_BYTES + depthOf(leafCount(shardBytes)) * NODE_BYTES
  if (packed.byteLength < pathEnd) return undefined
  return {
    unit: packed.subarray(0, UNIT_NUMBER_AT),
    unitNumber: head.readUIntBE(UNIT_NUMBER_AT, 6),
    shardBytes,
    shardPath: packed.subarray(HEAD_BYTES, pathEnd),
    slotPath: packed.subarray(pathEnd),
  }
}

/** What an opening must show. */
export interface WantedUnit {
  /** The slot that it must be in. */
  readonly slot: { readonly root: Uint8Array; readonly units: number }
  /** Which unit of the slot. */
  readonly unitNumber: number
  /** What its bytes were claimed to be. */
  readonly unit: Uint8Array
}

/**
 * Checks an opening, as the contract does.
 *
 * @param packed - The opening; not trusted.
 * @param wanted - What it must show.
 * @returns True if it shows that.
 * @example
 * checkOpening(sample.opening, { slot: entry.commitment, unitNumber, unit })
 */
export function checkOpening(packed: Uint8Array, wanted: WantedUnit): boolean {
  const opening = unpackOpening(packed)
  if (!opening || opening.unitNumber !== wanted.unitNumber) return false
  return bytesEqual(opening.unit, wanted.unit) && leadsToSlot(opening, wanted.slot)
}

function leadsToSlot(opening: Opening, slot: WantedUnit['slot']): boolean {
  const { unit, unitNumber, shardBytes, shardPath, slotPath } = opening
  const units = leafCount(shardBytes)
  // Where the shard begins follows from the sums alone, so it is known before its root is.
  const outline = climb(sumLeaf(new Uint8Array(NODE_BYTES), units), slotPath)
  if (!outline) return false
  const index = unitNumber - outline.before
  if (index < 0 || index >= units) return false
  const top = climb(sumLeaf(shardRoot(unit, index, shardBytes, shardPath), units), slotPath)
  return top?.root.sum === slot.units && bytesEqual(top.root.hash, slot.root)
}
