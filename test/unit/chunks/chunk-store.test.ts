/** The chunk store over packs in memory that fail, wait and lie when told to. */
import { assert } from 'chai'
import { bytesEqual, concatBytes } from '../../../agent/base/bytes.ts'
import { codeOf, NodeError } from '../../../agent/base/errors.ts'
import { MIB } from '../../../agent/base/units.ts'
import {
  type ChunkCache,
  type ChunkRun,
  type Chunks,
  openChunks,
  type PackStore,
} from '../../../agent/engines/chunks/index.ts'
import { settle } from '../../support/virtual-clock.ts'
import { eager, never, noise, readRuns, sourceOf, testKey } from '../disperse/fixture.ts'

describe('the chunk store', () => {
  it('gives back ranges of every size in order', async () => {
    const { chunks } = open()
    const ranges = [0, 1, 100, 16_384, 16_385, 300_000, 9 * MIB].map((size) => noise(size, size))
    const lists = await chunks.store(ranges.map(sourceOf), never)
    for (const [at, runs] of lists.entries()) {
      assert.equal(lengthOf(runs), ranges[at]!.byteLength)
      assert.ok(bytesEqual(await readRuns(chunks, runs), ranges[at]!))
    }
  })

  it('stores equal content once, in one call and in later ones', async () => {
    const { chunks, packs } = open()
    const bytes = noise(2 * MIB, 1)
    const [first, second] = await chunks.store([sourceOf(bytes), sourceOf(bytes)], never)
    assert.deepEqual(first, second)
    const before = packs.bytesWritten
    const [third] = await chunks.store([sourceOf(bytes)], never)
    assert.deepEqual(third, first)
    assert.equal(packs.bytesWritten, before)
    assert.equal(chunks.status().bytesDeduplicated, 4 * MIB)
  })

  it('stores what compresses in less room', async () => {
    const { chunks, packs } = open()
    const text = Buffer.from('a block header, '.repeat(200_000))
    const [runs] = await chunks.store([sourceOf(text)], never)
    assert.isBelow(packs.bytesWritten, text.byteLength / 10)
    assert.ok(bytesEqual(await readRuns(chunks, runs!), text))
  })

  it('never has more than four packs on their way', async () => {
    const { chunks, packs } = open()
    packs.isWaiting = true
    const storing = chunks.store([sourceOf(noise(40 * MIB, 2))], never)
    for (let n = 0; n < 12; n++) {
      await settle()
      await new Promise((resolve) => setImmediate(resolve))
      assert.isAtMost(packs.waiting.length, 4)
      packs.waiting.shift()?.()
    }
    packs.isWaiting = false
    for (const go of packs.waiting.splice(0)) go()
    await storing
    assert.isAbove(packs.writes, 9)
  })

  it('loses nothing when the stores fail: the same call later succeeds, with numbers that have no gap', async () => {
    const { chunks, packs } = open()
    const bytes = noise(10 * MIB, 3)
    packs.failAfter = 1
    assert.equal(await failure(chunks.store([sourceOf(bytes)], never)), 'NOT_ENOUGH_STORES')
    packs.failAfter = Number.POSITIVE_INFINITY
    const [runs] = await chunks.store([sourceOf(bytes)], never)
    assert.ok(bytesEqual(await readRuns(chunks, runs!), bytes))
    const numbers = chunks.section.numbers()
    assert.deepEqual(
      numbers,
      numbers.map((_, index) => index),
    )
  })

  it('fails every call that waits for a pack that fails', async () => {
    const { chunks, packs } = open()
    const bytes = noise(100_000, 4)
    packs.isWaiting = true
    packs.failAfter = 0
    const both = [chunks.store([sourceOf(bytes)], never), chunks.store([sourceOf(bytes)], never)]
    await settle()
    for (const go of packs.waiting.splice(0)) go()
    for (const one of both) assert.equal(await failure(one), 'NOT_ENOUGH_STORES')
    assert.equal(chunks.status().chunks, 0)
  })

  it('shares one fetch among readers, and ends it when the last gives up', async () => {
    const { chunks, packs } = open({ memoryBytes: 0 })
    const [runs] = await chunks.store([sourceOf(noise(50_000, 5))], never)
    const chunk = runs![0]!.chunk
    packs.isWaiting = true
    const [first, second] = [new AbortController(), new AbortController()]
    const reads = [first, second].map(({ signal }) => Promise.resolve(chunks.read(chunk, signal)))
    await settle()
    assert.equal(packs.reads, 1)
    first.abort(new Error('left'))
    assert.equal(await message(reads[0]!), 'left')
    assert.isFalse(packs.lastSignal?.aborted)
    second.abort(new Error('left too'))
    assert.equal(await message(reads[1]!), 'left too')
    assert.isTrue(packs.lastSignal?.aborted)
    packs.isWaiting = false
    assert.lengthOf(await chunks.read(chunk, never), 50_000)
  })

  it('reads around a store that lies, and never serves what does not verify', async () => {
    const { chunks, packs } = open({ memoryBytes: 0 })
    const bytes = noise(50_000, 6)
    const [runs] = await chunks.store([sourceOf(bytes)], never)
    packs.lies = 'read'
    assert.ok(bytesEqual(await readRuns(chunks, runs!), bytes))
    assert.equal(chunks.status().readAround, runs!.length)
    packs.lies = 'both'
    assert.equal(await failure(readRuns(chunks, runs!)), 'CHUNK_CORRUPT')
  })

  it('says unavailable when packs are, with the cause, and unknown for no chunk', async () => {
    const { chunks, packs } = open({ memoryBytes: 0 })
    const [runs] = await chunks.store([sourceOf(noise(50_000, 7))], never)
    packs.isAway = true
    assert.equal(await failure(readRuns(chunks, runs!)), 'CHUNK_UNAVAILABLE')
    assert.throws(() => chunks.read(999, never), /there is no chunk 999/)
  })

  it('serves at once from memory and from the cache, and mistrusts the cache', async () => {
    const cache = mapCache()
    const { chunks, packs } = open({ memoryBytes: 0, cache })
    const bytes = noise(200_000, 8)
    const [runs] = await chunks.store([sourceOf(bytes)], never)
    assert.ok(chunks.read(runs![0]!.chunk, never) instanceof Uint8Array)
    assert.equal(packs.reads, 0)
    for (const stored of cache.entries.values()) stored[5]! ^= 1
    assert.ok(bytesEqual(await readRuns(chunks, runs!), bytes))
    assert.equal(packs.reads, runs!.length)
    chunks.dropCaches()
    assert.ok(bytesEqual(await readRuns(chunks, runs!), bytes))
  })

  it('keeps no more plain bytes in memory than it may', async () => {
    const { chunks } = open({ memoryBytes: MIB })
    const [runs] = await chunks.store([sourceOf(noise(8 * MIB, 9))], never)
    await readRuns(chunks, runs!)
    assert.isAtMost(chunks.status().memoryCacheBytes, MIB)
    assert.isAbove(chunks.status().memoryCacheBytes, MIB / 2)
  })

  it('reads neighbours ahead in few ranges, and readers join', async () => {
    const { chunks, packs } = open({ memoryBytes: 32 * MIB })
    const bytes = noise(4 * MIB, 10)
    const [runs] = await chunks.store([sourceOf(bytes)], never)
    chunks.prefetch(runs!.map(({ chunk }) => chunk))
    assert.ok(bytesEqual(await readRuns(chunks, runs!), bytes))
    assert.isAtMost(packs.reads, 6)
    assert.equal(chunks.status().fetches, 0)
    packs.isAway = true
    chunks.dropCaches()
    chunks.prefetch(runs!.map(({ chunk }) => chunk))
    await settle()
    packs.isAway = false
    assert.ok(bytesEqual(await readRuns(chunks, runs!), bytes), 'a failed hint harms nobody')
  })

  it('keeps a chunk that was released while a call was finding it again', async () => {
    const { chunks, packs } = open({ memoryBytes: 0 })
    const bytes = noise(50_000, 11)
    const [runs] = await chunks.store([sourceOf(bytes)], never)
    packs.isWaiting = true
    const again = chunks.store([sourceOf(bytes), sourceOf(noise(50_000, 12))], never)
    await settle()
    for (const { chunk } of runs!) chunks.release(chunk)
    packs.isWaiting = false
    for (const go of packs.waiting.splice(0)) go()
    const [found] = await again
    assert.deepEqual(found, runs)
    assert.ok(bytesEqual(await readRuns(chunks, found!), bytes))
    for (const { chunk } of runs!) chunks.release(chunk)
    assert.throws(() => chunks.read(runs![0]!.chunk, never), /there is no chunk/)
  })

  it('releases what an interrupted writer left', async () => {
    const { chunks } = open()
    const [kept, left] = await chunks.store(
      [sourceOf(noise(50_000, 13)), sourceOf(noise(50_000, 14))],
      never,
    )
    const isKept = (chunk: number) => kept!.some((run) => run.chunk === chunk)
    assert.equal(chunks.releaseUnreferenced(isKept), left!.length)
    assert.deepEqual(
      chunks.section.numbers(),
      kept!.map((run) => run.chunk),
    )
  })

  it('gives up when the caller does, and closes while calls wait', async () => {
    const { chunks, packs } = open()
    packs.isWaiting = true
    const abort = new AbortController()
    const storing = chunks.store([sourceOf(noise(50_000, 15))], abort.signal)
    await settle()
    abort.abort(new Error('enough'))
    assert.equal(await message(storing), 'enough')
    const other = chunks.store([sourceOf(noise(50_000, 16))], never)
    await settle()
    const closing = chunks.close()
    assert.equal(await failure(other), 'CHUNKS_CLOSED')
    await closing
  })
})

class FakePacks implements PackStore {
  readonly packs: Uint8Array[] = []
  readonly waiting: (() => void)[] = []
  isWaiting = false
  isAway = false
  lies: 'no' | 'read' | 'both' = 'no'
  failAfter = Number.POSITIVE_INFINITY
  reads = 0
  writes = 0
  bytesWritten = 0
  lastSignal: AbortSignal | undefined

  async write(bytes: Uint8Array, signal: AbortSignal): Promise<number> {
    this.writes++
    await this.#turn(signal)
    if (this.packs.length >= this.failAfter) throw new NodeError('NOT_ENOUGH_STORES', 'too few')
    this.bytesWritten += bytes.byteLength
    return this.packs.push(bytes.slice()) - 1
  }

  async read(
    pack: number,
    offset: number,
    length: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    this.reads++
    this.lastSignal = signal
    await this.#turn(signal)
    return this.#range(pack, offset, length, this.lies !== 'no')
  }

  async readAround(pack: number, offset: number, length: number): Promise<Uint8Array> {
    return this.#range(pack, offset, length, this.lies === 'both')
  }

  release(): void {}

  #range(pack: number, offset: number, length: number, isLie: boolean): Uint8Array {
    if (this.isAway) throw new NodeError('PACK_UNAVAILABLE', 'too few')
    const bytes = this.packs[pack]!.slice(offset, offset + length)
    if (isLie) bytes[length >> 1]! ^= 1
    return bytes
  }

  async #turn(signal: AbortSignal): Promise<void> {
    if (!this.isWaiting) return
    await new Promise<void>((resolve, reject) => {
      this.waiting.push(resolve)
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  }
}

function open(options: { memoryBytes?: number; cache?: ChunkCache } = {}): {
  chunks: Chunks
  packs: FakePacks
} {
  const packs = new FakePacks()
  const keys = { chunkId: testKey(1), chunkKey: testKey(2) }
  return { packs, chunks: openChunks({ keys, packs, clock: eager, ...options }) }
}

function mapCache() {
  const entries = new Map<string, Uint8Array>()
  const key = (id: Uint8Array) => Buffer.from(id).toString('hex')
  return {
    entries,
    get: (id: Uint8Array) => entries.get(key(id))?.slice(),
    put: (id: Uint8Array, stored: Uint8Array) => void entries.set(key(id), concatBytes([stored])),
    drop: (id: Uint8Array) => void entries.delete(key(id)),
    clear: () => entries.clear(),
    sizeBytes: 0,
  }
}

function lengthOf(runs: readonly ChunkRun[]): number {
  return runs.reduce((sum, run) => sum + run.lengthBytes, 0)
}

async function failure(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(() => undefined, codeOf)
}

async function message(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(
    () => undefined,
    (caught: Error) => caught.message,
  )
}
