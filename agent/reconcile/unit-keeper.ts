/**
 * Keeps one unit as it is wanted: finds it running and adopts it, or starts it; configures it; asks after its health;
 * starts it again when it dies, with back-off; stops it when its order says so. Never gives up.
 */
import { Backoff } from '../base/backoff.ts'
import { codeOf, describeError, describeMessage, isNodeError, NodeError } from '../base/errors.ts'
import { type LinkedAbort, linkedAbort } from '../base/linked-abort.ts'
import type { Clock, Log } from '../base/ports.ts'
import { reportedFailure } from '../base/reported-problem.ts'
import { MINUTE_MS, SECOND_MS } from '../base/units.ts'
import type { UnitKind, UnitStatus, UnitWanted } from '../state/kinds.ts'

/** An open control connection. */
export interface UnitConnection {
  /** Resolves when the connection ended. */
  readonly closed: Promise<void>
  call(method: string, params: unknown, options: { readonly timeoutMs: number }): Promise<unknown>
  close(): void
}

/** A child process. */
export interface UnitProcess {
  readonly pid: number
  /** Resolves with what it ended with: `exit 1`, `signal SIGKILL`. */
  readonly exited: Promise<string>
}

/** Where units run. Adapter: `adapters/process`. */
export interface UnitHost {
  /** Build of this agent: a unit of another is not adopted. */
  readonly build: string
  /** @throws NodeError `CONTROL_UNREACHABLE` if no unit of that name answers. */
  connect(name: string): Promise<UnitConnection>
  start(kind: UnitKind, name: string): UnitProcess
  /** Ends a process at once; nothing if it is gone. */
  kill(pid: number): void
  /** True while a process is there: an adopted unit is nobody's child whose end would be told. */
  isRunning(pid: number): boolean
  /** Removes the local data of a mount whose order ended for good. */
  discard(name: string): Promise<void>
}

export const BACKOFF_MS_MIN = 100
export const BACKOFF_MS_MAX = 10 * SECOND_MS
/** A unit that was well for so long starts its back-off anew: programs wait for a mount that is killed now and then. */
const WELL_MS = 3 * SECOND_MS
/** A unit opens its control socket first of all; a slow disk may take a while. */
const START_MS_MAX = 30 * SECOND_MS
const CONNECT_EVERY_MS = 20
const CONFIGURE_MS_MAX = 60 * SECOND_MS
/** A store that reads a large log answers `UNIT_STARTING` until it has, and is asked again so often. */
const STARTING_EVERY_MS = 200
const STATUS_EVERY_MS = 500
/** For a while after a new configuration, because somebody waits for what it brings. */
const STATUS_EVERY_MS_AT_FIRST = 100
const AT_FIRST_MS = 5 * SECOND_MS
/** How often a stopped unit is looked for again, should something have started it. */
const IDLE_MS = MINUTE_MS
const STATUS_MS_MAX = 10 * SECOND_MS
const HELLO_MS_MAX = 5 * SECOND_MS
/** What a unit may take to drain before it is killed. */
export const STOP_MS_MAX = 20 * SECOND_MS

interface Hello {
  readonly kind: string
  readonly name: string
  readonly pid: number
  readonly build: string
}

/** One unit under supervision. */
export class UnitKeeper {
  readonly #kind: UnitKind
  readonly #name: string
  readonly #ports: { readonly host: UnitHost; readonly clock: Clock; readonly log: Log }
  #wanted: UnitWanted<unknown>
  #wantedText: string
  /** True if something happened since the last rest; the rest under way is cut short. */
  #isWoken = false
  #rest: LinkedAbort | undefined
  #status: UnitStatus
  readonly #backoff = new Backoff({ minMs: BACKOFF_MS_MIN, maxMs: BACKOFF_MS_MAX })
  #child: UnitProcess | undefined

  constructor(
    kind: UnitKind,
    wanted: UnitWanted<unknown>,
    ports: { readonly host: UnitHost; readonly clock: Clock; readonly log: Log },
  ) {
    this.#kind = kind
    this.#name = wanted.name
    this.#wanted = wanted
    this.#wantedText = JSON.stringify(wanted)
    this.#ports = ports
    this.#status = {
      name: wanted.name,
      kind,
      state: 'starting',
      pid: undefined,
      configured: false,
      adopted: false,
      restarts: 0,
      code: undefined,
      message: undefined,
      figures: undefined,
    }
  }

  get kind(): UnitKind {
    return this.#kind
  }

  status(): UnitStatus {
    return this.#status
  }

  /** Says what is wanted now. */
  want(wanted: UnitWanted<unknown>): void {
    if (wanted === this.#wanted) return
    const text = JSON.stringify(wanted)
    this.#wanted = wanted
    if (text === this.#wantedText) return
    this.#wantedText = text
    this.#set({ configured: false })
    this.#wake()
  }

  /**
   * Keeps the unit until the signal aborts; then leaves it running.
   *
   * @param signal - Ends the keeping.
   */
  async run(signal: AbortSignal): Promise<void> {
    let starts = 0
    while (!signal.aborted) {
      if (!this.#wanted.run) {
        await this.#stopped(this.#wanted.discard)
        await this.#restFor(IDLE_MS, signal)
        this.#backoff.reset()
        starts = 0
        continue
      }
      const beganAt = this.#ports.clock.monotonic()
      try {
        // What the unit said before it died would be taken for what it says now.
        const nothing = { pid: undefined, figures: undefined }
        this.#set({ state: 'starting', restarts: Math.max(0, starts++), ...nothing })
        const connection = await this.#reach(signal)
        if (connection) await this.#serve(connection, signal)
      } catch (caught) {
        if (signal.aborted) return
        if (this.#ports.clock.monotonic() - beganAt >= WELL_MS) this.#backoff.reset()
        this.#failed(caught)
        await this.#pause(this.#backoff.next(), signal)
      }
    }
  }

  /** Adopts the unit that answers, or starts one and waits for its socket. */
  async #reach(signal: AbortSignal): Promise<UnitConnection | undefined> {
    const { host, clock } = this.#ports
    const found = await host.connect(this.#name).catch(() => undefined)
    if (found) {
      const hello = await this.#hello(found)
      const isOurs = hello.kind === this.#kind && hello.name === this.#name
      if (isOurs && hello.build === host.build) {
        this.#set({ pid: hello.pid, adopted: this.#child?.pid !== hello.pid })
        return found
      }
      this.#ports.log.warn(
        { unit: this.#name, build: hello.build },
        'stops a unit of another build',
      )
      await this.#stopOver(found, hello.pid)
    }
    const child = host.start(this.#kind, this.#name)
    this.#child = child
    this.#set({ pid: child.pid, adopted: false })
    let ended: string | undefined
    void child.exited.then((how) => {
      ended = how
      if (this.#child === child) this.#child = undefined
    })
    const deadline = clock.monotonic() + START_MS_MAX
    while (!signal.aborted) {
      if (ended !== undefined) throw new NodeError('UNIT_DIED', `${this.#name} ended with ${ended}`)
      const connection = await host.connect(this.#name).catch(() => undefined)
      if (connection) {
        await this.#hello(connection)
        return connection
      }
      if (clock.monotonic() > deadline) {
        host.kill(child.pid)
        throw new NodeError('UNIT_SILENT', `${this.#name} did not open its socket`)
      }
      await clock.sleep(CONNECT_EVERY_MS, signal)
    }
    return undefined
  }

  /** Configures and asks after health until the connection ends or the unit is no longer wanted. */
  async #serve(connection: UnitConnection, signal: AbortSignal): Promise<void> {
    let isClosed = false
    void connection.closed.then(() => {
      isClosed = true
      this.#wake()
    })
    const { clock } = this.#ports
    let configuredAt = clock.monotonic()
    let configured = ''
    let isFirst = true
    try {
      while (!signal.aborted && !isClosed && this.#wanted.run) {
        if (configured !== this.#wantedText) {
          const text = this.#wantedText
          if (!(await this.#configure(connection, this.#wanted.config))) {
            await clock.sleep(STARTING_EVERY_MS, signal)
            continue
          }
          configured = text
          configuredAt = clock.monotonic()
          this.#set({ configured: text === this.#wantedText, code: undefined, message: undefined })
        }
        const figures = await connection.call('status', {}, { timeoutMs: STATUS_MS_MAX })
        this.#told(figures as UnitStatus['figures'])
        if (isFirst) this.#ports.log.info({ unit: this.#name, pid: this.#status.pid }, 'unit runs')
        isFirst = false
        const isFresh = clock.monotonic() - configuredAt < AT_FIRST_MS
        await this.#restFor(isFresh ? STATUS_EVERY_MS_AT_FIRST : STATUS_EVERY_MS, signal)
      }
      if (isClosed && this.#wanted.run) {
        throw new NodeError('UNIT_DIED', `${this.#name} closed its control socket`)
      }
    } catch (caught) {
      // A unit that answers an error is alive; one that is silent is not.
      const isAlive = !isClosed && !codeOf(caught)?.startsWith('CONTROL_')
      if (!isAlive && !isClosed && this.#status.pid !== undefined) {
        this.#ports.host.kill(this.#status.pid)
      }
      throw caught
    } finally {
      connection.close()
    }
  }

  /**
   * Hands over a configuration. A unit that still reads its disk is left to it, however long that takes: ended and started
   * again it would only begin anew.
   *
   * @returns Whether the unit took it; false while it starts.
   */
  async #configure(connection: UnitConnection, config: unknown): Promise<boolean> {
    try {
      await connection.call('configure', config, { timeoutMs: CONFIGURE_MS_MAX })
      return true
    } catch (caught) {
      if (!isNodeError(caught, 'UNIT_STARTING')) throw caught
      this.#set({ code: 'UNIT_STARTING', message: describeMessage(caught) })
      return false
    }
  }

  /** Takes over what the unit says of itself: a unit that cannot do its work says why, and has failed although it runs. */
  #told(figures: UnitStatus['figures']): void {
    const failure = reportedFailure(figures)
    const { code, message, hint } = failure ?? {}
    this.#set({ state: failure ? 'failed' : 'running', figures, code, message, hint })
  }

  /** Stops the unit and waits for its end; call it when `run` has ended. */
  async stop(): Promise<void> {
    await this.#stopped(false)
  }

  async #stopped(discard: boolean): Promise<void> {
    const { host, log } = this.#ports
    try {
      const connection = await host.connect(this.#name).catch(() => undefined)
      if (connection) {
        this.#set({ state: 'stopping' })
        const { pid } = await this.#hello(connection)
        await this.#stopOver(connection, pid)
        log.info({ unit: this.#name }, 'unit stopped')
      } else if (this.#child) {
        host.kill(this.#child.pid)
        await this.#child.exited
      }
      if (discard) await host.discard(this.#name)
      const nothing = { pid: undefined, figures: undefined, code: undefined, message: undefined }
      this.#set({ state: 'stopped', configured: true, ...nothing, hint: undefined })
    } catch (caught) {
      this.#failed(caught)
    }
  }

  /** Asks to drain, waits, kills what does not end in time. */
  async #stopOver(connection: UnitConnection, pid: number): Promise<void> {
    try {
      await connection.call('stop', {}, { timeoutMs: STOP_MS_MAX })
    } catch (caught) {
      if (codeOf(caught) !== 'CONTROL_CLOSED') this.#ports.host.kill(pid)
    }
    connection.close()
    // Its successor needs its sockets, its ports and its files: wait until it is gone for good.
    const { host, clock } = this.#ports
    const deadline = clock.monotonic() + STOP_MS_MAX
    while (host.isRunning(pid) && clock.monotonic() < deadline) await clock.sleep(CONNECT_EVERY_MS)
    if (host.isRunning(pid)) host.kill(pid)
  }

  async #hello(connection: UnitConnection): Promise<Hello> {
    return (await connection.call('hello', {}, { timeoutMs: HELLO_MS_MAX })) as Hello
  }

  #failed(caught: unknown): void {
    const { log } = this.#ports
    const fields = { unit: this.#name, err: describeError(caught) }
    log.warn(fields, 'a unit failed')
    this.#set({
      state: 'backing-off',
      configured: false,
      code: codeOf(caught) ?? 'UNIT_FAILED',
      message: describeMessage(caught),
      hint: caught instanceof NodeError ? caught.hint : undefined,
    })
  }

  #set(change: Partial<UnitStatus>): void {
    this.#status = { ...this.#status, ...change }
  }

  #wake(): void {
    this.#isWoken = true
    this.#rest?.abort()
  }

  /** Waits, or until woken; a wake that came before counts. */
  async #restFor(ms: number, signal: AbortSignal): Promise<void> {
    const rest = linkedAbort(signal)
    this.#rest = rest
    if (!this.#isWoken) await this.#pause(ms, rest.signal)
    rest.release()
    this.#rest = undefined
    this.#isWoken = false
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    await this.#ports.clock.sleep(ms, signal).catch(() => undefined)
  }
}
