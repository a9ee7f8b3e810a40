/**
 * Which nodes get the slots of an order: weighted rendezvous hashing over distinct farms.
 *
 * Every node draws a lot from the seed and its own number; a node with twice the weight, or half the price, wins twice as
 * often. A node that comes or goes changes only the choices it wins or won, so client and repair planner, which look at
 * different moments, agree on almost everything. Only the four basic operations touch the floating-point numbers, so the
 * result is the same on every machine (`Math.log` may differ in the last bit).
 */
import { createHash } from 'node:crypto'
import { assert } from './assert.ts'
import type { FarmId, NodeId } from './ids.ts'

/** A node that offers space. */
export interface PlacementCandidate {
  readonly node: NodeId
  readonly farm: FarmId
  /** Bytes not promised to anybody. */
  readonly freeBytes: number
  /** Smallest units of the token a byte-second, or any other price that all candidates use; 0 counts as 1. */
  readonly price: bigint
  /** How much it is to be preferred beside its price, `> 0`, mostly 1: reliability, for instance. */
  readonly weight: number
}

/** What is to be placed. */
export interface PlacementRequest {
  /** `[n]` nodes in any order, numbers unique. */
  readonly candidates: readonly PlacementCandidate[]
  /** What makes one order's choice differ from another's: the order's salt or number. */
  readonly seed: string
  /** Nodes wanted, `>= 0`. */
  readonly count: number
  /** Bytes that each must have free. */
  readonly sizeBytes: number
  /** Farms that hold a slot already. */
  readonly avoidFarms?: readonly FarmId[]
  /** Nodes not to choose. */
  readonly avoidNodes?: readonly NodeId[]
}

/** What was found. */
export interface Placement {
  /** At most `count` nodes of distinct farms, best first. */
  readonly nodes: readonly NodeId[]
  /** Nodes wanted but not found: not enough farms with room. */
  readonly shortBy: number
}

/** Bits of a draw: what a double holds exactly. */
const DRAW_BITS = 52n

/**
 * Chooses nodes of distinct farms.
 *
 * @param request - What is to be placed, among which nodes.
 * @returns The nodes, and how many are missing. The first n of a choice are the choice of n.
 * @throws AssertionError if a weight is not above 0 or a count is negative (a bug in the caller).
 * @example
 * chooseNodes({ candidates, seed: 'order 7', count: 6, sizeBytes: 1024 ** 3 }).nodes
 * @see Thaler and Ravishankar, "A name-based mapping scheme for rendezvous", 1996; with weights: -w / ln(u)
 */
export function chooseNodes(request: PlacementRequest): Placement {
  const { candidates, seed, count, sizeBytes } = request
  assert(Number.isInteger(count) && count >= 0, 'nodes are counted')
  const taken = new Set(request.avoidFarms)
  const avoided = new Set(request.avoidNodes)
  const ranked = candidates
    .filter((candidate) => candidate.freeBytes >= sizeBytes && !avoided.has(candidate.node))
    .map((candidate) => ({ ...candidate, score: scoreOf(candidate, seed) }))
    .sort((a, b) => b.score - a.score || a.node - b.node)
  const nodes: NodeId[] = []
  for (const { node, farm } of ranked) {
    if (nodes.length >= count) break
    if (taken.has(farm)) continue
    taken.add(farm)
    nodes.push(node)
  }
  return { nodes, shortBy: count - nodes.length }
}

/** -w / ln(u), the greater the better; u is uniform in (0, 1). */
function scoreOf(candidate: PlacementCandidate, seed: string): number {
  assert(candidate.weight > 0, 'a weight is above 0')
  assert(candidate.price >= 0n, 'a price is not negative')
  const price = Number(candidate.price === 0n ? 1n : candidate.price)
  const text = `varve/placement/1\n${seed}\n${candidate.node}`
  const word = createHash('sha256').update(text).digest().readBigUInt64BE(0)
  const draw = Number(word >> (64n - DRAW_BITS))
  const u = (draw + 0.5) / 2 ** Number(DRAW_BITS)
  return candidate.weight / price / minusLog(u)
}

/** -ln(u) for u in (0, 1), the same bits on every machine: u = 2^-e * f with f in [1/2, 1), ln by its atanh series. */
function minusLog(u: number): number {
  const LN_2 = 0.6931471805599453
  let fraction = u
  let halvings = 0
  while (fraction < 0.5) {
    fraction *= 2
    halvings++
  }
  // ln f = 2 atanh(t), |t| <= 1/3: each term is a ninth of the one before, twenty reach the last bit.
  const t = (fraction - 1) / (fraction + 1)
  let sum = 0
  let power = t
  for (let odd = 1; odd <= 39; odd += 2) {
    sum += power / odd
    power *= t * t
  }
  return halvings * LN_2 - 2 * sum
}
