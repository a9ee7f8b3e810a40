/**
 * Benchmark of dispersal: the erasure kernel alone, then whole packs over stores in memory.
 * `npm run bench -- disperse`; `--json` prints data, `--quick` less of everything. MB (10^6) of data bytes a CPU second of
 * this process, median of 5 rounds.
 */
import { cpus } from 'node:os'
import { systemChance } from '../../agent/adapters/time/system-chance.ts'
import { systemClock } from '../../agent/adapters/time/system-clock.ts'
import type { Log } from '../../agent/base/ports.ts'
import { MIB } from '../../agent/base/units.ts'
import { ErasureCode } from '../../agent/engines/disperse/erasure-code.ts'
import {
  openDispersal,
  type RecordSeal,
  type ShardStore,
} from '../../agent/engines/disperse/index.ts'
import { kernelVariant, Stripe, shardBytesOf } from '../../agent/engines/disperse/stripe.ts'

/** One measured figure. */
export interface Figure {
  readonly what: string
  readonly value: number
  readonly unit: string
}

const ROUNDS = 5
const never = new AbortController().signal

/**
 * Runs the benchmark and prints a table.
 *
 * @param args - `--quick`, `--json`.
 * @returns The figures.
 */
export async function run(args: readonly string[]): Promise<readonly Figure[]> {
  const workBytes = (args.includes('--quick') ? 64 : 512) * MIB
  const figures: Figure[] = []
  for (const [k, m, packBytes] of CODES) figures.push(...codec(k, m, packBytes, workBytes, 'best'))
  figures.push(...codec(16, 4, MIB, workBytes, 'plain'))
  for (const [k, m] of [
    [4, 2],
    [16, 4],
  ] as const)
    figures.push(...(await packs(k, m, workBytes / 4)))
  print(args, figures)
  return figures
}

const CODES = [
  [4, 2, 4 * MIB],
  [16, 4, MIB],
  [16, 4, 4 * MIB],
  [10, 4, 4 * MIB],
  [29, 51, MIB],
] as const

/**
 * Prints figures, as a table or as data.
 *
 * @param args - `--json` for data.
 */
export function print(args: readonly string[], figures: readonly Figure[]): void {
  if (args.includes('--json')) {
    console.log(JSON.stringify({ cpu: cpus()[0]?.model, kernel: kernelVariant(), figures }))
    return
  }
  for (const { what, value, unit } of figures) {
    console.log(`${what.padEnd(58)} ${value.toFixed(value < 100 ? 2 : 0).padStart(8)} ${unit}`)
  }
}

/**
 * CPU seconds (user and system) that work takes, median of five rounds after one to warm up.
 *
 * @param work - One round.
 */
export async function cpuSeconds(work: () => void | Promise<void>): Promise<number> {
  await work()
  const seconds: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage()
    await work()
    const { user, system } = process.cpuUsage(before)
    seconds.push((user + system) / 1e6)
  }
  return seconds.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0
}

/** The kernel alone; decoding gives back the first min(k, m) data shards out of the rest. */
function codec(
  k: number,
  m: number,
  packBytes: number,
  workBytes: number,
  kernel: 'best' | 'plain',
): Figure[] {
  const code = new ErasureCode(k, m)
  const shardBytes = shardBytesOf(packBytes, k)
  const stripe = new Stripe(code, shardBytes, kernel)
  const pack = systemChance().bytes(packBytes)
  stripe.encode(pack)
  const lost = Array.from({ length: Math.min(k, m) }, (_, shard) => shard)
  const kept = Array.from({ length: k + m }, (_, shard) => shard).slice(
    lost.length,
    lost.length + k,
  )
  const times = Math.max(1, Math.round((workBytes * 4) / (k + m) / packBytes))
  const name = `${k}+${m}, pack of ${packBytes / MIB} MiB${kernel === 'plain' ? ', plain SIMD' : ''}`
  const speed = (work: () => void) => {
    const seconds: number[] = []
    for (let round = 0; round <= ROUNDS; round++) {
      const before = process.cpuUsage()
      for (let n = 0; n < times; n++) work()
      const { user, system } = process.cpuUsage(before)
      if (round > 0) seconds.push((user + system) / 1e6)
    }
    return (times * packBytes) / 1e6 / (seconds.sort((a, b) => a - b)[2] ?? 1)
  }
  return [
    // Encoding a stripe whose data is in place computes the parity as decoding does: k in, m out.
    {
      what: `Reed-Solomon encode, ${name}`,
      value: speed(() => stripe.parity(shardBytes)),
      unit: 'MB/CPU s',
    },
    {
      what: `Reed-Solomon encode with the copy in, ${name}`,
      value: speed(() => void stripe.encode(pack)),
      unit: 'MB/CPU s',
    },
    {
      what: `Reed-Solomon reconstruct ${lost.length} data shards, ${name}`,
      value: speed(() => stripe.decode(kept, lost, shardBytes)),
      unit: 'MB/CPU s',
    },
  ]
}

/** Whole packs: encode, hash, put; get ranges; get ranges with two stores lost; repair. Stores copy into memory. */
async function packs(k: number, m: number, workBytes: number): Promise<Figure[]> {
  const PACK_BYTES = 4 * MIB
  const RANGE_BYTES = 64 * 1024
  const count = Math.max(2, Math.floor(workBytes / PACK_BYTES))
  const stores = Array.from({ length: k + m }, () => memoryStore())
  const slots = () => stores.map((store, index) => ({ index, generation: store.generation, store }))
  const dispersal = openDispersal({
    dataShards: k,
    parityShards: m,
    slots: slots(),
    clock: systemClock(),
    chance: systemChance(),
    seal: benchRecordSeal(),
    log: quiet,
    isWriter: false,
  })
  const pack = systemChance().bytes(PACK_BYTES)
  let numbers: number[] = []
  const writing = await cpuSeconds(async () => {
    for (const store of stores) store.values.clear()
    numbers = []
    for (let n = 0; n < count; n++) numbers.push(await dispersal.write(pack, never))
    await dispersal.settled()
  })
  const readAll = async () => {
    for (const number of numbers) {
      const ranges: Promise<unknown>[] = []
      for (let at = 0; at < PACK_BYTES; at += RANGE_BYTES) {
        ranges.push(dispersal.read(number, at, RANGE_BYTES, never))
      }
      await Promise.all(ranges)
    }
  }
  const reading = await cpuSeconds(readAll)
  const lost = [0, 1].slice(0, m)
  dispersal.setSlots(slots().filter(({ index }) => !lost.includes(index)))
  const degraded = await cpuSeconds(readAll)
  const repair = await cpuSeconds(async () => {
    for (const index of lost) {
      stores[index]?.values.clear()
      if (stores[index]) stores[index].generation++
    }
    dispersal.setSlots(slots())
    await dispersal.repair(never)
  })
  await dispersal.close()
  const megabytes = (count * PACK_BYTES) / 1e6
  const figure = (what: string, seconds: number): Figure => ({
    what: `${what}, ${k}+${m}`,
    value: megabytes / seconds,
    unit: 'MB/CPU s',
  })
  return [
    figure('Packs written (encode, SHA-256 of shards, put)', writing),
    figure('Packs read in ranges of 64 KiB', reading),
    figure(`Packs read in ranges of 64 KiB, ${lost.length} stores lost`, degraded),
    figure(`Packs repaired, ${lost.length} slots moved`, repair),
  ]
}

/** A store in memory whose slot can move. */
export interface MemoryStore extends ShardStore {
  generation: number
  readonly values: Map<string, Uint8Array>
}

/** A store that copies into memory. */
export function memoryStore(): MemoryStore {
  const values = new Map<string, Uint8Array>()
  const name = (key: Uint8Array) => Buffer.from(key).toString('latin1')
  return {
    generation: 1,
    values,
    put: async (key, value) => void values.set(name(key), value.slice()),
    putNew: async (key, value) => {
      if (!values.has(name(key))) values.set(name(key), value.slice())
      return true
    },
    get: async (key) => values.get(name(key)),
    getRange: async (key, offset, lengthBytes) =>
      values.get(name(key))?.slice(offset, offset + lengthBytes),
    list: async () => [],
    delete: async (key) => void values.delete(name(key)),
  }
}

/** A log that says nothing. */
export const quiet: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => quiet,
}

if (import.meta.main) await run(process.argv.slice(2))

/** A seal for volumes whose commits nobody looks at. */
export function benchRecordSeal(): RecordSeal {
  return { seal: (_, plain) => plain, open: (_, sealed) => sealed, inspect: () => undefined }
}
