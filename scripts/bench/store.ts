/**
 * Benchmark of the store against its peers: `npm run bench -- store [--quick] [--json] [--rounds N] [--only TEXT]
 * [--peer 0db=BINARY] [--peer redis=BINARY] [--client auto|uring|libuv] [--sockets auto|uring|libuv]`.
 *
 * Every round starts each server afresh and runs all cells on them in turn, the order reversed every other round; what is
 * printed is the median of the rounds. CPU is that of the server alone, from /proc. `--client` says how the load moves its
 * bytes, the same for every server; `--sockets` how this store does.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  TRANSPORT_CHOICES,
  type TransportChoice,
} from '../../agent/adapters/socket/open-transport.ts'
import { NodeError } from '../../agent/base/errors.ts'
import { formatBytes, KIB, MIB } from '../../agent/base/units.ts'
import type { LoadJob, LoadResult } from './store-load-worker.ts'
import {
  type BenchSync,
  OWN_NAME,
  ownKind,
  peerKind,
  type Server,
  type ServerKind,
  startServer,
} from './store-servers.ts'

/** One shape of load. */
interface Cell {
  readonly sync: BenchSync
  readonly op: 'set' | 'get'
  readonly valueBytes: number
  readonly connections: number
  readonly pipeline: number
  readonly operations: number
  readonly client?: TransportChoice
}

/** What one server did in one cell. */
interface Measured {
  readonly opsPerSecond: number
  readonly mbPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Seconds of CPU a million operations. */
  readonly cpuSeconds: number
}

const FIRST_PORT = 19_900
/** More in flight than this would measure the client's memory. */
const IN_FLIGHT_BYTES_MAX = 64 * MIB
const PRELOAD_BYTES_MAX = 128 * MIB
const PRELOAD_KEYS_MAX = 100_000
/** A cell is done when one of these is reached, whatever comes first. */
const CELL_BYTES_MAX = 256 * MIB
const RSS_KEYS = 1_000_000

/** Runs the benchmark and prints a table, or data with `--json`. */
export async function run(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      peer: { type: 'string', multiple: true, default: [] },
      only: { type: 'string', default: '' },
      client: { type: 'string', default: 'auto' },
      sockets: { type: 'string', default: 'auto' },
    },
  })
  const client = choiceOf('--client', values.client)
  const kinds = [ownKind(choiceOf('--sockets', values.sockets)), ...values.peer.map(peerKind)]
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5))
  const cells = (values.quick ? quickCells() : allCells()).filter((cell) =>
    nameOf(cell).includes(values.only),
  )
  const found = new Map<string, Measured[]>()
  const resident = new Map<string, number[]>()
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? kinds : [...kinds].reverse()
    for (const sync of ['group', 'always'] as const) {
      const mine = cells.filter((cell) => cell.sync === sync)
      if (mine.length > 0) await runRound({ kinds: order, sync, cells: mine, client }, found)
    }
    if (!values.quick && values.only === '') await measureMemory(order, resident)
  }
  if (values.json) console.log(JSON.stringify(asData(kinds, cells, found, resident), null, 2))
  else printTable(kinds, cells, found, resident)
}

async function runRound(
  round: {
    readonly kinds: readonly ServerKind[]
    readonly sync: BenchSync
    readonly cells: readonly Cell[]
    readonly client: TransportChoice
  },
  found: Map<string, Measured[]>,
): Promise<void> {
  const { kinds, sync, client } = round
  const servers = new Map<ServerKind, Server>()
  try {
    for (const [at, kind] of kinds.entries()) {
      servers.set(kind, await startServer(kind, FIRST_PORT + at, sync))
    }
    let nextKey = 10_000_000
    for (const shape of round.cells) {
      const cell = { ...shape, client }
      for (const [kind, server] of servers) {
        if (cell.op === 'get') await preload(server, cell)
        await warmUp(server, cell, nextKey + 500_000_000)
        const key = `${kind.name} ${nameOf(cell)}`
        found.set(key, [...(found.get(key) ?? []), await measure(server, cell, nextKey)])
      }
      nextKey += cell.operations + 64 * cell.connections
    }
  } finally {
    for (const server of servers.values()) await server.stop()
  }
}

async function measure(server: Server, cell: Cell, firstKey: number): Promise<Measured> {
  const before = server.cpuSeconds()
  const operations = Math.ceil(cell.operations / cell.pipeline) * cell.pipeline
  const job = { ...cell, port: server.port, operations, firstKey, keys: keysOf(cell) }
  const result = await load(job)
  if (cell.op === 'get' && result.misses > 0) throw new NodeError('BENCH_PEER', 'keys are missing')
  const cpuSeconds = server.cpuSeconds() - before
  return {
    opsPerSecond: operations / result.seconds,
    mbPerSecond: (operations * cell.valueBytes) / result.seconds / 1e6,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    cpuSeconds: (cpuSeconds / operations) * 1e6,
  }
}

const keysOf = (cell: Cell) =>
  Math.min(PRELOAD_KEYS_MAX, Math.max(16, Math.floor(PRELOAD_BYTES_MAX / cell.valueBytes)))

async function preload(server: Server, cell: Cell): Promise<void> {
  const keys = keysOf(cell)
  const pipeline = cell.valueBytes <= 4 * KIB ? 16 : 1
  const operations = Math.ceil(keys / pipeline) * pipeline
  const { valueBytes, client = 'auto' } = cell
  const job = {
    port: server.port,
    op: 'set',
    valueBytes,
    connections: 1,
    pipeline,
    client,
  } as const
  await load({ ...job, operations, firstKey: 0, keys })
}

/** A quarter of the cell, so that no compiler or cache is met cold. */
async function warmUp(server: Server, cell: Cell, firstKey: number): Promise<void> {
  const operations = Math.max(cell.pipeline, Math.floor(cell.operations / 4))
  await load({ ...cell, port: server.port, operations, firstKey, keys: keysOf(cell) })
}

async function load(job: LoadJob): Promise<LoadResult> {
  const file = fileURLToPath(new URL('./store-load-worker.ts', import.meta.url))
  const child = spawn(process.execPath, [file, JSON.stringify(job)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', (data) => {
    text += data
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new NodeError('BENCH_PEER', `the load ended with ${code}`)
  return JSON.parse(text) as LoadResult
}

async function measureMemory(
  kinds: readonly ServerKind[],
  resident: Map<string, number[]>,
): Promise<void> {
  for (const kind of kinds) {
    const server = await startServer(kind, FIRST_PORT, 'group')
    try {
      const before = server.residentBytes()
      await load({
        port: server.port,
        op: 'set',
        valueBytes: 100,
        connections: 20,
        pipeline: 16,
        operations: RSS_KEYS,
        firstKey: 0,
        keys: RSS_KEYS,
      })
      const grown = ((server.residentBytes() - before) / RSS_KEYS) * 1e6
      resident.set(kind.name, [...(resident.get(kind.name) ?? []), grown])
    } finally {
      await server.stop()
    }
  }
}

function choiceOf(option: string, text: string): TransportChoice {
  const choice = TRANSPORT_CHOICES.find((one) => one === text)
  if (choice === undefined) {
    throw new NodeError('BENCH_USAGE', `${option} is ${TRANSPORT_CHOICES.join(', ')}, not ${text}`)
  }
  return choice
}

function allCells(): Cell[] {
  const cells: Cell[] = []
  for (const sync of ['group', 'always'] as const) {
    for (const op of sync === 'always' ? (['set'] as const) : (['set', 'get'] as const)) {
      for (const valueBytes of [100, 4 * KIB, 64 * KIB, MIB]) {
        for (const connections of [1, 50]) {
          for (const pipeline of [1, 16, 64]) {
            if (connections * pipeline * valueBytes > IN_FLIGHT_BYTES_MAX) continue
            cells.push(cellOf(sync, op, valueBytes, connections, pipeline, 1))
          }
        }
      }
    }
  }
  return cells
}

function quickCells(): Cell[] {
  return [
    cellOf('group', 'set', 100, 50, 16, 0.5),
    cellOf('group', 'get', 100, 50, 16, 0.5),
    cellOf('group', 'set', 100, 50, 1, 0.5),
    cellOf('group', 'get', 100, 50, 1, 0.5),
    cellOf('group', 'set', 4 * KIB, 50, 16, 0.5),
    cellOf('group', 'get', 4 * KIB, 50, 16, 0.5),
    cellOf('group', 'set', 64 * KIB, 50, 1, 0.5),
    cellOf('group', 'get', 64 * KIB, 50, 1, 0.5),
    cellOf('always', 'set', 100, 50, 1, 0.5),
    cellOf('always', 'set', 100, 50, 16, 0.5),
  ]
}

function cellOf(
  sync: BenchSync,
  op: 'set' | 'get',
  valueBytes: number,
  connections: number,
  pipeline: number,
  scale: number,
): Cell {
  const inFlight = connections * pipeline
  const small = sync === 'always' ? 400 + inFlight : Math.min(400_000, 8000 + 500 * inFlight)
  const operations = Math.floor(Math.min(small, CELL_BYTES_MAX / valueBytes) * scale)
  return { sync, op, valueBytes, connections, pipeline, operations }
}

function nameOf(cell: Cell): string {
  const { sync, op, valueBytes, connections, pipeline } = cell
  const size = valueBytes < KIB ? `${valueBytes} B` : formatBytes(valueBytes).replace('.00', '')
  return `${op.toUpperCase()} ${size} c${connections} P${pipeline} ${sync}`
}

function medians(all: readonly Measured[]): Measured {
  const of = (field: keyof Measured) => median(all.map((one) => one[field]))
  return {
    opsPerSecond: of('opsPerSecond'),
    mbPerSecond: of('mbPerSecond'),
    p50Ms: of('p50Ms'),
    p99Ms: of('p99Ms'),
    cpuSeconds: of('cpuSeconds'),
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length >> 1
  if (sorted.length % 2 === 1) return sorted[half] ?? 0
  return ((sorted[half - 1] ?? 0) + (sorted[half] ?? 0)) / 2
}

/** A ratio a round, so that what disturbs a round disturbs both sides; the median of those. */
function ratio(
  found: ReadonlyMap<string, Measured[]>,
  kind: ServerKind,
  cell: Cell,
  field: 'opsPerSecond' | 'cpuSeconds',
): number {
  const own = found.get(`${OWN_NAME} ${nameOf(cell)}`) ?? []
  const other = found.get(`${kind.name} ${nameOf(cell)}`) ?? []
  return median(own.map((one, round) => one[field] / (other[round]?.[field] ?? Number.NaN)))
}

function asData(
  kinds: readonly ServerKind[],
  cells: readonly Cell[],
  found: ReadonlyMap<string, Measured[]>,
  resident: ReadonlyMap<string, number[]>,
): object {
  return {
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
    node: process.version,
    cells: cells.map((cell) => ({
      name: nameOf(cell),
      ...cell,
      servers: Object.fromEntries(
        kinds.map((kind) => [kind.name, medians(found.get(`${kind.name} ${nameOf(cell)}`) ?? [])]),
      ),
      ratios: Object.fromEntries(
        kinds.slice(1).map((kind) => [
          kind.name,
          {
            opsPerSecond: ratio(found, kind, cell, 'opsPerSecond'),
            cpuSeconds: ratio(found, kind, cell, 'cpuSeconds'),
          },
        ]),
      ),
    })),
    residentBytesPerMillionKeys: Object.fromEntries(
      [...resident].map(([name, values]) => [name, median(values)]),
    ),
  }
}

function printTable(
  kinds: readonly ServerKind[],
  cells: readonly Cell[],
  found: ReadonlyMap<string, Measured[]>,
  resident: ReadonlyMap<string, number[]>,
): void {
  console.log(
    'cell                          server       ops/s     MB/s   p50 ms   p99 ms  CPU s/M   ops x   CPU x',
  )
  for (const cell of cells) {
    for (const kind of kinds) {
      const one = medians(found.get(`${kind.name} ${nameOf(cell)}`) ?? [])
      const isOwn = kind.name === OWN_NAME
      const cols = [
        nameOf(cell).padEnd(30),
        kind.name.padEnd(7),
        one.opsPerSecond.toFixed(0).padStart(10),
        one.mbPerSecond.toFixed(1).padStart(8),
        one.p50Ms.toFixed(3).padStart(8),
        one.p99Ms.toFixed(3).padStart(8),
        one.cpuSeconds.toFixed(2).padStart(8),
        isOwn ? '' : ratio(found, kind, cell, 'opsPerSecond').toFixed(2).padStart(7),
        isOwn ? '' : ratio(found, kind, cell, 'cpuSeconds').toFixed(2).padStart(7),
      ]
      console.log(cols.join(' ').trimEnd())
    }
  }
  for (const [name, values] of resident) {
    console.log(`${name}: ${formatBytes(median(values))} resident a million keys of 16 bytes`)
  }
}
