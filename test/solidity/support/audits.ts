/** Nodes that prove on a real chain: shards, trees and plans of the engine, acts through the contract. */
import type { ContractTransactionReceipt, Signer } from 'ethers'
import { fromHex, toHex } from '../../../agent/base/bytes.ts'
import { account, nodeId, orderId } from '../../../agent/base/ids.ts'
import type { Chance } from '../../../agent/base/ports.ts'
import {
  type AuditAct,
  type AuditClaim,
  type AuditDomain,
  type Duty,
  digestTree,
  dutyAct,
  type EpochFacts,
  type NodeAccumulator,
  type OpenDispute,
  POSTED_BYTES,
  planDuties,
  type SlotName,
  type Transcript,
} from '../../../agent/engines/audit/index.ts'
import { AuditNode, WRITER } from '../../support/audit-node.ts'
import type { TestGrid, TestNode } from './grid.ts'

/** What an aggregator gave a node. */
export interface Batch {
  readonly root: Uint8Array
  readonly groupPath: readonly Uint8Array[]
}

const WAITS: readonly (OpenDispute['waitsFor'] | undefined)[] = [
  undefined,
  'location',
  'answer',
  'slot',
]
/** Rounds of plan and act after which a node that still has something to do is stuck. */
const ROUNDS_MAX = 12

/** Where commitments count on a test grid. */
export async function domainOf(grid: TestGrid): Promise<AuditDomain> {
  const { chainId } = await grid.connection.ethers.provider.getNetwork()
  const audits = await grid.contracts.audits.getAddress()
  return { chainId: Number(chainId), audits: account(audits) }
}

/** Sends an act of the engine as it is. */
export async function send(
  grid: TestGrid,
  from: Signer,
  act: AuditAct | undefined,
): Promise<ContractTransactionReceipt> {
  if (!act) throw new TypeError('there is nothing to send')
  const contract = grid.contracts.audits.connect(from)
  const sent = await contract.getFunction(act.method)(...act.args)
  return sent.wait()
}

/** The newest epoch. */
export async function epochFacts(grid: TestGrid): Promise<EpochFacts | undefined> {
  const number = Number(await grid.contracts.audits.epoch())
  if (number === 0) return undefined
  const view = await grid.contracts.audits.epochs(number)
  return {
    number,
    seed: view.seed,
    drawnAt: Number(view.drawnAt),
    dueAt: Number(view.dueAt),
    dueBlock: Number(view.dueBlock),
    samples: Number(view.samples),
    openOdds: Number(view.openOdds),
  }
}

/** A registered node with shards of its own, that does its duties as the engine plans them. */
export class ProvingNode {
  readonly grid: TestGrid
  readonly test: TestNode
  readonly audit: AuditNode
  readonly transcripts = new Map<number, Transcript>()
  /** What it posted itself, by epoch. */
  readonly posted = new Map<number, Uint8Array>()
  /** Slots that it leaves out of what it commits. */
  hidden: SlotName[] = []
  /** Where its digests go first. */
  aggregator: ((node: ProvingNode, digest: Uint8Array) => void) | undefined
  /** What its aggregator posted and gave it, by epoch. */
  readonly batches = new Map<number, Batch>()
  /** Slots that disputes demand. */
  readonly demanded = new Map<number, SlotName>()
  /** By root: all that it ever committed. */
  readonly #accumulators = new Map<string, NodeAccumulator>()

  constructor(grid: TestGrid, test: TestNode, domain: AuditDomain) {
    this.grid = grid
    this.test = test
    this.audit = new AuditNode({ node: nodeId(test.id), domain, writer: WRITER, epoch: 0 })
  }

  get id(): number {
    return this.audit.node
  }

  /** Stands for another slot with shards of these lengths. */
  async hold(order: bigint, lengths: readonly number[], chance: Chance): Promise<SlotName> {
    const { generation } = await this.grid.contracts.orders.slotOf(order, 0)
    const slot = { order: orderId(order), slot: 0, generation: Number(generation) }
    await this.audit.fill(slot, lengths, chance)
    return slot
  }

  /** Keeps the accumulator of what it holds, as it does of whatever it commits. */
  remember(): void {
    const accumulator = this.audit.accumulator(this.hidden)
    this.#accumulators.set(`0x${toHex(accumulator.root)}`, accumulator)
  }

  /** Plans and acts until nothing is left to do now; some duties may be left undone. */
  async work(skip: readonly Duty['kind'][] = []): Promise<readonly string[]> {
    const done: string[] = []
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const [duty] = (await this.#plan()).filter(({ kind }) => !skip.includes(kind))
      if (!duty || (duty.kind === 'send' && done.includes('send'))) return done
      await this.#perform(duty)
      done.push(duty.kind)
    }
    throw new RangeError(`node ${this.id} is never done: ${done.join(', ')}`)
  }

  /** Posts a digest of its own making. */
  async post(epoch: number, digest: Uint8Array): Promise<void> {
    const posted = digest.slice(0, POSTED_BYTES)
    await send(this.grid, this.test.wallet, { method: 'postDigest', args: [epoch, posted] })
    this.posted.set(epoch, posted)
  }

  async audited(epoch: number): Promise<NodeAccumulator> {
    const { root } = await this.grid.contracts.audits.accumulatorOf(this.id, epoch)
    const known = this.#accumulators.get(root)
    if (!known) throw new RangeError(`node ${this.id} never committed ${root}`)
    return known
  }

  /** What a watcher reads of this node in the newest epoch. */
  async claim(): Promise<AuditClaim> {
    const epoch = await epochFacts(this.grid)
    if (!epoch) throw new TypeError('no epoch has begun')
    const view = await this.grid.contracts.audits.accumulatorOf(this.id, epoch.number)
    const own = this.posted.get(epoch.number)
    const batch = this.batches.get(epoch.number)
    const root = own ?? batch?.root
    if (!root) throw new TypeError('nothing was posted')
    return {
      node: this.audit.node,
      epoch: epoch.number,
      seed: epoch.seed,
      samples: epoch.samples,
      accumulator: { root: fromHex(view.root), units: Number(view.units) },
      posted: { by: own ? 'node' : 'aggregator', root },
    }
  }

  /** From its digest up to what was posted. */
  groupPath(epoch: number): readonly Uint8Array[] {
    return this.posted.has(epoch) ? [] : (this.batches.get(epoch)?.groupPath ?? [])
  }

  async #perform(duty: Duty): Promise<void> {
    const epoch = await epochFacts(this.grid)
    if (duty.kind === 'prove' && epoch) {
      const accumulator = await this.audited(epoch.number)
      this.transcripts.set(epoch.number, await this.audit.prove(epoch, accumulator))
      return
    }
    if (duty.kind === 'send') return this.aggregator?.(this, duty.digest)
    if (duty.kind === 'post') return this.post(duty.epoch, duty.digest)
    if (duty.kind === 'commit') this.remember()
    const accumulator = duty.kind === 'show' ? await this.audited(duty.epoch) : undefined
    const act = dutyAct(duty, {
      node: this.audit.node,
      transcript: (number) => this.transcripts.get(number),
      accumulator: () => accumulator,
      groupPath: (number) => this.groupPath(number),
      demanded: (dispute) => this.demanded.get(dispute),
    })
    await send(this.grid, this.test.wallet, act)
  }

  async #plan(): Promise<readonly Duty[]> {
    const { audits, policy } = this.grid.contracts
    const epoch = await epochFacts(this.grid)
    const number = epoch?.number ?? 0
    const block = await this.grid.connection.ethers.provider.getBlock('latest')
    const audited = await audits.accumulatorOf(this.id, number)
    const newest = await audits.accumulatorOf(this.id, number + 1)
    const transcript = this.transcripts.get(number)
    const root = fromHex(audited.root)
    const drawn = number > 0 && (await audits.isDrawn(this.id, number))
    const batch = this.batches.get(number)
    return planDuties({
      node: this.audit.node,
      now: block?.timestamp ?? 0,
      block: block?.number ?? 0,
      epochSeconds: Number((await policy.auditTerms()).epochSeconds),
      epoch,
      audited: { root, units: Number(audited.units) },
      committed: newest.exists
        ? {
            root: fromHex(newest.root),
            units: Number(newest.units),
            epoch: Number(newest.epoch),
          }
        : undefined,
      owes: await audits.owes(this.id, number),
      holds: this.audit.accumulator(this.hidden),
      oldestSigned: undefined,
      proofs:
        transcript && epoch
          ? [{ epoch: number, seed: epoch.seed, root, digest: digestTree(transcript).root }]
          : [],
      posted: {
        own: this.posted.get(number),
        group: batch?.root,
        groupPath: batch?.groupPath,
        isOpened: !drawn || (await this.#isOpened(number)),
      },
      hasAggregator: this.aggregator !== undefined,
      disputes: await this.#disputes(),
    })
  }

  async #isOpened(epoch: number): Promise<boolean> {
    const { audits } = this.grid.contracts
    const events = await audits.queryFilter(audits.filters.SampleOpened(epoch, this.id))
    return events.length > 0
  }

  async #disputes(): Promise<OpenDispute[]> {
    const { audits } = this.grid.contracts
    const count = Number(await audits.disputeCount())
    const found: OpenDispute[] = []
    for (let id = 1; id <= count; id++) {
      const view = await audits.disputes(id)
      const waitsFor = WAITS[Number(view.state)]
      if (Number(view.node) !== this.id || !waitsFor) continue
      const [epoch, sample, deadline] = [view.epoch, view.sample, view.deadline].map(Number)
      found.push({ id, waitsFor, epoch: epoch ?? 0, sample: sample ?? 0, deadline: deadline ?? 0 })
    }
    return found
  }
}
