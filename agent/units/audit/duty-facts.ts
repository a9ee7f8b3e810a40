/** Between the ledger's facts as the agent hands them over and what the planner of duties looks at. Pure. */
import { bytesEqual, fromHex, toHex } from '../../base/bytes.ts'
import { nodeId } from '../../base/ids.ts'
import {
  type Accumulator,
  type DutiesWorld,
  type Duty,
  type DutyStore,
  isDrawn,
  type NodeAccumulator,
  type ProofAtHand,
  type SignedCommitment,
} from '../../engines/audit/index.ts'
import type { AuditFacts, LedgerAccumulator } from '../../ledger/types.ts'
import type { AuditUnitConfig } from '../../state/unit-config.ts'
import type { ProofBook } from './proof-book.ts'

/** Bytes of a digest or root that tell it from others in a need's id. */
const ID_BYTES = 8

/** An act that is due, as the agent sends it. */
export interface WantedAct {
  /** Names the need: the same need has the same id. Ids sort by urgency. */
  readonly id: string
  /** Encoded for the contract of audits, hexadecimal. */
  readonly act: string
  readonly why: string
}

/** What the unit has at hand. */
export interface AtHand {
  readonly holds: Accumulator
  /** What it countersigned and still has. */
  readonly signed: readonly SignedCommitment[]
  /** What it committed last, if it knows what that was. */
  readonly committed: NodeAccumulator | undefined
  readonly proofs: readonly ProofAtHand[]
}

/**
 * Builds what the planner of duties looks at.
 *
 * @param config - The ledger's facts and the head.
 * @param atHand - What the unit has.
 * @returns The world; digests go to the ledger directly, through no aggregator.
 */
export function dutiesWorld(config: AuditUnitConfig, atHand: AtHand): DutiesWorld {
  const { facts, head, node } = config
  const epoch = facts.epoch && { ...facts.epoch, seed: BigInt(facts.epoch.seed) }
  const mustOpen = epoch !== undefined && isDrawn(epoch.seed, nodeId(node), epoch.openOdds)
  return {
    node: nodeId(node),
    now: head.time,
    block: head.number,
    epochSeconds: config.epochSeconds,
    epoch,
    audited: accumulatorOf(facts.audited),
    committed: facts.committed && {
      ...accumulatorOf(facts.committed),
      epoch: facts.committed.epoch,
    },
    holds: atHand.holds,
    oldestSigned: oldestUncommitted(atHand),
    proofs: atHand.proofs,
    posted: {
      own: facts.claim === undefined ? undefined : fromHex(facts.claim),
      group: undefined,
      groupPath: undefined,
      isOpened: !mustOpen || facts.isProven,
    },
    owes: facts.owes,
    hasAggregator: false,
    disputes: facts.disputes.map(({ id, state, epoch: about, sample, deadline }) => ({
      id,
      waitsFor: state === 'demanded' ? 'slot' : state === 'located' ? 'answer' : 'location',
      epoch: about,
      sample,
      deadline,
    })),
  }
}

/** Epoch of the oldest commitment that was countersigned and is not in what the node committed. */
function oldestUncommitted({ signed, committed }: AtHand): number | undefined {
  const epochs = signed
    .filter(({ commitment }) => {
      const there = committed?.find(commitment)?.commitment
      return !there || !bytesEqual(there.root, commitment.root)
    })
    .map(({ commitment }) => commitment.epoch)
  return epochs.length === 0 ? undefined : Math.min(...epochs)
}

/**
 * What acts are made from.
 *
 * @param config - The ledger's facts.
 * @param books - Transcripts, and accumulators by root.
 * @returns What `dutyAct` reads.
 */
export function storeOfDuties(
  { node, facts }: AuditUnitConfig,
  books: {
    readonly proofs: ProofBook
    readonly accumulator: (root: string) => NodeAccumulator | undefined
  },
): DutyStore {
  return {
    node: nodeId(node),
    transcript: (epoch) => books.proofs.transcript(epoch),
    accumulator: (epoch) => books.accumulator(rootIn(facts, epoch)),
    groupPath: () => [],
    demanded: (dispute) => facts.disputes.find(({ id }) => id === dispute)?.slot,
  }
}

function rootIn(facts: AuditFacts, epoch: number): string {
  return epoch === facts.epoch?.number ? facts.audited.root : facts.auditedBefore.root
}

/**
 * Names the need that a duty meets.
 *
 * @param duty - As planned.
 * @param config - The ledger's facts.
 * @param rank - Its place among the duties, the most urgent first.
 * @returns Id and reason; a chain that took back a draw makes another need of the same duty.
 */
export function needOf(
  duty: Duty,
  { facts }: AuditUnitConfig,
  rank: number,
): Omit<WantedAct, 'act'> {
  const seed = facts.epoch?.seed ?? '0'
  const named = (what: string, why: string) => ({ id: `audit/${URGENCY[duty.kind]}/${what}`, why })
  switch (duty.kind) {
    case 'locate':
    case 'answer':
      return named(`${duty.kind}/${duty.dispute}`, `dispute ${duty.dispute} asks for it`)
    case 'show':
      return named(`show/${duty.dispute}`, `dispute ${duty.dispute} demands a slot`)
    case 'open':
      return named(`open/${duty.epoch}/${seed}`, `epoch ${duty.epoch} drew this node`)
    case 'post': {
      const digest = toHex(duty.digest.subarray(0, ID_BYTES))
      return named(`post/${duty.epoch}/${digest}`, `epoch ${duty.epoch} is proved`)
    }
    case 'draw':
      return named(`draw/${duty.epoch}/${seed}`, `epoch ${duty.epoch} is due`)
    case 'commit': {
      const root = toHex(duty.root.subarray(0, ID_BYTES))
      return named(
        `commit/${facts.epoch?.number ?? 0}/${root}`,
        `this node stands for ${duty.units} units`,
      )
    }
    default:
      return named(`${duty.kind}/${rank}`, 'nothing is sent')
  }
}

/** Ids are sent in their order. */
const URGENCY: Readonly<Record<Duty['kind'], number>> = {
  locate: 0,
  answer: 0,
  show: 0,
  open: 1,
  post: 1,
  send: 1,
  prove: 1,
  draw: 2,
  commit: 3,
}

function accumulatorOf({ root, units }: LedgerAccumulator): Accumulator {
  return { root: fromHex(root), units }
}
