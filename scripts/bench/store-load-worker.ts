/**
 * The load of `npm run bench -- store`: a process of its own that speaks to one server and prints what it measured.
 *
 * Commands are built once into a buffer a connection and only their keys are patched, and replies are skipped over
 * rather than parsed into values, and bytes are moved as the store's server moves them (io_uring where there is one), so that
 * the client costs less than the server that is measured.
 */
import { Socket } from 'node:net'
import { openTransport, type TransportChoice } from '../../agent/adapters/socket/open-transport.ts'
import type { SocketLink } from '../../agent/adapters/socket/transport.ts'
import { NodeError } from '../../agent/base/errors.ts'
import type { Log } from '../../agent/base/ports.ts'

/** What to do; given as JSON in the first argument. */
export interface LoadJob {
  readonly port: number
  readonly op: 'set' | 'get'
  readonly valueBytes: number
  readonly connections: number
  readonly pipeline: number
  /** As many, or as many as are begun in `secondsMax` if that is given. */
  readonly operations: number
  readonly secondsMax?: number
  /** First key for `set`; for `get` keys are taken from `[0, keys)`. */
  readonly firstKey: number
  readonly keys: number
  /** How the client moves bytes, the same for every server. */
  readonly client?: TransportChoice
}

/** What was measured. */
export interface LoadResult {
  readonly operations: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly misses: number
}

const KEY_BYTES = 16
const CR = 13
const DOLLAR = 36
const MINUS = 45

const quiet = () => undefined
const log: Log = { debug: quiet, info: quiet, warn: quiet, error: quiet, child: () => log }

if (import.meta.main) {
  const job = JSON.parse(process.argv[2] ?? '{}') as LoadJob
  console.log(JSON.stringify(await runLoad(job)))
}

/** Runs a job. */
async function runLoad(job: LoadJob): Promise<LoadResult> {
  const batches = Math.ceil(job.operations / job.pipeline)
  const latencies = new Float64Array(batches)
  const state = { started: 0, done: 0, misses: 0, nextKey: job.firstKey, random: 12_345 }
  const finished = Promise.withResolvers<void>()
  let endsAt = 0
  const transport = openTransport(job.client ?? 'auto', log)

  const nextKey = (): number => {
    if (job.op === 'set') return state.nextKey++
    state.random = (Math.imul(state.random, 1_103_515_245) + 12_345) >>> 0
    return state.random % job.keys
  }

  async function connection(): Promise<{ link: SocketLink; send: () => void }> {
    const { request, keyAt, stampAt } = buildRequest(job)
    const parts = [request]
    const replies = replyCounter((isMiss) => {
      if (isMiss) state.misses++
      if (++outstanding === job.pipeline) complete()
    })
    let outstanding = 0
    let sentAt = 0
    const link = transport.link(await connectPaused(job.port))
    link.start({
      received: replies,
      ended: () => finished.reject(new NodeError('BENCH_PEER', 'the server ended a connection')),
      closed: quiet,
    })

    function complete(): void {
      const now = performance.now()
      latencies[state.done++] = now - sentAt
      if (now < endsAt) send()
      if (state.done === state.started) finished.resolve()
    }
    function send(): void {
      if (state.started >= batches) return
      state.started++
      for (const at of keyAt) writeKey(request, at, nextKey())
      for (const at of stampAt) writeKey(request, at, state.nextKey)
      outstanding = 0
      sentAt = performance.now()
      link.send({ parts }, quiet)
    }
    return { link, send }
  }

  const connections = await Promise.all(Array.from({ length: job.connections }, connection))
  const from = performance.now()
  endsAt = from + (job.secondsMax ?? Number.POSITIVE_INFINITY) * 1000
  for (const { send } of connections) send()
  await finished.promise
  const seconds = (performance.now() - from) / 1000
  for (const { link } of connections) link.destroy()
  const sorted = latencies.subarray(0, state.done).sort()
  const at = (share: number) => sorted[Math.floor((state.done - 1) * share)] ?? 0
  const operations = state.done * job.pipeline
  return { operations, seconds, p50Ms: at(0.5), p99Ms: at(0.99), misses: state.misses }
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
function buildRequest(job: LoadJob): { request: Buffer; keyAt: number[]; stampAt: number[] } {
  const parts: Buffer[] = []
  const keyAt: number[] = []
  const stampAt: number[] = []
  let bytes = 0
  const add = (part: Buffer) => {
    parts.push(part)
    bytes += part.byteLength
  }
  for (let command = 0; command < job.pipeline; command++) {
    const isSet = job.op === 'set'
    add(
      Buffer.from(
        isSet ? `*3\r\n$3\r\nSET\r\n$${KEY_BYTES}\r\n` : `*2\r\n$3\r\nGET\r\n$${KEY_BYTES}\r\n`,
      ),
    )
    keyAt.push(bytes)
    add(Buffer.alloc(KEY_BYTES, 'k'))
    add(Buffer.from('\r\n'))
    if (!isSet) continue
    add(Buffer.from(`$${job.valueBytes}\r\n`))
    if (job.valueBytes >= KEY_BYTES) stampAt.push(bytes)
    add(Buffer.alloc(job.valueBytes, 'v'))
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
