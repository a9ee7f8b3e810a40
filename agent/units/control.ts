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
import { mkdirSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { listenOn } from '../adapters/socket/listen-on.ts'
import { isNodeError, NodeError } from '../base/errors.ts'
import { buildId } from './build.ts'
import { answerLines, askLines, type LineClient } from './json-lines.ts'

/** Longest line: a node of 100,000 namespaces has a configuration of about 30 MiB; a line beyond is not ours. */
export const CONTROL_LINE_BYTES_MAX = 64 * 1024 * 1024
/** Requests that may wait on one connection: the agent needs two (configure and status). */
export const CONTROL_PENDING_MAX = 64
/** Connections at once: an agent, its successor, and a person looking. */
export const CONTROL_CONNECTIONS_MAX = 16
/** `sun_path` holds 108 bytes with its final zero. */
const SOCKET_PATH_BYTES_MAX = 107
/** What both ends keep to. */
const LINES = { lineBytesMax: CONTROL_LINE_BYTES_MAX, pendingMax: CONTROL_PENDING_MAX } as const
/** How long a dead socket file may keep us in doubt. */
const PROBE_MS_MAX = 1000

/** What a unit says of itself first. */
export interface Hello {
  /** `store`, `links` or `mount`. */
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
  checkPathLength(path)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })

  const sockets = new Set<Socket>()
  const done = Promise.withResolvers<void>()
  let lastConfigure: Promise<void> = Promise.resolve()
  let stopping: Promise<void> | undefined

  const server = createServer((socket) => {
    if (sockets.size >= CONTROL_CONNECTIONS_MAX) return void socket.destroy()
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    answerLines(socket, { ...LINES, handle })
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

  await claim(server, path)
  return { closed: done.promise, stop }
}

/** The agent's end of a control connection. */
export type ControlClient = LineClient

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
  return askLines(await connectSocket(path), { ...LINES, name: path })
}

async function claim(server: Server, path: string): Promise<void> {
  try {
    await listenOn(server, { path })
  } catch (cause) {
    if (!isNodeError(cause, 'SOCKET_PATH_TAKEN')) throw cause
    throw new NodeError('CONTROL_ALREADY_RUNNING', cause.message, { cause })
  }
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
