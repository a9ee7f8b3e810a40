/**
 * One agent of a local grid as a machine of its own: a process group that can lose power, and that somebody restarts.
 *
 * On a real machine the boot or a service manager starts the agent again after a crash; here this class does.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, existsSync, mkdirSync, type WriteStream } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { NodeError } from '../../agent/base/errors.ts'
import { root } from '../run/step.ts'
import { killProcessesOf } from './processes-of.ts'

/** How one agent is started. */
export interface AgentOptions {
  readonly name: string
  readonly dataDir: string
  readonly ledgerUrls: readonly string[]
  readonly grid: string
  readonly listen: string
  /** Further arguments of `varve-agent run`. */
  readonly extra?: readonly string[]
}

/** Wait before an agent that ended is started again: long enough not to spin, short beside a heartbeat. */
const RESTART_MS = 300
const STATUS_TIMEOUT_MS = 3_000
/** An agent drains its units before it exits; one that takes longer than this is stuck. */
const DRAIN_TIMEOUT_MS = 30_000

/** An agent process that is kept running until it is stopped or its power is cut. */
export class AgentProcess {
  readonly options: AgentOptions
  #child: ChildProcess | undefined
  #wanted = false
  #log: WriteStream | undefined
  /** Times the process ended without being asked to. */
  crashes = 0

  constructor(options: AgentOptions) {
    this.options = options
  }

  /** Process id of the agent, undefined while it is down. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  get logPath(): string {
    return join(this.options.dataDir, 'agent.log')
  }

  /** Starts the agent and keeps starting it whenever it ends. */
  start(): void {
    this.#wanted = true
    mkdirSync(this.options.dataDir, { recursive: true })
    this.#log ??= createWriteStream(this.logPath, { flags: 'a' })
    this.#spawn()
  }

  #spawn(): void {
    const { ledgerUrls, grid, dataDir, listen, extra = [] } = this.options
    const args = [
      join(root, 'agent/main.ts'),
      'run',
      '--grid',
      grid,
      '--data',
      dataDir,
      '--listen',
      listen,
    ]
    for (const url of ledgerUrls) args.push('--ledger', url)
    const child = spawn(process.execPath, [...args, ...extra], {
      detached: true,
      cwd: dataDir,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    if (this.#log) {
      child.stdout.pipe(this.#log, { end: false })
      child.stderr.pipe(this.#log, { end: false })
    }
    child.once('exit', () => {
      if (this.#child === child) this.#child = undefined
      if (!this.#wanted) return
      this.crashes++
      setTimeout(() => {
        if (this.#wanted && !this.#child) this.#spawn()
      }, RESTART_MS)
    })
  }

  /** SIGKILL to the agent alone; its units live on, and it comes back by itself. */
  killAgent(): void {
    this.#child?.kill('SIGKILL')
  }

  /**
   * Cuts the power of the machine: SIGKILL to the agent and all its units at once.
   *
   * @param comesBack - True if somebody switches it on again.
   */
  cutPower(comesBack: boolean): void {
    this.#wanted = comesBack
    const pid = this.#child?.pid
    if (pid !== undefined) signalGroup(pid, 'SIGKILL')
    // Units that an agent took over from a killed one are still in that one's group.
    killProcessesOf(this.options.dataDir)
  }

  /** Drains the agent and waits for its end; cuts the power of what does not end in time. */
  async stop(): Promise<void> {
    this.#wanted = false
    const child = this.#child
    if (child?.pid !== undefined) {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      const drained = await Promise.race([
        ended.then(() => true),
        sleep(DRAIN_TIMEOUT_MS, false, { ref: false }),
      ])
      if (!drained) signalGroup(child.pid, 'SIGKILL')
    }
    // What outlived an agent that was killed and not started again.
    killProcessesOf(this.options.dataDir)
    this.#log?.end()
    this.#log = undefined
  }

  /**
   * What the agent says of itself.
   *
   * @returns The parsed status, or undefined while it does not answer.
   */
  async status(): Promise<AgentStatus | undefined> {
    const socketPath = join(this.options.dataDir, 'run/status.sock')
    if (!existsSync(socketPath)) return undefined
    return await getJson(socketPath, '/status').catch(() => undefined)
  }
}

/** The fields of the status endpoint that the local grid reads; the rest is passed on as it is. */
export type AgentStatus = Readonly<Record<string, unknown>>

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch (caught) {
    const gone = caught instanceof Error && 'code' in caught && caught.code === 'ESRCH'
    if (!gone) throw caught
  }
}

function getJson(socketPath: string, path: string): Promise<AgentStatus> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, timeout: STATUS_TIMEOUT_MS }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.once('error', reject)
      response.once('end', () => {
        try {
          resolve(JSON.parse(Buffer.concat(parts).toString('utf8')))
        } catch (caught) {
          reject(
            new NodeError('STATUS_UNREADABLE', 'the agent answered something that is not JSON', {
              cause: caught,
            }),
          )
        }
      })
    })
    call.once('timeout', () =>
      call.destroy(new NodeError('STATUS_SILENT', 'the agent does not answer')),
    )
    call.once('error', reject)
    call.end()
  })
}
