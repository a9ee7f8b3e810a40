/**
 * Benchmark of the store against its peers: `npm run bench -- store [--quick] [--json] [--rounds N] [--only TEXT]
 * [--peer 0db=BINARY] [--peer redis=BINARY] [--peer before=CHECKOUT] [--client auto|uring|libuv]
 * [--sockets auto|uring|libuv]`.
 *
 * Every round starts each server afresh and runs all cells on them in turn, the order reversed every other round; what is
 * printed is the median of the rounds. Each cell is told on stderr as soon as all servers ran it, so that an interrupted run
 * has told what it knew. Before each measurement the disk is idle. CPU is that of the server alone, from /proc. `--client`
 * says how the load moves its bytes, the same for every server; `--sockets` how this store does.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  TRANSPORT_CHOICES,
  type TransportChoice,
} from '../../agent/adapters/socket/open-transport.ts'
import { NodeError } from '../../agent/base/errors.ts'
import { KIB, MIB } from '../../agent/base/units.ts'
import { type Cell, type Measured, nameOf, StoreFigures, TABLE_HEAD } from './store-figures.ts'
import type { LoadJob, LoadResult } from './store-load-worker.ts'
import {
  type BenchSync,
  ownKind,
  peerKind,
  type Server,
  type ServerKind,
  startServer,
} from './store-servers.ts'

const FIRST_PORT = 19_900
/** More in flight than this would measure the client's memory. */
const IN_FLIGHT_BYTES_MAX = 64 * MIB
const PRELOAD_BYTES_MAX = 128 * MIB
const PRELOAD_KEYS_MAX = 100_000
/** A cell is done when one of these is reached, whatever comes first. */
const CELL_BYTES_MAX = 1024 * MIB
const CELL_SECONDS_MAX = 4
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
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5))
  const cells = (values.quick ? quickCells() : allCells()).filter((cell) =>
    nameOf(cell).includes(values.only),
  )
  const figures = new StoreFigures(kinds.map((kind) => kind.name))
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? kinds : [...kinds].reverse()
    tell(`round ${round + 1} of ${rounds}, medians so far\n${TABLE_HEAD}`)
    for (const sync of ['group', 'always'] as const) {
      const mine = cells.filter((cell) => cell.sync === sync)
      if (mine.length > 0) await runRound({ kinds: order, sync, cells: mine, client }, figures)
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

async function runRound(
  round: {
    readonly kinds: readonly ServerKind[]
    readonly sync: BenchSync
    readonly cells: readonly Cell[]
    readonly client: TransportChoice
  },
  figures: StoreFigures,
): Promise<void> {
  const { kinds, sync, client } = round
  const servers = new Map<ServerKind, Server>()
  try {
    for (const [at, kind] of kinds.entries()) {
      const server = await startServer(kind, FIRST_PORT + at, sync)
      servers.set(kind, server)
      await warmCompiler(server, sync, client)
    }
    let nextKey = 10_000_000
    for (const shape of round.cells) {
      const cell = { ...shape, client }
      for (const [kind, server] of servers) {
        if (cell.op === 'get') await preload(server, cell)
        await warmUp(server, cell, nextKey + 500_000_000)
        await settleDisk()
        figures.add(kind.name, cell, await measure(server, cell, nextKey))
      }
      tell(figures.linesOf(cell).join('\n'))
      nextKey += cell.operations + 64 * cell.connections
    }
  } finally {
    for (const server of servers.values()) await server.stop()
  }
}

async function measure(server: Server, cell: Cell, firstKey: number): Promise<Measured> {
  const before = server.cpuSeconds()
  const job = { ...cell, port: server.port, firstKey, keys: keysOf(cell) }
  const { operations, ...result } = await load(job)
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

/** Servers live for weeks: what their first seconds cost is not their speed. */
async function warmCompiler(
  server: Server,
  sync: BenchSync,
  client: TransportChoice,
): Promise<void> {
  // Where each SET of a peer is synced by itself these would take minutes.
  const ops = sync === 'always' ? (['get'] as const) : (['set', 'get'] as const)
  const keys = WARM_UP_OPERATIONS
  const shape = { valueBytes: 100, connections: 50, pipeline: 1, client, firstKey: 0, keys }
  for (const op of ops) {
    await load({ ...shape, port: server.port, op, operations: WARM_UP_OPERATIONS })
  }
}

/** A quarter of the cell, so that no compiler or cache is met cold. */
async function warmUp(server: Server, cell: Cell, firstKey: number): Promise<void> {
  const operations = Math.max(cell.pipeline, Math.floor(cell.operations / 4))
  const secondsMax = cell.secondsMax / 4
  await load({ ...cell, port: server.port, operations, secondsMax, firstKey, keys: keysOf(cell) })
}

/** What one server has left to the kernel to write must not be written while the next is measured, which may sync. */
async function settleDisk(): Promise<void> {
  await once(spawn('sync', { stdio: 'ignore' }), 'exit')
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

async function measureMemory(kinds: readonly ServerKind[], figures: StoreFigures): Promise<void> {
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
  const small = Math.min(400_000, 8000 + 500 * inFlight)
  const most = sync === 'always' ? ALWAYS_OPERATIONS_MAX : small
  const operations = Math.floor(Math.min(most, CELL_BYTES_MAX / valueBytes) * scale)
  const secondsMax = CELL_SECONDS_MAX * scale
  return { sync, op, valueBytes, connections, pipeline, operations, secondsMax }
}
