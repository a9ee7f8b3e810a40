/**
 * Benchmark of the links: a client process's bytes through dial socket, links A, libp2p, links B and the socket of a
 * service, everything on this machine. `npm run bench -- links`, or run this file; `--json` prints data, `--quick` less.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { cpus } from 'node:os'
import { dialService } from '../../agent/adapters/socket/dial.ts'
import { readFirstLine } from '../../agent/adapters/socket/dial-line.ts'
import { MIB } from '../../agent/base/units.ts'
import { type LinksProcess, startLinksProcess } from './links-units.ts'

const quick = process.argv.includes('--quick')
const ROUNDS = quick ? 3 : 5
const BULK_BYTES = (quick ? 64 : 256) * MIB
const ROUND_TRIPS = quick ? 300 : 2000
const DIALS = quick ? 50 : 200
const STREAMS = [1, 4]
/** `/proc/pid/stat` counts in hundredths of a second on every Linux. */
const TICKS_PER_SECOND = 100

interface BulkRow {
  readonly streams: number
  readonly mbPerSecond: number
  readonly senderMbPerCpuSecond: number
  readonly receiverMbPerCpuSecond: number
}

interface Quantiles {
  readonly p50: number
  readonly p99: number
}

const [a, b] = await Promise.all([startLinksProcess(1), startLinksProcess(2)])
const service = createServer({ allowHalfOpen: true, pauseOnConnect: true }, serveClient)
service.listen(b.peerSocketPath)
await once(service, 'listening')
try {
  const entryA = await a.configure([])
  const entryB = await b.configure([entryA])
  await a.configure([entryB])

  const bulk: BulkRow[] = []
  for (const streams of STREAMS) bulk.push(await medianBulk(streams))
  print({ bulk, roundTripUs: await roundTrips(), dialUs: await dials() })
} finally {
  await a.remove()
  await b.remove()
  service.close()
}
process.exit(0)

/** First byte `s`: swallow, and answer one byte at the end; `e`: echo. */
async function serveClient(socket: Socket): Promise<void> {
  socket.on('error', () => undefined)
  await readFirstLine(socket)
  let echoes: boolean | undefined
  socket.on('data', (bytes: Buffer) => {
    echoes ??= bytes[0] === 0x65
    if (echoes) socket.write(bytes)
  })
  socket.once('end', () => socket.end('.'))
  socket.resume()
}

async function medianBulk(streams: number): Promise<BulkRow> {
  const rows: BulkRow[] = []
  for (let round = 0; round < ROUNDS; round++) rows.push(await bulkOnce(streams))
  rows.sort((x, y) => x.mbPerSecond - y.mbPerSecond)
  const median = rows[Math.floor(rows.length / 2)]
  if (!median) throw new RangeError('at least one round')
  return median
}

async function bulkOnce(streams: number): Promise<BulkRow> {
  const block = Buffer.alloc(MIB, 's')
  randomBytes(MIB - 1).copy(block, 1)
  const sockets = await Promise.all(Array.from({ length: streams }, () => dial(a)))
  const cpuBefore = [cpuSeconds(a), cpuSeconds(b)]
  const startedMs = performance.now()
  await Promise.all(
    sockets.map(async (socket) => {
      for (let sent = 0; sent < BULK_BYTES / streams; sent += MIB) {
        if (!socket.write(block)) await once(socket, 'drain')
      }
      socket.end()
      // The answer comes when the service has everything.
      await once(socket, 'data')
      socket.destroy()
    }),
  )
  const seconds = (performance.now() - startedMs) / 1000
  const megabytes = BULK_BYTES / 1e6
  return {
    streams,
    mbPerSecond: megabytes / seconds,
    senderMbPerCpuSecond: megabytes / (cpuSeconds(a) - (cpuBefore[0] ?? 0)),
    receiverMbPerCpuSecond: megabytes / (cpuSeconds(b) - (cpuBefore[1] ?? 0)),
  }
}

async function roundTrips(): Promise<Quantiles> {
  const socket = await dial(a)
  const ping = Buffer.alloc(32, 'e')
  const times: number[] = []
  for (let i = 0; i < ROUND_TRIPS; i++) {
    const startedMs = performance.now()
    socket.write(ping)
    await once(socket, 'data')
    times.push((performance.now() - startedMs) * 1000)
  }
  socket.destroy()
  return quantiles(times)
}

async function dials(): Promise<Quantiles> {
  const times: number[] = []
  for (let i = 0; i < DIALS; i++) {
    const startedMs = performance.now()
    const socket = await dial(a)
    times.push((performance.now() - startedMs) * 1000)
    socket.destroy()
    await once(socket, 'close')
  }
  return quantiles(times)
}

function dial(from: LinksProcess) {
  return dialService({
    dialSocketPath: from.dialSocketPath,
    account: b.key.account,
    service: 'store',
    signal: AbortSignal.timeout(20_000),
  })
}

function quantiles(values: number[]): Quantiles {
  const sorted = [...values].sort((x, y) => x - y)
  const at = (share: number) => Math.round(sorted[Math.floor(sorted.length * share)] ?? Number.NaN)
  return { p50: at(0.5), p99: at(0.99) }
}

/** User and system time of a process. */
function cpuSeconds(unit: LinksProcess): number {
  const stat = readFileSync(`/proc/${unit.child.pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

function print(result: { bulk: BulkRow[]; roundTripUs: Quantiles; dialUs: Quantiles }): void {
  if (process.argv.includes('--json')) {
    console.log(JSON.stringify(result))
    return
  }
  const shown = (value: number) => value.toFixed(0).padStart(8)
  console.log(`${cpus().length} x ${cpus()[0]?.model}, Node ${process.versions.node}`)
  console.log(`bulk, ${BULK_BYTES / MIB} MiB, median of ${ROUNDS}:`)
  console.log(' streams     MB/s   MB per CPU second: sender, receiver')
  for (const row of result.bulk) {
    const perCpu = `${shown(row.senderMbPerCpuSecond)} ${shown(row.receiverMbPerCpuSecond)}`
    console.log(`${shown(row.streams)} ${shown(row.mbPerSecond)} ${perCpu}`)
  }
  console.log(`round trip 32 B: p50 ${result.roundTripUs.p50} us, p99 ${result.roundTripUs.p99} us`)
  console.log(`new stream: p50 ${result.dialUs.p50} us, p99 ${result.dialUs.p99} us`)
}
