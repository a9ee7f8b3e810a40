/**
 * How surely audits find a node that lost data: computed, and tried with the real prover and verifier on small trees.
 * `npm run soundness`; `--json` prints data, `--quick` tries a tenth. Fails if what was tried is more than four standard
 * deviations off, or if a node that lost 5 % has more than one chance in a thousand to stay unfound for a day.
 *
 * A lost unit ends the chain of samples, so an epoch passes with `(1 - lost)^samples`. Units are drawn, so it does not matter
 * whether whole shards are lost or single units of a node that kept all hashes: both are tried.
 */

import { toHex } from '../../agent/base/bytes.ts'
import { isNodeError, NodeError } from '../../agent/base/errors.ts'
import type { Chance } from '../../agent/base/ports.ts'
import {
  prove,
  type SlotState,
  SlotTree,
  verifyTranscript,
} from '../../agent/engines/audit/index.ts'
import {
  AuditNode,
  isTestWriter,
  NEVER,
  slotOf,
  TEST_DOMAIN,
} from '../../test/support/audit-node.ts'
import { bluff } from '../../test/support/bluff.ts'
import { seededChance } from '../../test/support/seeded-chance.ts'

/** As shipped (`scripts/deploy/parameters.ts`). */
export const SAMPLES = 64
export const EPOCHS_A_DAY = 4
/** A week of epochs. */
const EPOCHS_A_WEEK = 7 * EPOCHS_A_DAY
const LOST_SHARES = [0.001, 0.01, 0.02, 0.05, 0.1, 0.33] as const
/** With what chance a node that lost 5 % may stay unfound for a day. */
const DAY_CHANCE_MAX = 0.001
const DEVIATIONS_MAX = 4

/** Of a test node: enough for 0.1 % to be some units, few enough for an epoch to take a millisecond. */
const SHARDS = 1024
const SHARD_BYTES = 128
const UNITS = (SHARDS * SHARD_BYTES) / 32
/** Node-epochs of each share and kind of loss, 24,000 in all; each day something else is lost. */
const NODE_EPOCHS = 2_000
/** One epoch in so many is not given up at a lost unit but made up, and must be found by the verifier. */
const BLUFF_EVERY = 10
const SLOT = slotOf(1)
const SEED_BYTES = 14

/** How data was lost. */
type Loss = 'units' | 'shards'

/** What came of one share and kind of loss. */
export interface SoundnessRow {
  readonly lostShare: number
  readonly loss: Loss
  /** Computed chances to stay unfound. */
  readonly epoch: number
  readonly day: number
  readonly week: number
  /** Node-epochs tried, and those in which the node was found. */
  readonly tried: number
  readonly found: number
  /** Standard deviations between tried and computed, for epochs and for whole days. */
  readonly deviations: number
  readonly dayDeviations: number
}

/**
 * Computes and tries.
 *
 * @param args - `--quick`, `--json`.
 * @returns The table; the exit code says whether it is as it must be.
 */
export async function run(args: readonly string[]): Promise<readonly SoundnessRow[]> {
  const epochs = args.includes('--quick') ? NODE_EPOCHS / 10 : NODE_EPOCHS
  const rows: SoundnessRow[] = []
  for (const lostShare of LOST_SHARES) {
    for (const loss of ['units', 'shards'] as const)
      rows.push(await tryOut(lostShare, loss, epochs))
  }
  const faults = faultsOf(rows)
  if (args.includes('--json')) console.log(JSON.stringify({ samples: SAMPLES, rows, faults }))
  else printTable(rows)
  for (const fault of faults) console.error(fault)
  if (faults.length > 0) process.exitCode = 1
  return rows
}

/**
 * What is not as it must be.
 *
 * @param rows - As tried.
 * @returns One line a fault.
 */
export function faultsOf(rows: readonly SoundnessRow[]): string[] {
  return rows.flatMap(({ lostShare, loss, day, deviations, dayDeviations }) => {
    const row = `${lostShare * 100} % of ${loss}`
    const off = Math.max(Math.abs(deviations), Math.abs(dayDeviations))
    return [
      ...(off > DEVIATIONS_MAX ? [`${row}: tried and computed differ by ${off.toFixed(1)}`] : []),
      ...(lostShare >= 0.05 && day > DAY_CHANCE_MAX
        ? [`${row}: ${day} to stay unfound a day`]
        : []),
    ]
  })
}

/**
 * The chance that a loss stays unfound.
 *
 * @param lostShare - Of all units, `0..1`.
 * @param epochs - How many audits.
 * @returns `0..1`.
 */
export function chanceToStayUnfound(lostShare: number, epochs: number): number {
  return Math.exp(epochs * SAMPLES * Math.log1p(-lostShare))
}

async function tryOut(lostShare: number, loss: Loss, epochs: number): Promise<SoundnessRow> {
  const chance = seededChance(Math.round(lostShare * 1e6) + (loss === 'units' ? 0 : 1))
  const world = await fullNode()
  let found = 0
  let foundDays = 0
  let lostUnits = 0
  for (let done = 0; done < epochs; done += EPOCHS_A_DAY) {
    world.tree.lost = lose(lostShare, loss, chance)
    lostUnits = world.tree.lost.size
    let foundToday = 0
    for (let number = done + 1; number <= done + EPOCHS_A_DAY; number++) {
      if (await isFound(world, number, chance)) foundToday++
    }
    found += foundToday
    if (foundToday > 0) foundDays++
  }
  // What was tried is compared with the chance for the units that were lost in fact, a whole number.
  const exact = lostUnits / UNITS
  return {
    lostShare,
    loss,
    epoch: chanceToStayUnfound(lostShare, 1),
    day: chanceToStayUnfound(lostShare, EPOCHS_A_DAY),
    week: chanceToStayUnfound(lostShare, EPOCHS_A_WEEK),
    tried: epochs,
    found,
    deviations: deviationsOf(found, epochs, chanceToStayUnfound(exact, 1)),
    dayDeviations: deviationsOf(
      foundDays,
      epochs / EPOCHS_A_DAY,
      chanceToStayUnfound(exact, EPOCHS_A_DAY),
    ),
  }
}

/** How many standard deviations a count is off; where hardly any spread is expected, one off counts as one. */
function deviationsOf(count: number, tries: number, unfound: number): number {
  const spread = Math.sqrt(tries * unfound * (1 - unfound))
  return (count - tries * (1 - unfound)) / Math.max(spread, 1)
}

/** A tree that cannot show some units: those are lost, and all hashes were kept. */
class LossyTree extends SlotTree {
  lost: ReadonlySet<number> = new Set()

  override open(state: SlotState, unitNumber: number, signal: AbortSignal): Promise<Uint8Array> {
    if (!this.lost.has(unitNumber)) return super.open(state, unitNumber, signal)
    return Promise.reject(new NodeError('AUDIT_SHARD_LOST', `unit ${unitNumber}`))
  }
}

interface LossyNode {
  readonly node: AuditNode
  readonly tree: LossyTree
}

/** A node with one slot, whole. */
async function fullNode(): Promise<LossyNode> {
  const node = new AuditNode()
  await node.fill(SLOT, Array<number>(SHARDS).fill(SHARD_BYTES), seededChance(7))
  const tree = new LossyTree(SLOT, node.source)
  await tree.follow(NEVER)
  return { node, tree }
}

/** Draws what is lost: single units, or all units of some shards. */
function lose(lostShare: number, loss: Loss, chance: Chance): Set<number> {
  const piece = loss === 'units' ? 1 : UNITS / SHARDS
  const pieces = UNITS / piece
  const count = Math.max(1, Math.round(lostShare * pieces))
  const drawn = new Set<number>()
  while (drawn.size < count) drawn.add(chance.below(pieces))
  return new Set(
    [...drawn].flatMap((at) => Array.from({ length: piece }, (_, k) => at * piece + k)),
  )
}

/** Audits the node once. @returns True if it proved nothing, or what it made up was doubted. */
async function isFound(
  { node, tree }: LossyNode,
  number: number,
  chance: Chance,
): Promise<boolean> {
  const seed = BigInt(`0x${toHex(chance.bytes(SEED_BYTES))}`)
  const accumulator = node.accumulator()
  const asked = { node: node.node, epoch: number, seed, samples: SAMPLES }
  const init = { ...asked, accumulator, slots: () => tree, signal: NEVER }
  if (number % BLUFF_EVERY !== 0) {
    return prove(init).then(
      () => false,
      (caught: unknown) => isLost(caught),
    )
  }
  const transcript = await bluff(init)
  const claim = node.claim({ number, seed, samples: SAMPLES }, transcript, accumulator)
  const world = { claim, domain: TEST_DOMAIN, isWriter: isTestWriter }
  return (await verifyTranscript({ ...world, transcript })).length > 0
}

function isLost(caught: unknown): boolean {
  if (isNodeError(caught, 'AUDIT_SHARD_LOST')) return true
  throw caught
}

function printTable(rows: readonly SoundnessRow[]): void {
  console.log(`${SAMPLES} samples, ${EPOCHS_A_DAY} epochs a day; chance to be found within`)
  console.log('lost     of      an epoch      a day         7 days        tried: found  deviations')
  for (const row of rows) {
    const cells = [row.epoch, row.day, row.week].map((unfound) => foundText(unfound).padEnd(13))
    const lost = `${row.lostShare * 100} %`.padEnd(8)
    const tried = `${row.tried}: ${row.found}`.padEnd(13)
    const off = `${row.deviations.toFixed(1)}, ${row.dayDeviations.toFixed(1)}`
    console.log(`${lost} ${row.loss.padEnd(7)} ${cells.join(' ')} ${tried} ${off}`)
  }
}

function foundText(unfound: number): string {
  if (unfound > 1e-4) return `${((1 - unfound) * 100).toFixed(2)} %`
  return `1 - ${unfound.toExponential(0)}`
}
