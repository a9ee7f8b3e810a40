/** Stores in memory for the benchmark of the file system: as little work as a store can do, so that the volume's shows. */
import { createHash } from 'node:crypto'
import { NodeError } from '../../agent/base/errors.ts'
import { KIB } from '../../agent/base/units.ts'
import type {
  ByteSource,
  ChunkRun,
  ChunkStore,
  CommitSealer,
  CommitStore,
} from '../../agent/engines/files/index.ts'

const CHUNK_BYTES = 256 * KIB

/**
 * Makes a chunk store that copies and keeps.
 *
 * @param isAway - It takes nothing, as if the stores did not answer.
 * @returns The store.
 */
export function benchChunks(isAway: boolean): ChunkStore {
  const chunks = new Map<number, Uint8Array>()
  let next = 0
  const keep = (source: ByteSource): ChunkRun[] => {
    const runs: ChunkRun[] = []
    for (let at = 0; at < source.lengthBytes; at += CHUNK_BYTES) {
      const bytes = new Uint8Array(Math.min(CHUNK_BYTES, source.lengthBytes - at))
      source.read(at, bytes)
      chunks.set(next, bytes)
      runs.push({ chunk: next++, lengthBytes: bytes.byteLength })
    }
    return runs
  }
  return {
    async store(sources) {
      if (isAway) throw new NodeError('NOT_ENOUGH_STORES', 'the stores are away')
      return sources.map(keep)
    },
    read(chunk) {
      const bytes = chunks.get(chunk)
      if (!bytes) throw new NodeError('CHUNK_UNAVAILABLE', `no chunk ${chunk}`)
      return bytes
    },
    release: (chunk) => void chunks.delete(chunk),
  }
}

/** Makes a commit store of one replica. */
export function benchCommits(): CommitStore {
  const records = new Map<number, Uint8Array>()
  const snapshots: { sequence: number; bytes: Uint8Array }[] = []
  return {
    async append(sequence, record) {
      records.set(sequence, record)
    },
    async read(sequence) {
      const record = records.get(sequence)
      return record ? [record] : []
    },
    head: async () => ({
      sequence: records.size,
      ...{ storesAnswering: 1, storesProven: 1, storesTotal: 1 },
      ...{ isEmpty: records.size === 0, isLost: false },
    }),
    quorum: 1,
    claim: async () => undefined,
    begin: async () => undefined,
    continueFrom: () => undefined,
    handOver: async () => undefined,
    isHandedOver: async () => false,
    async putSnapshot(sequence, bytes) {
      snapshots.unshift({ sequence, bytes })
    },
    snapshots: async () =>
      snapshots.map(({ sequence, bytes }) => ({ sequence, load: async () => bytes })),
  }
}

/** Makes a sealer that hashes, in place of encryption and signature. */
export function benchSealer(): CommitSealer {
  const hash = (plain: Uint8Array) => createHash('sha256').update(plain).digest()
  return {
    seal: (_, plain) => new Uint8Array(Buffer.concat([hash(plain), plain])),
    open: (_, sealed) => sealed.subarray(32),
  }
}
