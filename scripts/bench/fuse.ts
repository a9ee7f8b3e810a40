/**
 * Benchmark of the FUSE engine: one program's calls on a mount of the model in memory, beside the same calls on a bare tmpfs.
 * `npm run bench -- fuse`; `--json` prints data, `--quick` less of everything.
 *
 * The load runs in a process of its own, as every user of a mount does; both places are tried alternately, and the median of
 * the rounds counts, because the machine may be shared.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mountFuse } from '../../agent/adapters/kernel/fuse-kernel.ts'
import { systemClock } from '../../agent/adapters/time/system-clock.ts'
import { NodeError } from '../../agent/base/errors.ts'
import type { Log } from '../../agent/base/ports.ts'
import { mountFileSystem } from '../../agent/engines/fuse/index.ts'
import { MemoryFileSystem } from '../../test/support/memory-file-system.ts'

const LOAD = fileURLToPath(new URL('./fuse-load.ts', import.meta.url))
/** Where Linux keeps a tmpfs. */
const TMPFS = '/dev/shm'
const ROUNDS = 5

/** Failures are printed; the rest would disturb the table. */
const log: Log = {
  debug() {},
  info() {},
  warn() {},
  error: (fields, message) => console.error(message, fields),
  child: () => log,
}

/** One measured figure. */
interface Figure {
  readonly what: string
  readonly unit: string
  readonly tmpfs: number
  readonly mount: number
}

/** What the load prints. */
type Measured = Readonly<Record<string, { value: number; unit: string }>>

/**
 * Runs the benchmark and prints a table.
 *
 * @param args - `--quick`, `--json`, `--stay MICROSECONDS` (how long the main thread stays on the device after a request).
 * @returns The figures.
 */
export async function run(args: readonly string[]): Promise<readonly Figure[]> {
  const isQuick = args.includes('--quick')
  const stayAt = args.indexOf('--stay')
  const stayUs = stayAt < 0 ? undefined : Number(args[stayAt + 1])
  const rounds: { tmpfs: Measured; mount: Measured }[] = []
  const cpuBefore = process.cpuUsage()
  for (let round = 0; round < (isQuick ? 1 : ROUNDS); round++) {
    rounds.push({ tmpfs: await onTmpfs(isQuick), mount: await onMount(isQuick, stayUs) })
  }
  const cpu = process.cpuUsage(cpuBefore)
  const figures = Object.entries(rounds[0]?.mount ?? {}).map(([what, { unit }]) => ({
    what,
    unit,
    tmpfs: median(rounds.map((one) => one.tmpfs[what]?.value ?? 0)),
    mount: median(rounds.map((one) => one.mount[what]?.value ?? 0)),
  }))
  const serverCpuSeconds = (cpu.user + cpu.system) / 1e6 / rounds.length
  if (args.includes('--json')) {
    const machine = { cpu: cpus()[0]?.model, cores: cpus().length, kernel: release() }
    console.log(JSON.stringify({ ...machine, rounds: rounds.length, serverCpuSeconds, figures }))
  } else {
    print(figures, serverCpuSeconds)
  }
  return figures
}

async function onTmpfs(isQuick: boolean): Promise<Measured> {
  const directory = await mkdtemp(join(TMPFS, 'varve-bench-'))
  try {
    return await load(directory, isQuick)
  } finally {
    await rm(directory, { recursive: true })
  }
}

async function onMount(isQuick: boolean, stayUs: number | undefined): Promise<Measured> {
  const path = await mkdtemp(join(tmpdir(), 'varve-bench-fuse-'))
  const mount = await mountFileSystem({
    path,
    fileSystem: new MemoryFileSystem(),
    kernel: { mount: (options) => mountFuse(options, stayUs) },
    clock: systemClock(),
    log,
    readOnly: false,
    cache: 'exclusive',
  })
  try {
    return await load(path, isQuick)
  } finally {
    await mount.unmount('abort')
    await rm(path, { recursive: true })
  }
}

/** Runs the load in its own process; `dd` drops the pages of the file between, so that reads reach the file system. */
function load(directory: string, isQuick: boolean): Promise<Measured> {
  const args = [LOAD, directory, ...(isQuick ? ['--quick'] : [])]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  return new Promise((resolve, reject) => {
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(Buffer.concat(chunks).toString()) as Measured)
      else reject(new NodeError('BENCH_LOAD_FAILED', `the load in ${directory} left with ${code}`))
    })
  })
}

function print(figures: readonly Figure[], serverCpuSeconds: number): void {
  console.log(`${'one program'.padEnd(34)}${'tmpfs'.padStart(12)}${'mount'.padStart(12)}`)
  for (const { what, unit, tmpfs, mount } of figures) {
    const name = `${what}, ${unit}`.padEnd(34)
    console.log(`${name}${tmpfs.toFixed(0).padStart(12)}${mount.toFixed(0).padStart(12)}`)
  }
  console.log(`CPU of the serving process: ${serverCpuSeconds.toFixed(2)} s a round`)
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
