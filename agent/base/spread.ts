/**
 * Spreads what all nodes could do at once: each waits for another while, so that the one that comes first spares the others. No
 * chance is needed: who is first differs from round to round.
 */
import type { NodeId } from './ids.ts'

/** 2^32 divided by the golden ratio: neighbouring numbers end up far apart. */
const GOLDEN = 0x9e3779b1

/**
 * How long a node waits.
 *
 * @param node - The node.
 * @param round - What is done once, an epoch say.
 * @param withinSeconds - `>= 0`.
 * @returns Whole seconds below `withinSeconds`; 0 if that is 0.
 * @example
 * spread(nodeId(7), epoch, 120)
 */
export function spread(node: NodeId, round: number, withinSeconds: number): number {
  const mixed = Math.imul(node ^ Math.imul(round, GOLDEN), GOLDEN) >>> 0
  return Math.floor((mixed / 2 ** 32) * withinSeconds)
}
