/** Commits for tests of the log alone: a keyed hash in place of encryption and signature, an epoch, and the chain. */
import { createHash } from 'node:crypto'
import { isNodeError } from '../../agent/base/errors.ts'
import type { OwnHistory, RecordSeal } from '../../agent/engines/disperse/index.ts'
import { plainSealer } from './memory-commit-store.ts'

const EPOCH_BYTES = 4
const HASH_BYTES = 32

/** A seal that knows the commits of {@link plainRecord}. */
export function plainRecordSeal(): RecordSeal {
  const sealer = plainSealer()
  return {
    seal: (sequence, plain) => sealer.seal(sequence, plain),
    open: (sequence, sealed) => sealer.open(sequence, sealed),
    inspect(sequence, record) {
      try {
        const plain = Buffer.from(sealer.open(sequence, record))
        if (plain.byteLength < EPOCH_BYTES + HASH_BYTES) return undefined
        const previous = plain.subarray(EPOCH_BYTES, EPOCH_BYTES + HASH_BYTES)
        return { epoch: plain.readUInt32BE(0), hash: hashOf(record), previous }
      } catch (caught) {
        if (isNodeError(caught)) return undefined
        throw caught
      }
    },
  }
}

/** A commit. @param previous - The record before it, undefined for the first. */
export function plainRecord(
  sequence: number,
  epoch: number,
  previous: Uint8Array | undefined,
  text = '',
): Uint8Array {
  const head = Buffer.alloc(EPOCH_BYTES)
  head.writeUInt32BE(epoch)
  const before = previous ? hashOf(previous) : Buffer.alloc(HASH_BYTES)
  return plainSealer().seal(sequence, Buffer.concat([head, before, Buffer.from(text)]))
}

/** A writer's own disk, in memory. */
export class OwnRecords implements OwnHistory {
  readonly records = new Map<number, Uint8Array>()
  readonly snapshots = new Map<number, Uint8Array>()

  get lastSequence(): number {
    return Math.max(0, ...this.records.keys(), ...this.snapshots.keys())
  }

  get checkpoints(): readonly number[] {
    return [...this.snapshots.keys()].sort((a, b) => b - a)
  }

  commit(sequence: number): Uint8Array | undefined {
    return this.records.get(sequence)
  }

  checkpoint(sequence: number): Uint8Array | undefined {
    return this.snapshots.get(sequence)
  }
}

function hashOf(record: Uint8Array): Buffer {
  return createHash('sha256').update(record).digest()
}
