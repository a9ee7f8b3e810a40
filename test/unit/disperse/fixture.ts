/** A volume over stores in memory, for the tests of chunks and dispersal. */
import { createCipheriv, createSecretKey } from 'node:crypto'
import type { Clock, Log } from '../../../agent/base/ports.ts'
import { type Chunks, openChunks } from '../../../agent/engines/chunks/index.ts'
import { type Dispersal, openDispersal, type Slot } from '../../../agent/engines/disperse/index.ts'
import { FakeShardStore } from '../../support/fake-shard-store.ts'
import { plainRecordSeal } from '../../support/plain-records.ts'
import { seededChance, settle, VirtualClock } from '../../support/virtual-clock.ts'

export const never = new AbortController().signal

const silent: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
}

/** A volume, its stores and its time. */
export interface World {
  readonly clock: VirtualClock
  readonly stores: FakeShardStore[]
  readonly slots: Slot[]
  readonly dispersal: Dispersal
  readonly chunks: Chunks
  /** Runs until a promise settles, letting time pass as needed. */
  run<T>(promise: Promise<T>): Promise<T>
  /** Another volume over the same stores, with empty tables. */
  fresh(): World
  /** Another volume over the same stores, with the tables that commits would have carried. */
  reopen(): World
  /** Gives a slot to a new, empty store. */
  replace(index: number): FakeShardStore
}

/** Makes a volume of k + m data slots and `metadata` more. */
export function openWorld(
  options: { k?: number; m?: number; metadata?: number; seed?: number } = {},
): World {
  const { k = 4, m = 2, metadata = 3, seed = 1 } = options
  const clock = new VirtualClock()
  const chance = seededChance(seed)
  const stores = Array.from({ length: k + m + metadata }, () => new FakeShardStore(clock, chance))
  const slots = stores.map((store, index) => ({ index, generation: 1, store }))
  return join({ k, m, seed, clock, stores, slots })
}

interface Parts {
  readonly k: number
  readonly m: number
  readonly seed: number
  readonly clock: VirtualClock
  readonly stores: FakeShardStore[]
  readonly slots: Slot[]
}

function join(parts: Parts): World {
  const { k, m, seed, clock, stores, slots } = parts
  const chance = seededChance(seed + 1000)
  const dispersal = openDispersal({
    dataShards: k,
    parityShards: m,
    slots,
    clock,
    chance,
    seal: plainRecordSeal(),
    log: silent,
    isWriter: true,
  })
  const keys = { chunkId: testKey(1), chunkKey: testKey(2) }
  const chunks = openChunks({ keys, packs: dispersal, clock, memoryBytes: 0 })
  return {
    clock,
    stores,
    slots,
    dispersal,
    chunks,
    run: (promise) => runUntilSettled(clock, promise),
    fresh: () => join({ ...parts, seed: seed + 1 }),
    reopen() {
      const again = join({ ...parts, seed: seed + 1 })
      again.chunks.section.restore(chunks.section.snapshot())
      again.dispersal.section.restore(dispersal.section.snapshot())
      return again
    },
    replace(index) {
      const store = new FakeShardStore(clock, chance)
      const old = slots[index]
      stores[index] = store
      slots[index] = { index, generation: (old?.generation ?? 0) + 1, store }
      dispersal.setSlots(slots)
      return store
    },
  }
}

/** A key of 32 equal bytes. */
export function testKey(byte: number) {
  return createSecretKey(Buffer.alloc(32, byte))
}

/** Lets virtual time pass until a promise settles. */
export async function runUntilSettled<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let isSettled = false
  const watched = promise.finally(() => {
    isSettled = true
  })
  watched.catch(() => undefined)
  for (let idle = 0; !isSettled && idle < 50; ) {
    await settle()
    if (isSettled) break
    const dueInMs = clock.nextDueInMs
    if (dueInMs === undefined) idle++
    else {
      idle = 0
      await clock.advance(dueInMs)
    }
  }
  return watched
}

/** A clock that waits for nothing, for tests that have no faults. */
export const eager: Clock = {
  now: () => 0,
  monotonic: () => 0,
  sleep: (ms, signal) =>
    ms === 0
      ? Promise.resolve()
      : new Promise((_, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
        }),
}

/** Bytes that nothing compresses, the same for the same seed. */
export function noise(size: number, seed: number): Uint8Array {
  const key = Buffer.alloc(32)
  key.writeUInt32LE(seed, 0)
  const stream = createCipheriv('aes-256-ctr', createSecretKey(key), Buffer.alloc(16))
  return new Uint8Array(stream.update(new Uint8Array(size)))
}

/** Bytes as a source of the chunk store. */
export function sourceOf(bytes: Uint8Array) {
  return {
    lengthBytes: bytes.byteLength,
    read: (offset: number, into: Uint8Array) => {
      into.set(bytes.subarray(offset, offset + into.byteLength))
    },
  }
}

/** What a list of runs reads back to. */
export async function readRuns(
  chunks: Chunks,
  runs: readonly { chunk: number; lengthBytes: number }[],
): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for (const { chunk } of runs) parts.push(await chunks.read(chunk, never))
  return new Uint8Array(Buffer.concat(parts))
}
