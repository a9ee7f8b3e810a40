/** Lets the commit log see where a commit stands, which only this engine can read. */
import { openVersion } from './history.ts'
import type { CommitSealer } from './ports.ts'

/** A seal that can tell where an authentic commit stands; satisfies `RecordSeal` of `engines/disperse`. */
export interface CommitSeal extends CommitSealer {
  /** @returns Undefined if it is not an authentic commit of that sequence. */
  inspect(
    sequence: number,
    record: Uint8Array,
  ): { epoch: number; hash: Uint8Array; previous: Uint8Array } | undefined
}

/**
 * Adds to a sealer what the commit log needs to know of commits.
 *
 * @example
 * openDispersal({ ...init, seal: recordSeal(sealer) })
 */
export function recordSeal(sealer: CommitSealer): CommitSeal {
  return {
    seal: (sequence, plain) => sealer.seal(sequence, plain),
    open: (sequence, sealed) => sealer.open(sequence, sealed),
    inspect(sequence, record) {
      const link = openVersion(sequence, record, sealer)
      return link && { epoch: link.epoch, hash: link.hash, previous: link.commit.previous }
    },
  }
}
