/**
 * The load of `npm run bench -- store`: a process of its own that speaks to one server. It connects as its argument says, then
 * does each job that comes on its standard input, a line each, and prints what it measured, a line each.
 *
 * It lives as long as the server is measured in one cell, so that the compiler has done its work on it before the first figure.
 * Commands are built once into a buffer a connection and only their keys are patched, and replies are skipped over
 * rather than parsed into values, and bytes are moved as the store's server moves them (io_uring where there is one), so that
 * the client costs less than the server that is measured.
 */
import { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { openTransport, type TransportChoice } from '../../agent/adapters/socket/open-transport.ts'
import type { SocketLink } from '../../agent/adapters/socket/transport.ts'
import { NodeError } from '../../agent/base/errors.ts'
import type { Log } from '../../agent/base/ports.ts'

/** Whom to speak to and how; given as JSON in the first argument. */
export interface LoadShape {
  readonly port: number
  readonly op: 'set' | 'get'
  readonly valueBytes: number
  readonly connections: number
  readonly pipeline: number
  /** How the client moves bytes, the same for every server. */
  readonly client?: TransportChoice
}

/** What to do; given as JSON, a line of the standard input. */
export interface LoadJob {
  /** As many, or as many as are begun in `secondsMax` if that is given. */
  readonly operations: number
  readonly secondsMax?: number
  /** First key for `set`; for `get` keys are taken from `[0, keys)`. */
  readonly firstKey: number
  readonly keys: number
}

/** What was measured. */
export interface LoadResult {
  readonly operations: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly misses: number
  /** CPU of the client meanwhile. */
  readonly cpuSeconds: number
}

const KEY_BYTES = 16
const CR = 13
const DOLLAR = 36
const MINUS = 45

const quiet = () => undefined
const log: Log = { debug: quiet, info: quiet, warn: quiet, error: quiet, child: () => log }

if (import.meta.main) {
  const load = await openLoad(JSON.parse(process.argv[2] ?? '{}') as LoadShape)
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await load.run(JSON.parse(line) as LoadJob)))
  }
  load.close()
}

/** Connections that wait for jobs. */
interface Load {
  run(job: LoadJob): Promise<LoadResult>
  close(): void
}

/** One connection: begins the next batch, if the job has one left. */
interface Client {
  readonly link: SocketLink
  send(): void
}

/** A job that runs. */
interface Running {
  readonly job: LoadJob
  /** Of as many batches as there may be. */
  readonly latencies: Float64Array
  readonly finished: PromiseWithResolvers<void>
  readonly endsAt: number
  started: number
  done: number
  misses: number
  nextKey: number
}

async function openLoad(shape: LoadShape): Promise<Load> {
  const transport = openTransport(shape.client ?? 'auto', log)
  let running: Running | undefined
  let random = 12_345

  const nextKey = (of: Running): number => {
    if (shape.op === 'set') return of.nextKey++
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0
    return random % of.job.keys
  }

  async function connection(): Promise<Client> {
    const { request, keyAt, stampAt } = buildRequest(shape)
    const parts = [request]
    const replies = replyCounter((isMiss) => {
      if (isMiss && running) running.misses++
      if (++outstanding === shape.pipeline) complete()
    })
    let outstanding = 0
    let sentAt = 0
    const link = transport.link(await connectPaused(shape.port))
    link.start({
      received: replies,
      ended: () =>
        running?.finished.reject(new NodeError('BENCH_PEER', 'the server ended a connection')),
      closed: quiet,
    })

    function complete(): void {
      if (!running) return
      const now = performance.now()
      running.latencies[running.done++] = now - sentAt
      if (now < running.endsAt) send()
      if (running.done === running.started) running.finished.resolve()
    }
    function send(): void {
      if (!running || running.started >= running.latencies.length) return
      running.started++
      for (const at of keyAt) writeKey(request, at, nextKey(running))
      for (const at of stampAt) writeKey(request, at, running.nextKey)
      outstanding = 0
      sentAt = performance.now()
      link.send({ parts }, quiet)
    }
    return { link, send }
  }

  const clients = await Promise.all(Array.from({ length: shape.connections }, connection))

  async function run(job: LoadJob): Promise<LoadResult> {
    const before = process.cpuUsage()
    const from = performance.now()
    const mine: Running = {
      job,
      latencies: new Float64Array(Math.ceil(job.operations / shape.pipeline)),
      finished: Promise.withResolvers<void>(),
      endsAt: from + (job.secondsMax ?? Number.POSITIVE_INFINITY) * 1000,
      ...{ started: 0, done: 0, misses: 0, nextKey: job.firstKey },
    }
    running = mine
    for (const { send } of clients) send()
    await mine.finished.promise
    running = undefined
    const seconds = (performance.now() - from) / 1000
    const { user, system } = process.cpuUsage(before)
    const sorted = mine.latencies.subarray(0, mine.done).sort()
    const at = (share: number) => sorted[Math.floor((mine.done - 1) * share)] ?? 0
    return {
      operations: mine.done * shape.pipeline,
      seconds,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      misses: mine.misses,
      cpuSeconds: (user + system) / 1e6,
    }
  }

  return {
    run,
    close() {
      for (const { link } of clients) link.destroy()
    },
  }
}

/** Connects without reading, which is left to the transport. */
function connectPaused(port: number): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const socket = new Socket()
  socket.pause()
  socket.setNoDelay(true)
  socket.once('error', reject)
  socket.connect({ port, host: '127.0.0.1' }, () => resolve(socket))
  return promise
}

/** One pipeline of commands, where their keys are, and where a value must differ from all others. */
function buildRequest(shape: LoadShape): { request: Buffer; keyAt: number[]; stampAt: number[] } {
  const parts: Buffer[] = []
  const keyAt: number[] = []
  const stampAt: number[] = []
  let bytes = 0
  const add = (part: Buffer) => {
    parts.push(part)
    bytes += part.byteLength
  }
  for (let command = 0; command < shape.pipeline; command++) {
    const isSet = shape.op === 'set'
    add(
      Buffer.from(
        isSet ? `*3\r\n$3\r\nSET\r\n$${KEY_BYTES}\r\n` : `*2\r\n$3\r\nGET\r\n$${KEY_BYTES}\r\n`,
      ),
    )
    keyAt.push(bytes)
    add(Buffer.alloc(KEY_BYTES, 'k'))
    add(Buffer.from('\r\n'))
    if (!isSet) continue
    add(Buffer.from(`$${shape.valueBytes}\r\n`))
    if (shape.valueBytes >= KEY_BYTES) stampAt.push(bytes)
    add(Buffer.alloc(shape.valueBytes, 'v'))
    add(Buffer.from('\r\n'))
  }
  return { request: Buffer.concat(parts), keyAt, stampAt }
}

function writeKey(request: Buffer, at: number, key: number): void {
  let rest = key
  for (let digit = KEY_BYTES - 1; digit > 0; digit--) {
    request[at + digit] = 48 + (rest % 10)
    rest = Math.floor(rest / 10)
  }
}

/** Counts replies in a stream: lines, and strings that are skipped as a whole. */
function replyCounter(onReply: (isMiss: boolean) => void): (data: Buffer, bytes: number) => void {
  let skip = 0
  let kind = 0
  let value = 0
  let isNegative = false
  let isInLine = false
  return (data, bytes) => {
    let at = 0
    while (at < bytes) {
      if (skip > 0) {
        const take = Math.min(skip, bytes - at)
        skip -= take
        at += take
        if (skip === 0) onReply(false)
        continue
      }
      const byte = data[at++] as number
      if (!isInLine) {
        isInLine = true
        kind = byte
        value = 0
        isNegative = false
        if (kind === MINUS)
          throw new RangeError(
            `error reply: ${data.toString('latin1', at, Math.min(bytes, at + 80))}`,
          )
      } else if (byte === CR) {
        at++
        isInLine = false
        if (at > bytes) {
          // The line feed is still to come: it counts as one byte to skip of a reply without string.
          at = bytes
          skip = kind === DOLLAR && !isNegative ? value + 3 : 1
          continue
        }
        if (kind === DOLLAR && !isNegative) skip = value + 2
        else onReply(kind === DOLLAR)
      } else if (kind === DOLLAR) {
        if (byte === MINUS) isNegative = true
        else value = value * 10 + byte - 48
      }
    }
  }
}
