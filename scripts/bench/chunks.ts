/**
 * Benchmark of chunks: cutting and sealing alone, then whole writes and reads through packs and shards over stores in memory.
 * `npm run bench -- chunks`; `--json` prints data, `--quick` less of everything. MB (10^6) of plain bytes a CPU second of this
 * process, median of 5 rounds.
 */
import { createSecretKey, hash } from 'node:crypto'
import { systemChance } from '../../agent/adapters/time/system-chance.ts'
import { systemClock } from '../../agent/adapters/time/system-clock.ts'
import { KIB, MIB } from '../../agent/base/units.ts'
import {
  ChunkCipher,
  type ChunkDescription,
  contentHash,
} from '../../agent/engines/chunks/chunk-cipher.ts'
import { ChunkTable } from '../../agent/engines/chunks/chunk-table.ts'
import { Cutter, gearTable } from '../../agent/engines/chunks/cutter.ts'
import { type ByteSource, openChunks } from '../../agent/engines/chunks/index.ts'
import { openDispersal } from '../../agent/engines/disperse/index.ts'
import { benchRecordSeal, cpuSeconds, type Figure, memoryStore, print, quiet } from './disperse.ts'

const never = new AbortController().signal
const keys = {
  chunkId: createSecretKey(Buffer.alloc(32, 1)),
  chunkKey: createSecretKey(Buffer.alloc(32, 2)),
}

/**
 * Runs the benchmark and prints a table.
 *
 * @param args - `--quick`, `--json`.
 * @returns The figures.
 */
export async function run(args: readonly string[]): Promise<readonly Figure[]> {
  const workBytes = (args.includes('--quick') ? 16 : 128) * MIB
  const noise = systemChance().bytes(workBytes)
  const figures = [
    await cutting(noise),
    ...(await sealing(noise, 'noise')),
    ...(await sealing(blockLike(workBytes / 4), 'compressible to a third')),
    ...(await volumes(noise)),
    table(args.includes('--quick') ? 100_000 : 1_000_000),
  ]
  print(args, figures)
  return figures
}

async function cutting(bytes: Uint8Array): Promise<Figure> {
  const cutter = new Cutter(gearTable(keys.chunkId))
  const seconds = await cpuSeconds(() => {
    for (const _ of cutter.cut(sourceOf(bytes)));
  })
  return figure('Cutting, with the copy in', bytes.byteLength, seconds)
}

async function sealing(bytes: Uint8Array, what: string): Promise<Figure[]> {
  const cipher = new ChunkCipher(keys)
  const cutter = new Cutter(gearTable(keys.chunkId))
  const plains = Array.from(cutter.cut(sourceOf(bytes)), (plain) => plain.slice())
  let sealed: { stored: Uint8Array; chunk: ChunkDescription }[] = []
  const writing = await cpuSeconds(() => {
    sealed = plains.map((plain) => {
      const digest = contentHash(plain)
      const { parts, storedBytes, flags } = cipher.seal(plain, digest)
      const chunk = { hash: digest, plainBytes: plain.byteLength, storedBytes, flags }
      return { stored: Buffer.concat(parts), chunk }
    })
  })
  const reading = await cpuSeconds(() => {
    for (const { stored, chunk } of sealed) cipher.open(stored, chunk)
  })
  return [
    figure(`Sealing (SHA-256, zstd-1, AES-256-GCM), ${what}`, bytes.byteLength, writing),
    figure(`Opening (AES-256-GCM, zstd, SHA-256), ${what}`, bytes.byteLength, reading),
  ]
}

/** From plain bytes to shards in four plus two stores, and back, in one process. */
async function volumes(bytes: Uint8Array): Promise<Figure[]> {
  const stores = Array.from({ length: 6 }, () => memoryStore())
  const slots = stores.map((store, index) => ({ index, generation: 1, store }))
  const clock = systemClock()
  const dispersal = openDispersal({
    dataShards: 4,
    parityShards: 2,
    slots,
    clock,
    chance: systemChance(),
    seal: benchRecordSeal(),
    log: quiet,
    isWriter: true,
  })
  const open = () => openChunks({ keys, packs: dispersal, clock, memoryBytes: 0 })
  let chunks = open()
  let runs: { chunk: number }[] = []
  const writing = await cpuSeconds(async () => {
    for (const store of stores) store.values.clear()
    chunks = open()
    runs = [...((await chunks.store([sourceOf(bytes)], never))[0] ?? [])]
    await dispersal.settled()
  })
  const readAll = async () => {
    for (const { chunk } of runs) await chunks.read(chunk, never)
  }
  const reading = await cpuSeconds(readAll)
  dispersal.setSlots(slots.slice(2))
  const degraded = await cpuSeconds(readAll)
  const again = await cpuSeconds(async () => {
    await chunks.store([sourceOf(bytes)], never)
  })
  await dispersal.close()
  return [
    figure('Whole write, 4+2, noise', bytes.byteLength, writing),
    figure('Whole write of what is there already', bytes.byteLength, again),
    figure('Whole read, 4+2', bytes.byteLength, reading),
    figure('Whole read, 4+2, two stores lost', bytes.byteLength, degraded),
  ]
}

function table(rows: number): Figure {
  const chunks = new ChunkTable(Uint32Array.from({ length: 8 }, (_, word) => word * 77 + 1))
  for (let number = 0; number < rows; number++) {
    chunks.add({
      number,
      pack: number >> 6,
      offset: (number & 63) * 65_000,
      storedBytes: 65_000,
      plainBytes: 65_536,
      flags: 0,
      hash: hash('sha256', `${number}`, 'buffer'),
    })
  }
  return { what: 'Table of chunks', value: chunks.memoryBytes / rows, unit: 'bytes/chunk' }
}

/** Bytes of which zstd keeps about a third. */
function blockLike(size: number): Uint8Array {
  const out = new Uint8Array(size)
  const random = systemChance().bytes(size)
  for (let at = 0; at < size; at += KIB) out.set(random.subarray(at, at + 340), at)
  return out
}

function sourceOf(bytes: Uint8Array): ByteSource {
  return {
    lengthBytes: bytes.byteLength,
    read: (offset, into) => into.set(bytes.subarray(offset, offset + into.byteLength)),
  }
}

function figure(what: string, bytes: number, seconds: number): Figure {
  return { what, value: bytes / 1e6 / seconds, unit: 'MB/CPU s' }
}

if (import.meta.main) await run(process.argv.slice(2))
