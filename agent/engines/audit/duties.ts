/**
 * Plans what a node must do about audits now, from what the ledger says at its newest block and what the node has at hand.
 *
 * Pure and level-triggered: nothing is remembered between calls, so a reorganised chain, a lost transaction or a restart
 * only make the same duty come up again. Every duty names the end to reach and is harmless when repeated.
 */
import { bytesEqual } from '../../base/bytes.ts'
import type { NodeId } from '../../base/ids.ts'
import { spread } from '../../base/spread.ts'
import {
  COMMIT_EPOCH_PART,
  FALLBACK_WINDOW_PART,
  POSTED_BYTES,
  SPREAD_EPOCH_PART,
  SPREAD_SECONDS,
} from './constants.ts'
import type { Accumulator } from './entry.ts'
import { isDrawn } from './sampling.ts'
import { isPosted } from './verify.ts'

/** The newest epoch, as drawn. */
export interface EpochFacts {
  /** From 1. */
  readonly number: number
  readonly seed: bigint
  /** Seconds. */
  readonly drawnAt: number
  readonly dueAt: number
  readonly dueBlock: number
  readonly samples: number
  readonly openOdds: number
}

/** A dispute that waits for the node. */
export interface OpenDispute {
  readonly id: number
  readonly waitsFor: 'location' | 'answer' | 'slot'
  readonly epoch: number
  /** From 1; 0 where a slot is demanded. */
  readonly sample: number
  /** Seconds; a reply counts until then. */
  readonly deadline: number
}

/** A transcript that the node has made; which one, so that one of a seed that the chain took back is not used. */
export interface ProofAtHand {
  readonly epoch: number
  readonly seed: bigint
  /** Root of the accumulator that it is about. */
  readonly root: Uint8Array
  /** 32 bytes. */
  readonly digest: Uint8Array
}

/** What was posted for the node in the newest epoch. */
export interface PostedFacts {
  /** Its own digest, 28 bytes. */
  readonly own: Uint8Array | undefined
  /** What its aggregator posted for the group, if the node's bit is set: 28 bytes. */
  readonly group: Uint8Array | undefined
  /** What the aggregator gave as the way from the digest to that root. */
  readonly groupPath: readonly Uint8Array[] | undefined
  /** True if the sample was opened, or none has to be. */
  readonly isOpened: boolean
}

/** What the planner looks at. */
export interface DutiesWorld {
  readonly node: NodeId
  /** The ledger's time at the newest head, seconds. */
  readonly now: number
  /** Its number. */
  readonly block: number
  /** Of policy: shortest time between draws; 0 while audits are off. */
  readonly epochSeconds: number
  /** Undefined before the first. */
  readonly epoch: EpochFacts | undefined
  /** What the node is audited for in the newest epoch. */
  readonly audited: Accumulator
  /** What it committed last, and in which epoch (0 before the first); undefined if it never did. */
  readonly committed: (Accumulator & { readonly epoch: number }) | undefined
  /** What it could stand for now: all that it countersigned and still has. */
  readonly holds: Accumulator
  /** Epoch of the oldest commitment that it countersigned and has not committed yet. */
  readonly oldestSigned: number | undefined
  readonly proofs: readonly ProofAtHand[]
  readonly posted: PostedFacts
  /** True if the contract asks the node for something in the newest epoch that was not posted. */
  readonly owes: boolean
  /** True if the node's digests go through an aggregator. */
  readonly hasAggregator: boolean
  readonly disputes: readonly OpenDispute[]
}

/** An end to reach. */
export type Duty =
  | {
      readonly kind: 'locate' | 'answer'
      readonly dispute: number
      readonly epoch: number
      readonly sample: number
    }
  | { readonly kind: 'show'; readonly dispute: number; readonly epoch: number }
  | { readonly kind: 'draw'; readonly epoch: number }
  | { readonly kind: 'prove'; readonly epoch: number; readonly seed: bigint }
  | { readonly kind: 'open'; readonly epoch: number }
  | { readonly kind: 'send' | 'post'; readonly epoch: number; readonly digest: Uint8Array }
  | { readonly kind: 'commit'; readonly root: Uint8Array; readonly units: number }

/**
 * Computes the duties of a node.
 *
 * @param world - The ledger, and what is at hand.
 * @returns Most urgent first: replies in disputes by deadline, the newest epoch, the next draw, a new commitment.
 * @example
 * for (const duty of planDuties(world)) await perform(duty, signal)
 */
export function planDuties(world: DutiesWorld): readonly Duty[] {
  return [...planReplies(world), ...planEpoch(world), ...planDraw(world), ...planCommitment(world)]
}

/** Replies that still count; those about a sample need a transcript, which is made anew if it is lost. */
function planReplies(world: DutiesWorld): Duty[] {
  const due = world.disputes
    .filter(({ deadline }) => world.now <= deadline)
    .toSorted((a, b) => a.deadline - b.deadline || a.id - b.id)
  return due.flatMap(({ id, waitsFor, epoch, sample }): Duty[] => {
    if (waitsFor === 'slot') return [{ kind: 'show', dispute: id, epoch }]
    const kind = waitsFor === 'location' ? 'locate' : 'answer'
    return hasProof(world, epoch) ? [{ kind, dispute: id, epoch, sample }] : []
  })
}

/** Of the epoch before the newest the seed is no longer looked at: that far back no chain is taken back in time. */
function hasProof({ proofs, epoch, audited }: DutiesWorld, about: number): boolean {
  if (epoch?.number !== about) return proofs.some((proof) => proof.epoch === about)
  return proofs.some((proof) => isProofOf(proof, epoch, audited))
}

/** What the newest epoch asks: a proof, an opened sample, a posted digest. */
function planEpoch(world: DutiesWorld): Duty[] {
  const { epoch, audited, node, posted } = world
  if (!epoch) return []
  if (audited.units === 0) return planNothing(world, epoch)
  const proof = world.proofs.find((one) => isProofOf(one, epoch, audited))
  const isAsked = isWindowOpen(world, epoch) || world.disputes.some((one) => asksFor(one, epoch))
  if (!proof) return isAsked ? [{ kind: 'prove', epoch: epoch.number, seed: epoch.seed }] : []
  if (!isWindowOpen(world, epoch)) return []
  const opens = !posted.isOpened && isDrawn(epoch.seed, node, epoch.openOdds)
  return [
    ...(opens ? [{ kind: 'open', epoch: epoch.number } as const] : []),
    ...planDigest(world, epoch, proof.digest),
  ]
}

/** A node with slots of which nobody signed anything says so each epoch, or it counts as one that keeps nothing. */
function planNothing(world: DutiesWorld, epoch: EpochFacts): Duty[] {
  const digest = new Uint8Array(POSTED_BYTES)
  const isDue = world.owes && isWindowOpen(world, epoch)
  return isDue ? [{ kind: 'post', epoch: epoch.number, digest }] : []
}

function planDigest(world: DutiesWorld, epoch: EpochFacts, digest: Uint8Array): Duty[] {
  const { node, posted, hasAggregator } = world
  const post: Duty = { kind: 'post', epoch: epoch.number, digest }
  if (posted.own) {
    // Its own outranks the group's, so a wrong one of its own must be mended.
    const isRight = isPosted(digest, { node, posted: { by: 'node', root: posted.own } }, [])
    return isRight ? [] : [post]
  }
  if (!hasAggregator) return [post]
  if (posted.group && posted.groupPath) {
    const claim = { node, posted: { by: 'aggregator', root: posted.group } } as const
    return isPosted(digest, claim, posted.groupPath) ? [] : [post]
  }
  // A root whose path is not known may be a lie, and then only the node's own digest helps.
  if (world.now >= fallbackAt(world, epoch)) return [post]
  return [{ kind: 'send', epoch: epoch.number, digest }]
}

function planDraw({ epoch, epochSeconds, node, now, block }: DutiesWorld): Duty[] {
  if (epochSeconds === 0) return []
  const number = epoch?.number ?? 0
  const isClosed = !epoch || (now > epoch.dueAt && block > epoch.dueBlock)
  const dueAt = (epoch?.drawnAt ?? 0) + epochSeconds
  // All nodes may draw and one must, so each waits for another while, and the one that comes first spares the others.
  if (!isClosed || now < dueAt + spread(node, number, spreadOf(epochSeconds))) return []
  return [{ kind: 'draw', epoch: number + 1 }]
}

/** Once an epoch, late enough to cover what came in it; at once where something signed is overdue. */
function planCommitment(world: DutiesWorld): Duty[] {
  const { committed, holds, epoch, now, node, epochSeconds } = world
  if (epochSeconds === 0) return []
  const commit: Duty = { kind: 'commit', root: holds.root, units: holds.units }
  // Also that it holds nothing: who never committed is taken for one that keeps nothing.
  if (!committed) return [commit]
  if (isSame(committed, holds)) return []
  if (!epoch) return [commit]
  const isOverdue = world.oldestSigned !== undefined && world.oldestSigned < epoch.number
  if (isOverdue) return [commit]
  const at = epoch.drawnAt + epochSeconds * COMMIT_EPOCH_PART
  const isTime = now >= at - spread(node, epoch.number, spreadOf(epochSeconds))
  return committed.epoch < epoch.number && isTime ? [commit] : []
}

function isProofOf(proof: ProofAtHand, epoch: EpochFacts, audited: Accumulator): boolean {
  const isEpoch = proof.epoch === epoch.number && proof.seed === epoch.seed
  return isEpoch && bytesEqual(proof.root, audited.root)
}

function asksFor(dispute: OpenDispute, epoch: EpochFacts): boolean {
  return dispute.epoch === epoch.number && dispute.sample > 0
}

function isWindowOpen({ now, block }: DutiesWorld, epoch: EpochFacts): boolean {
  return now <= epoch.dueAt || block <= epoch.dueBlock
}

/** When a node no longer waits for its aggregator. */
function fallbackAt({ node }: DutiesWorld, epoch: EpochFacts): number {
  const windowSeconds = epoch.dueAt - epoch.drawnAt
  const left = windowSeconds * FALLBACK_WINDOW_PART
  return epoch.dueAt - left + spread(node, epoch.number, Math.min(SPREAD_SECONDS, left / 2))
}

function isSame(a: Accumulator, b: Accumulator): boolean {
  return a.units === b.units && (b.units === 0 || bytesEqual(a.root, b.root))
}

/** Over how many seconds nodes spread what all of them could do at once. */
function spreadOf(epochSeconds: number): number {
  return Math.min(SPREAD_SECONDS, epochSeconds * SPREAD_EPOCH_PART)
}
