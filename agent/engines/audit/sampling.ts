/**
 * Which units an epoch's seed asks of a node, one after another: the next one is known only to whoever has the bytes of the
 * one before, so that a node without data cannot fetch all of them at once.
 */
import { keccak256 } from 'ethers/crypto'
import { bytesEqual, concatBytes, toHex } from '../../base/bytes.ts'
import { hashPair } from '../../base/hash-blocks.ts'
import type { NodeId } from '../../base/ids.ts'
import { wordOf } from './word.ts'

/** Bits that the epoch takes in the word that a chain starts with. */
const EPOCH_BITS = 32n

/**
 * The state that a node's chain of samples starts with.
 *
 * @param seed - The epoch's seed, 112 bits.
 * @param node - The node.
 * @param epoch - The epoch.
 * @returns 32 bytes.
 * @example
 * firstState(epochView.seed, node, 7)
 */
export function firstState(seed: bigint, node: NodeId, epoch: number): Uint8Array {
  return hashPair(wordOf(seed), wordOf((BigInt(node) << EPOCH_BITS) | BigInt(epoch)))
}

/**
 * The unit that a state asks for next.
 *
 * @param state - 32 bytes.
 * @param units - Units of the node, `>= 1`.
 * @returns `0..units - 1`.
 * @example
 * unitAfter(state, accumulator.units)
 */
export function unitAfter(state: Uint8Array, units: number): number {
  return Number(BigInt(`0x${toHex(state)}`) % BigInt(units))
}

/**
 * The state after a sample.
 *
 * @param state - The one before, 32 bytes.
 * @param unit - The unit it asked for, 32 bytes.
 * @returns 32 bytes.
 * @example
 * states.push(nextState(state, unit))
 */
export function nextState(state: Uint8Array, unit: Uint8Array): Uint8Array {
  return hashPair(state, unit)
}

/**
 * Tells whether a sample's claim is the one that was hashed into a state.
 *
 * @param claim - State before the sample, and the unit.
 * @param state - State after it.
 * @returns True if it is.
 */
export function follows(
  claim: { readonly earlier: Uint8Array; readonly unit: Uint8Array },
  state: Uint8Array,
): boolean {
  return bytesEqual(nextState(claim.earlier, claim.unit), state)
}

/**
 * Tells whether the seed asks a node to open its first sample on chain.
 *
 * @param seed - The epoch's seed.
 * @param node - The node.
 * @param odds - One node in so many; 0: none.
 * @returns True if it does.
 * @example
 * isDrawn(view.seed, node, view.openOdds)
 */
export function isDrawn(seed: bigint, node: NodeId, odds: number): boolean {
  if (odds === 0) return false
  const word = keccak256(concatBytes([wordOf(seed), wordOf(BigInt(node))]))
  return BigInt(word.slice(0, 18)) % BigInt(odds) === 0n
}
