/**
 * The control protocol between the agent and its units: both ends.
 *
 * The unit listens on a unix socket, the agent connects. Each line is one JSON message: `{id, method, params}` one way,
 * `{id, result}` or `{id, error: {code, message, hint}}` the other. Requests are answered in any order, except that
 * `configure` calls are run one after another, so a unit never sees two at once. The socket is mode 0600 in a 0700
 * directory: secrets travel over it and nowhere else.
 *
 * @see docs/design/0001-first-slice.md, section 1
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { assert } from '../base/assert.ts'
import { codeOf, NodeError } from '../base/errors.ts'
import { buildId } from './build.ts'

/** Longest line: a node of 100,000 namespaces has a configuration of about 30 MiB; a line beyond is not ours. */
export const CONTROL_LINE_BYTES_MAX = 64 * 1024 * 1024
/** Requests that may wait on one connection: the agent needs two (configure and status). */
export const CONTROL_PENDING_MAX = 64
/** Connections at once: an agent, its successor, and a person looking. */
export const CONTROL_CONNECTIONS_MAX = 16
/** `sun_path` holds 108 bytes with its final zero. */
const SOCKET_PATH_BYTES_MAX = 107
/** How long a dead socket file may keep us in doubt. */
const PROBE_MS_MAX = 1000

/** What a unit says of itself first. */
export interface Hello {
  /** `store`, `overlay` or `mount`. */
  readonly kind: string
  readonly name: string
  readonly pid: number
  /** {@link buildId} of the unit. */
  readonly build: string
}

/** What a unit does when its agent asks. */
export interface UnitMethods<Config> {
  /**
   * Makes the unit match the whole desired configuration. Repeatable; never called while another call runs.
   * Resolve once the configuration is taken over, not once all work that it causes is done.
   */
  configure(config: Config): Promise<void> | void
  /** How the unit is, as a JSON object. Must answer within a second even under load: it is the health check. */
  status(): Promise<object> | object
  /** Drains: everything acknowledged is durable, listeners are closed. Called once. */
  stop(): Promise<void> | void
  /** Further methods of this kind of unit, by name. */
  readonly calls?: Readonly<Record<string, (params: unknown) => unknown>>
}

/** A unit's listening end. */
export interface ControlServer {
  /** Resolves once the unit has drained and the socket is gone: leave the main function then. */
  readonly closed: Promise<void>
  /** Drains and closes, as the method `stop` does; for SIGTERM. Repeatable. */
  stop(): Promise<void>
}

/**
 * Listens for the agent.
 *
 * @param options.path - Where the socket goes; its directory is made (0700). A socket file that nobody answers on is replaced.
 * @param options.kind - Kind of unit, told in `hello`.
 * @param options.name - Name of the unit, unique in the data directory, told in `hello`.
 * @param options.methods - What the unit does; `Config` is trusted to be what the agent's types say.
 * @returns The listening end, ready for connections.
 * @throws NodeError `CONTROL_PATH_TOO_LONG`, `CONTROL_ALREADY_RUNNING`, or the system's code.
 * @example
 * const server = await serveControl<StoreUnitConfig>({ path, kind: 'store', name: 'store', methods })
 * process.once('SIGTERM', () => void server.stop())
 * await server.closed
 */
export async function serveControl<Config>(options: {
  readonly path: string
  readonly kind: string
  readonly name: string
  readonly methods: UnitMethods<Config>
}): Promise<ControlServer> {
  const { path, kind, name, methods } = options
  await claimSocketPath(path)

  const sockets = new Set<Socket>()
  const done = Promise.withResolvers<void>()
  let lastConfigure: Promise<void> = Promise.resolve()
  let stopping: Promise<void> | undefined

  const server = createServer((socket) => {
    if (sockets.size >= CONTROL_CONNECTIONS_MAX) return void socket.destroy()
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    answerRequests(socket, handle)
  })

  async function handle(method: string, params: unknown): Promise<unknown> {
    switch (method) {
      case 'hello':
        return { kind, name, pid: process.pid, build: buildId() } satisfies Hello
      case 'status':
        return methods.status()
      case 'configure':
        return configure(params)
      case 'stop':
        return stop()
    }
    const call =
      methods.calls && Object.hasOwn(methods.calls, method) ? methods.calls[method] : null
    if (!call) throw new NodeError('CONTROL_METHOD_UNKNOWN', `unit ${kind} has no method ${method}`)
    return call(params)
  }

  function configure(params: unknown): Promise<void> {
    if (stopping) throw new NodeError('UNIT_STOPPING', `unit ${name} is draining`)
    const next = lastConfigure.then(() => methods.configure(params as Config))
    lastConfigure = next.catch(() => undefined)
    return next
  }

  function stop(): Promise<void> {
    stopping ??= lastConfigure.then(() => methods.stop()).finally(closeSoon)
    return stopping
  }

  function closeSoon(): void {
    // One turn later, so that the answer to `stop` is written before the connection ends.
    setImmediate(() => {
      server.close(() => done.resolve())
      rmSync(path, { force: true })
      for (const socket of sockets) socket.end()
      setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, 100).unref()
    })
  }

  await listenOn(server, path)
  chmodSync(path, 0o600)
  return { closed: done.promise, stop }
}

/** The agent's end of a control connection. */
export interface ControlClient {
  /** Resolves when the connection ended, for whatever reason. */
  readonly closed: Promise<void>
  /**
   * Asks and waits for the answer.
   *
   * @param method - `hello`, `configure`, `status`, `stop`, or one of the unit's own.
   * @param params - Anything JSON takes.
   * @param options.timeoutMs - `> 0`; the connection is closed when it passes, since the order of answers is then in doubt.
   * @throws NodeError of the unit's code, or `CONTROL_TIMEOUT`, `CONTROL_CLOSED`, `CONTROL_BUSY`.
   */
  call(method: string, params: unknown, options: { readonly timeoutMs: number }): Promise<unknown>
  close(): void
}

/**
 * Connects to a unit.
 *
 * @param path - The unit's control socket.
 * @returns A connection; ask `hello` first.
 * @throws NodeError `CONTROL_UNREACHABLE`, `CONTROL_PATH_TOO_LONG`.
 * @example
 * const unit = await connectControl(path)
 * const hello = await unit.call('hello', {}, { timeoutMs: 1000 })
 */
export async function connectControl(path: string): Promise<ControlClient> {
  checkPathLength(path)
  const socket = await connectSocket(path)
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  const done = Promise.withResolvers<void>()
  let lastId = 0

  socket.once('close', () => {
    for (const { reject } of waiting.values()) {
      reject(new NodeError('CONTROL_CLOSED', `the connection to ${path} ended before the answer`))
    }
    waiting.clear()
    done.resolve()
  })
  readMessages(socket, (message) => {
    const id = typeof message['id'] === 'number' ? message['id'] : -1
    const pending = waiting.get(id)
    if (!pending) return
    waiting.delete(id)
    if ('error' in message) pending.reject(errorFrom(message['error']))
    else pending.resolve(message['result'])
  })

  return {
    closed: done.promise,
    close: () => socket.destroy(),
    async call(method, params, { timeoutMs }) {
      assert(timeoutMs > 0, 'a call has a time limit')
      if (socket.destroyed) throw new NodeError('CONTROL_CLOSED', `no connection to ${path}`)
      if (waiting.size >= CONTROL_PENDING_MAX) throw new NodeError('CONTROL_BUSY', path)
      const id = ++lastId
      const pending = Promise.withResolvers<unknown>()
      waiting.set(id, pending)
      const timer = setTimeout(() => {
        waiting.delete(id)
        pending.reject(
          new NodeError('CONTROL_TIMEOUT', `no answer to ${method} on ${path} in ${timeoutMs} ms`),
        )
        socket.destroy()
      }, timeoutMs)
      try {
        socket.write(`${JSON.stringify({ id, method, params })}\n`)
        return await pending.promise
      } finally {
        clearTimeout(timer)
      }
    },
  }
}

/** Makes the directory, and removes a socket file that nobody listens on any more. */
async function claimSocketPath(path: string): Promise<void> {
  checkPathLength(path)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const alive = await connectSocket(path).then(
    (socket) => {
      socket.destroy()
      return true
    },
    () => false,
  )
  if (alive) throw new NodeError('CONTROL_ALREADY_RUNNING', `a process answers on ${path}`)
  rmSync(path, { force: true })
}

function checkPathLength(path: string): void {
  const lengthBytes = Buffer.byteLength(path)
  if (lengthBytes <= SOCKET_PATH_BYTES_MAX) return
  throw new NodeError('CONTROL_PATH_TOO_LONG', `${path} has ${lengthBytes} bytes`, {
    details: { lengthBytes, max: SOCKET_PATH_BYTES_MAX },
  })
}

function connectSocket(path: string): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const socket = connect(path)
  const fail = (cause: unknown) => {
    socket.destroy()
    reject(new NodeError('CONTROL_UNREACHABLE', `nobody answers on ${path}`, { cause }))
  }
  socket.setTimeout(PROBE_MS_MAX, () => fail(undefined))
  socket.once('error', fail)
  socket.once('connect', () => {
    socket.setTimeout(0)
    socket.off('error', fail)
    // What breaks later shows as `close`; without a listener it would end the process.
    socket.on('error', () => undefined)
    resolve(socket)
  })
  return promise
}

function listenOn(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(path, () => {
    server.off('error', reject)
    resolve()
  })
  return promise
}

function answerRequests(
  socket: Socket,
  handle: (method: string, params: unknown) => Promise<unknown>,
): void {
  let pending = 0
  const reply = (message: object) => {
    if (socket.writable) socket.write(`${JSON.stringify(message)}\n`)
  }
  socket.on('error', () => undefined)
  readMessages(socket, (message) => {
    const { id, method, params } = message
    if (typeof id !== 'number' || typeof method !== 'string') return void socket.destroy()
    if (pending >= CONTROL_PENDING_MAX) {
      return reply({ id, error: errorToJson(new NodeError('CONTROL_BUSY', 'too many requests')) })
    }
    pending++
    handle(method, params)
      .then(
        (result) => reply({ id, result: result ?? null }),
        (caught: unknown) => reply({ id, error: errorToJson(caught) }),
      )
      .finally(() => pending--)
  })
}

/** Cuts a byte stream into lines and parses them; whoever sends anything else is cut off. */
function readMessages(socket: Socket, take: (message: Record<string, unknown>) => void): void {
  let parts: Buffer[] = []
  let lengthBytes = 0
  socket.on('data', (data: Buffer) => {
    let rest = data
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      parts.push(rest.subarray(0, end))
      const message = parseMessage(Buffer.concat(parts))
      parts = []
      lengthBytes = 0
      rest = rest.subarray(end + 1)
      if (!message) return void socket.destroy()
      take(message)
    }
    lengthBytes += rest.byteLength
    if (lengthBytes > CONTROL_LINE_BYTES_MAX) return void socket.destroy()
    if (rest.byteLength > 0) parts.push(rest)
  })
}

function parseMessage(line: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'))
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function errorToJson(caught: unknown): object {
  const message = caught instanceof Error ? caught.message : String(caught)
  const hint = caught instanceof NodeError ? caught.hint : undefined
  return { code: codeOf(caught) ?? 'UNIT_FAILED', message, ...(hint && { hint }) }
}

function errorFrom(value: unknown): NodeError {
  const fields = typeof value === 'object' && value !== null ? value : {}
  const text = (name: string, fallback: string) => {
    const field: unknown = Reflect.get(fields, name)
    return typeof field === 'string' ? field : fallback
  }
  const hint = text('hint', '')
  return new NodeError(
    text('code', 'CONTROL_MESSAGE_INVALID'),
    text('message', 'the unit failed'),
    hint === '' ? {} : { hint },
  )
}
