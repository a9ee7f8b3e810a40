/**
 * Chooses nodes for the slots of an order: weighted rendezvous hashing, distinct farms first.
 *
 * Pure, so that a client that orders and a mount that repairs choose alike, and so that anyone can check a choice. Each
 * candidate gets a score from the seed and its number alone; adding or removing a node moves only the slots that it wins or
 * loses. The score is the weighted one of Schindelhauer and Schomaker (2005): -weight / ln(u) with u uniform in (0, 1), so a
 * node with twice the weight is chosen twice as often.
 */
import { createHash } from 'node:crypto'
import { assert } from './assert.ts'
import { NodeError } from './errors.ts'
import type { FarmId, NodeId } from './ids.ts'

/** A node that could take a slot. */
export interface PlacementCandidate {
  readonly node: NodeId
  readonly farm: FarmId
  /** Bytes not yet promised, `>= 0`. */
  readonly freeBytes: number
  /** How much the node is to be preferred, `> 0`; 1 for all gives a uniform choice. */
  readonly weight: number
}

/** What is to be placed. */
export interface PlacementRequest {
  /** `[n]`, any order, nodes distinct. */
  readonly candidates: readonly PlacementCandidate[]
  /** Any text; the same seed and candidates give the same choice. */
  readonly seed: string
  /** Slots to fill, `>= 1`. */
  readonly count: number
  /** Bytes a slot takes, `>= 0`. */
  readonly sizeBytes: number
  /** Farms that hold a slot of the group already. */
  readonly avoidFarms?: ReadonlySet<FarmId>
  /** Nodes that must not be chosen. */
  readonly avoidNodes?: ReadonlySet<NodeId>
  /** True allows several slots on one farm, but never on one node, once no farm is left. */
  readonly sameFarmAllowed?: boolean
}

/**
 * Chooses nodes.
 *
 * @param request - See {@link PlacementRequest}.
 * @returns `[count]` distinct nodes, best first; of distinct farms unless `sameFarmAllowed`.
 * @throws NodeError `PLACEMENT_TOO_FEW` with `details.found` if there are not enough.
 * @example
 * chooseNodes({ candidates, seed: `${tenant}:${salt}`, count: 6, sizeBytes: 2 ** 30 })
 */
export function chooseNodes(request: PlacementRequest): NodeId[] {
  const { candidates, seed, count, sizeBytes } = request
  assert(count >= 1, 'at least one slot is to be filled')
  const ranked = candidates
    .filter((one) => one.freeBytes >= sizeBytes && !request.avoidNodes?.has(one.node))
    .map((one) => ({ ...one, score: scoreOf(seed, one) }))
    .sort((a, b) => b.score - a.score || a.node - b.node)

  const farms = new Set(request.avoidFarms)
  const chosen: NodeId[] = []
  const left: NodeId[] = []
  for (const { node, farm } of ranked) {
    if (farms.has(farm)) {
      left.push(node)
      continue
    }
    farms.add(farm)
    chosen.push(node)
  }
  if (request.sameFarmAllowed) chosen.push(...left)
  if (chosen.length < count) {
    throw new NodeError('PLACEMENT_TOO_FEW', `${count} nodes wanted, ${chosen.length} fit`, {
      details: { wanted: count, found: chosen.length, candidates: candidates.length, sizeBytes },
      hint: 'Ask for fewer or smaller slots, or wait until more farms offer space.',
      retryAfterMs: 60_000,
    })
  }
  return chosen.slice(0, count)
}

/** Bits of the hash that make the uniform number: what a double holds exactly. */
const UNIFORM_BITS = 52

function scoreOf(seed: string, { node, weight }: PlacementCandidate): number {
  assert(weight > 0, 'a weight is positive')
  const digest = createHash('sha256').update(seed).update('\0').update(String(node)).digest()
  const whole = Number(digest.readBigUInt64BE() >> BigInt(64 - UNIFORM_BITS))
  // Half a step off both ends, so that the logarithm is finite and below zero.
  const uniform = (whole + 0.5) / 2 ** UNIFORM_BITS
  return weight / minusLog(uniform)
}

/**
 * -ln(u), by the four basic operations only, so that it has the same bits on every machine (`Math.log` may differ in the
 * last): u = f / 2^e with f in [1/2, 1), and ln f by the series of its area tangent.
 */
function minusLog(u: number): number {
  let fraction = u
  let halvings = 0
  while (fraction < 0.5) {
    fraction *= 2
    halvings++
  }
  // ln f = 2 atanh(t) with |t| <= 1/3: each term is a ninth of the one before, so twenty reach the last bit.
  const t = (fraction - 1) / (fraction + 1)
  let sum = 0
  let power = t
  for (let odd = 1; odd <= 39; odd += 2) {
    sum += power / odd
    power *= t * t
  }
  return halvings * Math.LN2 - 2 * sum
}
