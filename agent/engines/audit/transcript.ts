/** What a node shows of one epoch to whoever asks: every sample with its paths, so that all of it can be checked off chain. */
import { required } from '../../base/assert.ts'
import type { NodeId } from '../../base/ids.ts'
import type { Entry } from './entry.ts'
import { BinaryTree } from './tree/binary-tree.ts'

/** One sample. */
export interface ShownSample {
  /** State before it, 32 bytes. */
  readonly earlier: Uint8Array
  /** The bytes it asked for, 32. */
  readonly unit: Uint8Array
  /** Which of the transcript's entries it falls into. */
  readonly entry: number
  /** The unit's paths, as `IAudits.answer` takes them. */
  readonly opening: Uint8Array
}

/** All samples of a node in an epoch. */
export interface Transcript {
  readonly node: NodeId
  readonly epoch: number
  /** State after each sample, `[samples]` of 32 bytes: the leaves of the digest. */
  readonly states: readonly Uint8Array[]
  /** `[samples]`, in the order of the samples. */
  readonly samples: readonly ShownSample[]
  /** Slots that samples fall into, each once. */
  readonly entries: readonly Entry[]
}

/** Which bytes a node claimed for a sample, as `IAudits.Location`. */
export interface Location {
  readonly earlier: Uint8Array
  readonly unit: Uint8Array
  readonly digest: Uint8Array
  /** Siblings from the digest up to the root of its group; empty for a digest that the node posted. */
  readonly groupPath: Uint8Array[]
  readonly statePath: Uint8Array[]
  readonly entry: Entry
}

/**
 * The tree over a transcript's states.
 *
 * @param transcript - With at least one state.
 * @returns The tree; its root is the digest.
 * @example
 * digestTree(transcript).root.subarray(0, POSTED_BYTES)
 */
export function digestTree(transcript: Pick<Transcript, 'states'>): BinaryTree {
  return new BinaryTree(transcript.states)
}

/**
 * Says which bytes were claimed for a sample.
 *
 * @param transcript - What was shown.
 * @param sample - From 1.
 * @param groupPath - From the digest up to what an aggregator posted; empty if the node posted its own.
 * @returns The location, as contracts take it.
 * @example
 * locate(transcript, 12, [])
 */
export function locate(
  transcript: Transcript,
  sample: number,
  groupPath: readonly Uint8Array[],
): Location {
  const shown = required(transcript.samples[sample - 1], 'a sample that is located was shown')
  const tree = digestTree(transcript)
  return {
    earlier: shown.earlier,
    unit: shown.unit,
    digest: tree.root,
    groupPath: [...groupPath],
    statePath: tree.path(sample - 1),
    entry: required(transcript.entries[shown.entry], 'an entry that is located was shown'),
  }
}
