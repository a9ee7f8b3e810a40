/**
 * Benchmark of the store against its peers: `npm run bench -- store [--quick] [--json] [--rounds N] [--only TEXT]
 * [--peer 0db=BINARY] [--peer redis=BINARY] [--peer before=CHECKOUT] [--client auto|uring|libuv]
 * [--sockets auto|uring|libuv]`.
 *
 * Every round starts each server afresh. In a cell each has its client, which is warm before anything counts, and they are measured
 * in turn, several times, so that what disturbs the machine disturbs all of them; what is printed is the median. Each cell is told
 * on stderr as soon as it is done, so that an interrupted run has told what it knew. Before each measurement the disk is
 * idle. CPU is that of the server, from /proc, and that of the client beside it: where both fill their core, no server can be faster.
 * `--client` says how the load moves its bytes, the same for every server; `--sockets` how this store does.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import {
  TRANSPORT_CHOICES,
  type TransportChoice,
} from '../../agent/adapters/socket/open-transport.ts'
import { NodeError } from '../../agent/base/errors.ts'
import { KIB, MIB } from '../../agent/base/units.ts'
import { type Cell, type Measured, nameOf, StoreFigures, TABLE_HEAD } from './store-figures.ts'
import { type Load, startLoad } from './store-load.ts'
import type { LoadJob, LoadShape } from './store-load-worker.ts'
import {
  type BenchSync,
  ownKind,
  peerKind,
  type Server,
  type ServerKind,
  startServer,
} from './store-servers.ts'

const FIRST_PORT = 19_900
const SYNC_MODES: readonly BenchSync[] = ['group', 'always', 'never']
/** More in flight than this would measure the client's memory. */
const IN_FLIGHT_BYTES_MAX = 64 * MIB
const PRELOAD_BYTES_MAX = 128 * MIB
const PRELOAD_KEYS_MAX = 100_000
/** Measurements of each server in a cell of a round, and what ends one, whatever comes first. */
const SLICES = 5
const SLICE_BYTES_MAX = 512 * MIB
const SLICE_SECONDS_MAX = 2
const ALWAYS_OPERATIONS_MAX = 100_000
const RSS_KEYS = 1_000_000
/** Small commands each server has done before it is measured, so that a cell does not pay for the compiler. */
const WARM_UP_OPERATIONS = 20_000

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
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3))
  const slices = values.quick ? 1 : SLICES
  const cells = (values.quick ? quickCells() : allCells()).filter((cell) =>
    nameOf(cell).includes(values.only),
  )
  const figures = new StoreFigures(kinds.map((kind) => kind.name))
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? kinds : [...kinds].reverse()
    tell(`round ${round + 1} of ${rounds}, medians so far\n${TABLE_HEAD}`)
    for (const sync of SYNC_MODES) {
      const mine = cells.filter((cell) => cell.sync === sync)
      if (mine.length > 0) {
        await runRound({ kinds: order, sync, cells: mine, client, slices }, figures)
      }
    }
    if (!values.quick && values.only === '') await measureMemory(order, figures)
  }
  if (values.json) console.log(JSON.stringify(figures.data(cells), null, 2))
  else console.log(figures.table(cells))
}

/** Progress goes beside the result, which may be read by a program. */
function tell(text: string): void {
  process.stderr.write(`${text}\n`)
}

interface Round {
  readonly kinds: readonly ServerKind[]
  readonly sync: BenchSync
  readonly cells: readonly Cell[]
  readonly client: TransportChoice
  readonly slices: number
}

async function runRound(round: Round, figures: StoreFigures): Promise<void> {
  const { kinds, sync, client, slices } = round
  const servers = new Map<ServerKind, Server>()
  try {
    for (const [at, kind] of kinds.entries()) {
      const server = await startServer(kind, FIRST_PORT + at, sync)
      servers.set(kind, server)
      await warmCompiler(server, sync, client)
    }
    let firstKey = 10_000_000
    for (const shape of round.cells) {
      const cell = { ...shape, client }
      firstKey = await measureCell({ cell, servers, firstKey, slices }, figures)
      tell(figures.linesOf(cell).join('\n'))
    }
  } finally {
    for (const server of servers.values()) await server.stop()
  }
}

interface CellRun {
  readonly cell: Cell
  readonly servers: ReadonlyMap<ServerKind, Server>
  readonly firstKey: number
  readonly slices: number
}

/** Measures all servers in one cell, in turn, the order reversed each time. @returns A key after all that it used. */
async function measureCell(run: CellRun, figures: StoreFigures): Promise<number> {
  const { cell, servers } = run
  const keysAJob = cell.operations + 64 * cell.connections
  const loads = new Map<ServerKind, Load>()
  try {
    for (const [kind, server] of servers) {
      if (cell.op === 'get') await preload(server, cell)
      const load = startLoad({ ...cell, port: server.port })
      loads.set(kind, load)
      await load.run(warmUpOf(cell, run.firstKey))
    }
    let { firstKey } = run
    for (let slice = 0; slice < run.slices; slice++) {
      firstKey += keysAJob
      const order = slice % 2 === 0 ? [...servers] : [...servers].reverse()
      for (const [kind, server] of order) {
        await settleDisk()
        const job = jobOf(cell, firstKey)
        figures.add(kind.name, cell, await measure(server, loads.get(kind) as Load, cell, job))
      }
    }
    return firstKey + keysAJob
  } finally {
    for (const load of loads.values()) await load.stop()
  }
}

async function measure(server: Server, load: Load, cell: Cell, job: LoadJob): Promise<Measured> {
  const before = server.cpuSeconds()
  const { operations, ...result } = await load.run(job)
  if (cell.op === 'get' && result.misses > 0) throw new NodeError('BENCH_PEER', 'keys are missing')
  const cpuSeconds = server.cpuSeconds() - before
  return {
    opsPerSecond: operations / result.seconds,
    mbPerSecond: (operations * cell.valueBytes) / result.seconds / 1e6,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    cpuSeconds: (cpuSeconds / operations) * 1e6,
    clientCpuSeconds: (result.cpuSeconds / operations) * 1e6,
  }
}

const jobOf = (cell: Cell, firstKey: number): LoadJob => ({
  operations: cell.operations,
  secondsMax: cell.secondsMax,
  firstKey,
  keys: keysOf(cell),
})

/** Half of what is measured, so that no compiler or cache is met cold. */
function warmUpOf(cell: Cell, firstKey: number): LoadJob {
  const job = jobOf(cell, firstKey)
  const operations = Math.max(cell.pipeline, Math.floor(job.operations / 2))
  return { ...job, operations, secondsMax: cell.secondsMax / 2 }
}

const keysOf = (cell: Cell) =>
  Math.min(PRELOAD_KEYS_MAX, Math.max(16, Math.floor(PRELOAD_BYTES_MAX / cell.valueBytes)))

async function preload(server: Server, cell: Cell): Promise<void> {
  const keys = keysOf(cell)
  const pipeline = cell.valueBytes <= 4 * KIB ? 16 : 1
  const operations = Math.ceil(keys / pipeline) * pipeline
  const { valueBytes, client = 'auto' } = cell
  const { port } = server
  await runOnce(
    { port, op: 'set', valueBytes, connections: 1, pipeline, client },
    { operations, firstKey: 0, keys },
  )
}

/** Servers live for weeks: what their first seconds cost is not their speed. */
async function warmCompiler(
  server: Server,
  sync: BenchSync,
  client: TransportChoice,
): Promise<void> {
  // Where each SET of a peer is synced by itself these would take minutes.
  const ops = sync === 'always' ? (['get'] as const) : (['set', 'get'] as const)
  const keys = WARM_UP_OPERATIONS
  const shape = { port: server.port, valueBytes: 100, connections: 50, pipeline: 1, client }
  for (const op of ops) {
    await runOnce({ ...shape, op }, { operations: WARM_UP_OPERATIONS, firstKey: 0, keys })
  }
}

/** What one server has left to the kernel to write must not be written while the next is measured, which may sync. */
async function settleDisk(): Promise<void> {
  await once(spawn('sync', { stdio: 'ignore' }), 'exit')
}

async function runOnce(shape: LoadShape, job: LoadJob): Promise<void> {
  const load = startLoad(shape)
  try {
    await load.run(job)
  } finally {
    await load.stop()
  }
}

async function measureMemory(kinds: readonly ServerKind[], figures: StoreFigures): Promise<void> {
  for (const kind of kinds) {
    const server = await startServer(kind, FIRST_PORT, 'group')
    try {
      const before = server.residentBytes()
      await runOnce(
        { port: server.port, op: 'set', valueBytes: 100, connections: 20, pipeline: 16 },
        { operations: RSS_KEYS, firstKey: 0, keys: RSS_KEYS },
      )
      figures.addResident(kind.name, ((server.residentBytes() - before) / RSS_KEYS) * 1e6)
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
  for (const sync of SYNC_MODES) {
    // How writes are synced is nothing to those who read.
    for (const op of sync === 'group' ? (['set', 'get'] as const) : (['set'] as const)) {
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

/** Of the length of a measurement in a quick run. */
const QUICK_SCALE = 0.25

function quickCells(): Cell[] {
  return [
    cellOf('group', 'set', 100, 50, 16, QUICK_SCALE),
    cellOf('group', 'get', 100, 50, 16, QUICK_SCALE),
    cellOf('group', 'set', 100, 50, 1, QUICK_SCALE),
    cellOf('group', 'get', 100, 50, 1, QUICK_SCALE),
    cellOf('group', 'set', 4 * KIB, 50, 16, QUICK_SCALE),
    cellOf('group', 'get', 4 * KIB, 50, 16, QUICK_SCALE),
    cellOf('group', 'set', 64 * KIB, 50, 1, QUICK_SCALE),
    cellOf('group', 'get', 64 * KIB, 50, 1, QUICK_SCALE),
    cellOf('always', 'set', 100, 50, 1, QUICK_SCALE),
    cellOf('always', 'set', 100, 50, 16, QUICK_SCALE),
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
  const small = Math.min(400_000, 8000 + 500 * inFlight)
  const most = sync === 'always' ? ALWAYS_OPERATIONS_MAX : small
  const operations = Math.floor(Math.min(most, SLICE_BYTES_MAX / valueBytes) * scale)
  const secondsMax = SLICE_SECONDS_MAX * scale
  return { sync, op, valueBytes, connections, pipeline, operations, secondsMax }
}
