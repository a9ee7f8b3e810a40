/**
 * Benchmark of the file system without FUSE: journal on this machine's disk, chunks and commits in memory.
 * `npm run bench -- files`; `--json` prints data, `--quick` less of everything, `--dir PATH` chooses the disk.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { nodeDisk } from '../../agent/adapters/disk/node-disk.ts'
import { systemClock } from '../../agent/adapters/time/system-clock.ts'
import type { Log } from '../../agent/base/ports.ts'
import { GIB, KIB, MIB } from '../../agent/base/units.ts'
import { ChunkReferences } from '../../agent/engines/files/chunk-references.ts'
import { CHUNK, ExtentList } from '../../agent/engines/files/extent-list.ts'
import { S_IFREG } from '../../agent/engines/files/file-system.ts'
import { Volume } from '../../agent/engines/files/index.ts'
import { Tree } from '../../agent/engines/files/tree.ts'
import { benchChunks, benchCommits, benchSealer } from './files-stores.ts'

/** One measured figure. */
interface Figure {
  readonly what: string
  readonly value: number
  readonly unit: string
}

const CALLER = { uid: 0, gid: 0, pid: 1 }
const O_RDWR = 2
const QUIET: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => QUIET }

/**
 * Runs the benchmark and prints a table.
 *
 * @param args - `--quick`, `--json`, `--dir PATH`.
 * @returns The figures.
 */
export async function run(args: readonly string[]): Promise<readonly Figure[]> {
  const isQuick = args.includes('--quick')
  const directoryAt = args.indexOf('--dir')
  const parent = directoryAt < 0 ? tmpdir() : (args[directoryAt + 1] ?? tmpdir())
  const scale = isQuick ? 0.1 : 1
  const figures: Figure[] = []
  for (const part of [fsyncs, appends, metadata, recovery]) {
    const root = mkdtempSync(join(parent, 'varve-bench-files-'))
    try {
      figures.push(...(await part(root, scale)))
    } finally {
      rmSync(root, { recursive: true })
    }
  }
  figures.push(...memory(scale))
  if (args.includes('--json')) console.log(JSON.stringify({ cpu: cpus()[0]?.model, figures }))
  else for (const { what, value, unit } of figures) console.log(line(what, value, unit))
  return figures
}

/** Opens a volume on a real disk. */
function open(root: string, isAway: boolean): Promise<Volume> {
  return Volume.open(
    {
      disk: nodeDisk(root),
      chunks: benchChunks(isAway),
      sections: [],
      commits: benchCommits(),
      sealer: benchSealer(),
      clock: systemClock(),
      log: QUIET,
    },
    { readOnly: false, epoch: 1, sizeBytes: 2 ** 40, dispersalAgeMs: 5000 },
    new AbortController().signal,
  )
}

async function fsyncs(root: string, scale: number): Promise<Figure[]> {
  const volume = await open(root, false)
  const { attributes, handle } = volume.create(1, 'a', 0o644, O_RDWR, CALLER)
  const block = Buffer.alloc(4 * KIB, 1)
  const figures: Figure[] = []
  for (const writers of [1, 16]) {
    const each = Math.ceil((4000 * scale) / Math.sqrt(writers))
    const write = async () => {
      for (let i = 0; i < each; i++) {
        await volume.write(handle, i * block.length, block)
        await volume.sync(attributes.ino, true)
      }
    }
    const seconds = await timed(async () => {
      await Promise.all(Array.from({ length: writers }, write))
    })
    const what = `write 4 KiB + fsync, ${writers} at once`
    figures.push({ what, value: (each * writers) / seconds, unit: 'ops/s' })
  }
  await volume.close()
  return figures
}

async function appends(root: string, scale: number): Promise<Figure[]> {
  const volume = await open(root, false)
  const figures: Figure[] = []
  for (const [name, size] of [
    ['4 KiB', 4 * KIB],
    ['128 KiB', 128 * KIB],
    ['1 MiB', MIB],
  ] as const) {
    const total = GIB * scale
    const block = Buffer.alloc(size)
    const { attributes, handle } = volume.create(1, name, 0o644, O_RDWR, CALLER)
    const start = performance.now()
    for (let at = 0; at < total; at += size) {
      // Bytes that differ, or the chunk store would keep one chunk.
      block.writeDoubleLE(at + size, 0)
      await volume.write(handle, at, block)
    }
    await volume.sync(attributes.ino, false)
    const localSeconds = (performance.now() - start) / 1000
    await volume.syncDispersed()
    const seconds = (performance.now() - start) / 1000
    figures.push(
      { what: `append by ${name}, until fsync`, value: total / 1e6 / localSeconds, unit: 'MB/s' },
      { what: `append by ${name}, until dispersed`, value: total / 1e6 / seconds, unit: 'MB/s' },
    )
    volume.release(handle)
    volume.unlink(1, name)
    volume.forget(attributes.ino)
    await volume.syncDispersed()
  }
  await volume.close()
  return figures
}

async function metadata(root: string, scale: number): Promise<Figure[]> {
  const volume = await open(root, false)
  const count = Math.ceil(100_000 * scale)
  const numbers = Array.from({ length: count }, (_, i) => i)
  const each = (what: string, act: (i: number) => void): Figure => {
    const start = performance.now()
    for (const i of numbers) act(i)
    return { what, value: count / ((performance.now() - start) / 1000), unit: 'ops/s' }
  }
  const name = (i: number) => `file-${i}`
  const plain = { noReplace: false, exchange: false }
  const figures = [
    each('create', (i) => volume.release(volume.create(1, name(i), 0o644, O_RDWR, CALLER).handle)),
    each('lookup', (i) => volume.lookup(1, name(i))),
    each('chmod', (i) => volume.setAttributes(2 + i, { mode: 0o600 })),
    each('rename', (i) =>
      volume.rename({ parent: 1, name: name(i) }, { parent: 1, name: `to-${i}` }, plain),
    ),
    each('unlink', (i) => {
      volume.unlink(1, `to-${i}`)
      volume.forget(2 + i)
    }),
  ]
  await volume.close()
  return figures
}

async function recovery(root: string, scale: number): Promise<Figure[]> {
  const volume = await open(root, true)
  const { handle } = volume.create(1, 'a', 0o644, O_RDWR, CALLER)
  const block = Buffer.alloc(64 * KIB, 3)
  for (let at = 0; at < GIB * scale; at += block.length) await volume.write(handle, at, block)
  await volume.close()
  const start = performance.now()
  const again = await open(root, true)
  const seconds = (performance.now() - start) / 1000
  await again.close()
  return [{ what: `open with a journal of ${scale} GiB`, value: seconds * 1000, unit: 'ms' }]
}

/** Bytes in memory for what there are millions of. */
function memory(scale: number): Figure[] {
  const count = Math.ceil(1_000_000 * scale)
  const extents = grown(() => {
    const list = new ExtentList()
    const references = new ChunkReferences()
    for (let i = 0; i < count; i++) {
      list.replace(i * 65_536, (i + 1) * 65_536, [i * 65_536, 65_536, i, CHUNK], references)
    }
    return [list, references]
  })
  const inodes = grown(() => {
    const tree = Tree.withRoot(new ChunkReferences())
    for (let i = 0; i < count; i++) {
      tree.apply({
        ...{ kind: 'make', parent: 1, name: `file-${i}`, ino: 2 + i, mode: S_IFREG | 0o644 },
        ...{ device: 0, uid: 0, gid: 0, target: '', timeNs: 1n },
      })
    }
    tree.takeChanges()
    return tree
  })
  return [
    { what: 'memory of a chunk extent, references included', value: extents / count, unit: 'B' },
    { what: 'memory of an empty file, name included', value: inodes / count, unit: 'B' },
  ]
}

/** Bytes by which memory grew while what `make` returned is alive. */
function grown(make: () => unknown): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const used = () => {
    collect()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  const before = used()
  const made = make()
  const bytes = used() - before
  // Kept alive until after the measurement.
  return made === undefined ? 0 : bytes
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

function line(what: string, value: number, unit: string): string {
  const text = value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(1)
  return `${what.padEnd(48)} ${text.padStart(10)} ${unit}`
}

if (import.meta.main) await run(process.argv.slice(2))
