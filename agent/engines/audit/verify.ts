/**
 * Checks a transcript off chain, whole, and says of each sample that is not what it should be which act settles the doubt.
 *
 * Everything that the contract would look at in a dispute is looked at here, so a watcher doubts only what a node could not
 * defend, and what is found sound here is answered there.
 */
import { required } from '../../base/assert.ts'
import { bytesEqual } from '../../base/bytes.ts'
import { NODE_BYTES } from '../../base/hash-blocks.ts'
import type { NodeId } from '../../base/ids.ts'
import type { AuditAct } from './acts.ts'
import type { AuditDomain } from './commitment.ts'
import { GROUP_LEVELS, GROUP_NODES, POSTED_BYTES } from './constants.ts'
import {
  type Accumulator,
  type Entry,
  type IsWriter,
  isSignedByWriter,
  unitsBefore,
} from './entry.ts'
import { checkOpening } from './opening.ts'
import { firstState, follows, unitAfter } from './sampling.ts'
import { digestTree, locate, type ShownSample, type Transcript } from './transcript.ts'
import { binaryRoot } from './tree/binary-tree.ts'

/** What the ledger says of a node in an epoch. */
export interface AuditClaim {
  readonly node: NodeId
  readonly epoch: number
  readonly seed: bigint
  readonly samples: number
  /** What the node is audited for in this epoch. */
  readonly accumulator: Accumulator
  /** What was posted for it: its own digest, or the root of its group; 28 bytes. */
  readonly posted: { readonly by: 'node' | 'aggregator'; readonly root: Uint8Array }
}

/** What a watcher needs to check a node. */
export interface VerifyInit {
  readonly claim: AuditClaim
  readonly domain: AuditDomain
  readonly isWriter: IsWriter
  /** What the node shows, undefined if it shows nothing. */
  readonly transcript: Transcript | undefined
  /** From the node's digest up to its group's root, if an aggregator posted. */
  readonly groupPath?: readonly Uint8Array[]
  /** The sample to doubt where all of them are in doubt, from 1. */
  readonly anySample?: number
}

/** Why a sample is doubted. */
export type DoubtReason =
  /** The node shows nothing, or a transcript that is not of what was posted: any sample may be asked for. */
  | 'not-shown'
  /** The bytes shown were not hashed into the state that follows. */
  | 'state-unexplained'
  /** The state before the sample is not the one that the digest has there. */
  | 'chain-broken'
  /** No slot is shown that the node committed, that its writer signed, and that the sample falls into. */
  | 'slot-not-shown'
  /** The bytes claimed are not shown to be those of the slot. */
  | 'unit-not-shown'

/** A sample that is not what it should be. */
export interface Doubt {
  /** From 1. */
  readonly sample: number
  readonly reason: DoubtReason
  /** What makes the node defend it, or proves it wrong at once. */
  readonly act: AuditAct
}

/**
 * Checks what a node shows of an epoch.
 *
 * @param init - What the ledger says, and what the node shows; the latter is not trusted.
 * @returns `[n]` doubts by ascending sample; none if everything is sound. A transcript that is not of what was posted is one
 *   doubt.
 * @example
 * const doubts = await verifyTranscript({ claim, domain, isWriter, transcript })
 */
export async function verifyTranscript(init: VerifyInit): Promise<readonly Doubt[]> {
  const { claim, transcript } = init
  if (!transcript || !isOfClaim(transcript, claim, init.groupPath ?? [])) {
    const sample = init.anySample ?? 1
    return [{ sample, reason: 'not-shown', act: challenge(claim, sample) }]
  }
  const places = await placeEntries(init, transcript)
  return transcript.samples.flatMap(
    (shown, at) => checkSample(init, transcript, places, shown, at + 1) ?? [],
  )
}

/** True if the transcript has the epoch's samples and its digest is what was posted. */
function isOfClaim(
  transcript: Transcript,
  claim: AuditClaim,
  groupPath: readonly Uint8Array[],
): boolean {
  const { states, samples } = transcript
  const isWhole = states.length === claim.samples && samples.length === claim.samples
  const isOf = transcript.node === claim.node && transcript.epoch === claim.epoch
  if (!isWhole || !isOf || states.some((state) => state.byteLength !== NODE_BYTES)) return false
  return isPosted(digestTree(transcript).root, claim, groupPath)
}

/**
 * Tells whether a digest is what was posted for a node.
 *
 * @param digest - 32 bytes.
 * @param claim - The node, and what was posted.
 * @param groupPath - From the digest up to its group's root, `[8]`; not read if the node posted itself.
 * @returns True if it is.
 * @example
 * isPosted(tree.root, { node, posted: { by: 'aggregator', root } }, path)
 */
export function isPosted(
  digest: Uint8Array,
  claim: Pick<AuditClaim, 'node' | 'posted'>,
  groupPath: readonly Uint8Array[],
): boolean {
  const { by, root } = claim.posted
  if (by === 'node') return bytesEqual(digest.subarray(0, POSTED_BYTES), root)
  if (groupPath.length !== GROUP_LEVELS) return false
  const top = binaryRoot(digest, claim.node % GROUP_NODES, groupPath)
  return top !== undefined && bytesEqual(top.subarray(0, POSTED_BYTES), root)
}

/** Where each entry is; undefined for those that are not in the accumulator or that no writer signed. */
async function placeEntries(
  { claim, domain, isWriter }: VerifyInit,
  transcript: Transcript,
): Promise<readonly (number | undefined)[]> {
  const used = new Set(transcript.samples.map(({ entry }) => entry))
  return Promise.all(
    transcript.entries.map(async (entry, at) => {
      if (!used.has(at) || entry.commitment.node !== claim.node) return undefined
      const before = unitsBefore(entry, claim.accumulator)
      if (before === undefined) return undefined
      return (await isSignedByWriter(domain, entry, isWriter)) ? before : undefined
    }),
  )
}

function checkSample(
  { claim, groupPath = [] }: VerifyInit,
  transcript: Transcript,
  places: readonly (number | undefined)[],
  shown: ShownSample,
  sample: number,
): Doubt | undefined {
  const state = required(transcript.states[sample - 1], 'there is a state for each sample')
  if (!follows(shown, state)) {
    return { sample, reason: 'state-unexplained', act: challenge(claim, sample) }
  }
  const prior = transcript.states[sample - 2]
  if (!bytesEqual(shown.earlier, prior ?? firstState(claim.seed, claim.node, claim.epoch))) {
    return {
      sample,
      reason: 'chain-broken',
      act: proveBroken(claim, transcript, shown, sample, groupPath),
    }
  }
  const entry = transcript.entries[shown.entry]
  const before = places[shown.entry]
  const unit = unitAfter(shown.earlier, claim.accumulator.units)
  if (!entry || before === undefined || !holds(entry, before, unit)) {
    return { sample, reason: 'slot-not-shown', act: challenge(claim, sample) }
  }
  const wanted = { slot: entry.commitment, unitNumber: unit - before, unit: shown.unit }
  if (checkOpening(shown.opening, wanted)) return undefined
  const location = locate(transcript, sample, groupPath)
  const args = [claim.node, claim.epoch, sample, location] as const
  return { sample, reason: 'unit-not-shown', act: { method: 'challengeLocated', args } }
}

function holds({ commitment }: Entry, before: number, unit: number): boolean {
  return unit >= before && unit - before < commitment.units
}

function challenge({ node, epoch }: AuditClaim, sample: number): AuditAct {
  return { method: 'challenge', args: [node, epoch, sample] }
}

function proveBroken(
  { node, epoch }: AuditClaim,
  transcript: Transcript,
  shown: ShownSample,
  sample: number,
  groupPath: readonly Uint8Array[],
): AuditAct {
  const tree = digestTree(transcript)
  const location = {
    earlier: shown.earlier,
    unit: shown.unit,
    digest: tree.root,
    groupPath: [...groupPath],
    statePath: tree.path(sample - 1),
    // The contract does not look at it, but takes one.
    entry: required(transcript.entries[shown.entry] ?? transcript.entries[0], 'a slot was shown'),
  }
  const prior = transcript.states[sample - 2] ?? new Uint8Array(NODE_BYTES)
  const priorPath = sample > 1 ? tree.path(sample - 2) : []
  return { method: 'proveBroken', args: [node, epoch, sample, location, prior, priorPath] }
}
