/**
 * A node does its duties on a chain that reorganises, stalls and loses transactions; where the chain was calm at the end of
 * a window, what was asked in it is on the ledger, and it is what that branch of the chain asked for.
 *
 * The chain is a small model of the contract's rules of time; the planner, the trees and the prover are the real ones.
 */
import { assert } from 'chai'
import { toHex } from '../../agent/base/bytes.ts'
import type { Chance } from '../../agent/base/ports.ts'
import {
  type Accumulator,
  type Duty,
  digestTree,
  type EpochFacts,
  isDrawn,
  type NodeAccumulator,
  type ProofAtHand,
  planDuties,
  type Transcript,
} from '../../agent/engines/audit/index.ts'
import { AuditNode, slotOf } from '../support/audit-node.ts'
import { seededChance } from '../support/seeded-chance.ts'

const EPOCH_SECONDS = 600
const WINDOW_SECONDS = 300
const WINDOW_BLOCKS = 16
const BLOCK_SECONDS = 12
/** Blocks of trouble, then as many of calm: epochs begin in one and end in the other. */
const PHASE_BLOCKS = 40
/** So many calm blocks before its end let a node do all that an epoch asks, whatever happened before. */
const CALM_BLOCKS = 8
const SEEDS = 40
const BLOCKS = 16 * PHASE_BLOCKS
const NOTHING: Accumulator = { root: new Uint8Array(32), units: 0 }
const SLOT = slotOf(1)

/** The chain at one block. */
interface Block {
  readonly now: number
  readonly number: number
  /** Two branches never draw the same seed. */
  readonly branch: number
  readonly epoch: EpochFacts | undefined
  readonly versions: readonly (Accumulator & { readonly epoch: number })[]
  /** Digests by epoch. */
  readonly digests: ReadonlyMap<number, Uint8Array>
  readonly opened: ReadonlySet<number>
  /** What was done in this block. */
  readonly acts: readonly Duty[]
}

function auditedAt({ epoch, versions }: Block): Accumulator {
  return versions.findLast((version) => version.epoch < (epoch?.number ?? 0)) ?? NOTHING
}

function isOpen({ epoch, now, number }: Block): boolean {
  return epoch !== undefined && (now <= epoch.dueAt || number <= epoch.dueBlock)
}

function apply(block: Block, duty: Duty): Block {
  const number = block.epoch?.number ?? 0
  if (duty.kind === 'draw') return draw(block, number)
  if (duty.kind === 'commit') {
    const kept = block.versions.filter((version) => version.epoch !== number)
    return { ...block, versions: [...kept, { root: duty.root, units: duty.units, epoch: number }] }
  }
  if (!isOpen(block) || !('epoch' in duty) || duty.epoch !== number) return block
  if (duty.kind === 'open') return { ...block, opened: new Set([...block.opened, number]) }
  if (duty.kind !== 'post') return block
  return { ...block, digests: new Map([...block.digests, [number, duty.digest.slice(0, 28)]]) }
}

function draw(block: Block, number: number): Block {
  const { epoch, now } = block
  if (epoch && (now < epoch.drawnAt + EPOCH_SECONDS || isOpen(block))) return block
  const drawn: EpochFacts = {
    number: number + 1,
    seed: BigInt(block.branch) * 1_000_003n + BigInt(number),
    drawnAt: now,
    dueAt: now + WINDOW_SECONDS,
    dueBlock: block.number + WINDOW_BLOCKS,
    samples: 4,
    openOdds: 2,
  }
  return { ...block, epoch: drawn }
}

/** A chain of blocks of which the newest may be taken back. */
class Chain {
  readonly #chance: Chance
  readonly #blocks: Block[] = [
    {
      now: 1_000_000,
      number: 1,
      branch: 1,
      epoch: undefined,
      versions: [],
      digests: new Map(),
      opened: new Set(),
      acts: [],
    },
  ]
  #pending: readonly Duty[] = []
  #branches = 1

  constructor(chance: Chance) {
    this.#chance = chance
  }

  get head(): Block {
    const head = this.#blocks.at(-1)
    if (!head) throw new RangeError('a chain has a first block')
    return head
  }

  send(duties: readonly Duty[]): void {
    this.#pending = duties
  }

  /** One more block; in trouble it may be late or full, or others are taken back first. */
  step(isCalm: boolean): void {
    const isBad = !isCalm && this.#chance.below(3) === 0
    if (isBad && this.#chance.below(3) === 0) {
      const gone = this.#blocks.splice(Math.max(1, this.#blocks.length - 1 - this.#chance.below(6)))
      // What was in blocks that are gone comes again, whether or not it still makes sense.
      this.#pending = [...gone.flatMap(({ acts }) => acts), ...this.#pending]
      this.#branches++
    }
    const { now, number } = this.head
    const late = isBad ? this.#chance.below(400) : 0
    const acts = isBad && this.#chance.below(2) === 0 ? [] : this.#pending
    const next = {
      now: now + BLOCK_SECONDS + late,
      number: number + 1,
      branch: this.#branches,
      acts,
    }
    this.#pending = []
    this.#blocks.push(acts.reduce(apply, { ...this.head, ...next }))
  }
}

/** The node: what it has, and what it made so far. */
class SimulatedNode {
  readonly node = new AuditNode()
  /** By root: a node keeps what it committed while it may be audited for it. */
  readonly #accumulators = new Map<string, NodeAccumulator>()
  readonly #transcripts = new Map<string, Transcript>()
  /** All that it ever made, also for what was taken back: the planner must know which counts. */
  readonly #proofs: ProofAtHand[] = []
  #isIdle = false

  /** The proof that a block asks for, if it was made. */
  transcript(block: Block): Transcript | undefined {
    return this.#transcripts.get(askedBy(block))
  }

  /** Sees a block, or the one after it: a node may be busy, but not for long. */
  async see(chain: Chain, chance: Chance): Promise<void> {
    this.#isIdle = !this.#isIdle && chance.below(2) === 0
    if (!this.#isIdle) await this.act(chain)
  }

  async act(chain: Chain): Promise<void> {
    const { head } = chain
    const accumulator = this.node.accumulator()
    this.#accumulators.set(toHex(accumulator.root), accumulator)
    const duties = planDuties(this.#world(head, accumulator))
    for (const duty of duties) if (duty.kind === 'prove') await this.#prove(head)
    chain.send(duties)
  }

  #world(head: Block, holds: Accumulator) {
    const { epoch } = head
    const number = epoch?.number ?? 0
    return {
      node: this.node.node,
      now: head.now,
      block: head.number,
      epochSeconds: EPOCH_SECONDS,
      epoch,
      audited: auditedAt(head),
      committed: head.versions.at(-1),
      holds,
      oldestSigned: undefined,
      proofs: this.#proofs,
      posted: {
        own: head.digests.get(number),
        group: undefined,
        groupPath: undefined,
        isOpened: head.opened.has(number),
      },
      owes: epoch !== undefined && !head.digests.has(number),
      hasAggregator: false,
      disputes: [],
    }
  }

  async #prove(head: Block): Promise<void> {
    const { epoch } = head
    const accumulator = this.#accumulators.get(toHex(auditedAt(head).root))
    assert(epoch && accumulator, 'a node knows what it committed')
    const transcript = await this.node.prove(epoch, accumulator)
    this.#transcripts.set(askedBy(head), transcript)
    const about = { epoch: epoch.number, seed: epoch.seed, root: accumulator.root }
    this.#proofs.push({ ...about, digest: digestTree(transcript).root })
  }
}

function askedBy(block: Block): string {
  return `${block.epoch?.number} ${block.epoch?.seed} ${toHex(auditedAt(block).root)}`
}

/** Checks an epoch whose window has just closed in the calm. */
function judge(last: Block, node: SimulatedNode): void {
  const { epoch } = last
  assert(epoch, 'only an epoch has a window')
  const transcript = node.transcript(last)
  assert(transcript, 'the node proved what was asked')
  const posted = last.digests.get(epoch.number)
  assert(posted, 'the node posted')
  assert.equal(toHex(posted), toHex(digestTree(transcript).root.subarray(0, 28)))
  const isAsked = isDrawn(epoch.seed, node.node.node, epoch.openOdds)
  assert(last.opened.has(epoch.number) || !isAsked, 'the node opened if it had to')
}

async function simulate(chance: Chance): Promise<number> {
  const chain = new Chain(chance)
  const node = new SimulatedNode()
  await node.node.fill(SLOT, [100], chance)
  let judged = 0
  let calmBlocks = 0
  for (let at = 0; at < BLOCKS; at++) {
    const isCalm = Math.floor(at / PHASE_BLOCKS) % 2 === 1
    calmBlocks = isCalm ? calmBlocks + 1 : 0
    if (chance.below(40) === 0) await node.node.fill(SLOT, [1 + chance.below(90)], chance)
    const last = chain.head
    chain.step(isCalm)
    const isOver = isOpen(last) && !isOpen(chain.head)
    if (calmBlocks > CALM_BLOCKS && isOver && auditedAt(last).units > 0) {
      judge(last, node)
      judged++
    }
    await node.see(chain, chance)
  }
  return judged
}

describe('the duties of a node on a chain that misbehaves', () => {
  it(`are done wherever the chain is calm in time, in ${SEEDS} seeds`, async () => {
    let judged = 0
    for (let seed = 0; seed < SEEDS; seed++) {
      judged += await simulate(seededChance(seed)).catch((cause: unknown) => {
        throw new Error(`SEED=${seed}`, { cause })
      })
    }
    assert.isAbove(judged, 3 * SEEDS)
  }).timeout(60_000)
})
