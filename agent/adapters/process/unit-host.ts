/**
 * Units as child processes of the agent: same program, same process group, so that the machine's "power" is one signal.
 *
 * What a unit prints goes line by line into the agent's log, with the unit's name. A unit whose agent died prints into the
 * void and goes on.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { codeOf } from '../../base/errors.ts'
import type { Log } from '../../base/ports.ts'
import type { UnitConnection, UnitHost } from '../../reconcile/unit-keeper.ts'
import { isFuseHolderThere } from '../kernel/fuse-holder.ts'
import { discardMount } from './data-directory.ts'
import { controlSocket, holderSocket } from './run-sockets.ts'

/** Longer lines are cut: a log line is for people. */
const LINE_CHARACTERS_MAX = 8_192

/** What a host is made of. */
export interface UnitHostInit {
  readonly dataDir: string
  /** File to run: `agent/main.ts`. */
  readonly program: string
  readonly build: string
  readonly log: Log
  /** Opens a control connection: `connectControl`. */
  readonly connect: (socketPath: string) => Promise<UnitConnection>
}

/**
 * Makes the host of an agent's units.
 *
 * @param init - See {@link UnitHostInit}.
 * @returns The host.
 */
export function unitHost(init: UnitHostInit): UnitHost {
  const { dataDir, program, build, log } = init
  return {
    build,
    connect: (name) => init.connect(controlSocket(dataDir, name)),
    start(kind, name) {
      const args = [program, 'unit', kind, '--data', dataDir, '--name', name]
      // The unit itself may start no process.
      if (kind === 'mount') startHolder(init, name)
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
      const unitLog = log.child({ unit: name })
      forwardLines(child.stdout, unitLog, 'info')
      forwardLines(child.stderr, unitLog, 'warn')
      return { pid: child.pid ?? 0, exited: exitOf(child) }
    },
    kill(pid) {
      try {
        if (pid > 1) process.kill(pid, 'SIGKILL')
      } catch (caught) {
        if (codeOf(caught) !== 'ESRCH') throw caught
      }
    },
    isRunning(pid) {
      try {
        return pid > 1 && process.kill(pid, 0)
      } catch (caught) {
        return codeOf(caught) === 'EPERM'
      }
    },
    async discard(name) {
      await discardMount(dataDir, name)
    },
  }
}

/** A mount outlives its unit as long as this process holds it; one that runs already goes on. */
function startHolder({ program, dataDir }: UnitHostInit, name: string): void {
  if (isFuseHolderThere(holderSocket(dataDir, name))) return
  const args = [program, 'unit', 'hold', '--data', dataDir, '--name', name]
  const child = spawn(process.execPath, args, { cwd: '/', stdio: 'ignore' })
  child.once('error', () => undefined)
  child.unref()
}

function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (caught) => resolve(`error ${caught.message}`))
    child.once('exit', (code, signal) => resolve(signal ? `signal ${signal}` : `exit ${code}`))
  })
}

function forwardLines(stream: Readable | null, log: Log, level: 'info' | 'warn'): void {
  if (!stream) return
  stream.on('error', () => undefined)
  const lines = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })
  lines.on('line', (line) => {
    const text = line.slice(0, LINE_CHARACTERS_MAX)
    const record = parseRecord(text)
    if (!record) return void log[level]({}, text)
    const { level: severity, time: _time, pid: _pid, hostname: _hostname, msg, ...fields } = record
    const message = typeof msg === 'string' ? msg : ''
    log[levelOf(severity)](fields, message)
  })
}

function parseRecord(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** pino's numbers. */
function levelOf(severity: unknown): 'debug' | 'info' | 'warn' | 'error' {
  const number = typeof severity === 'number' ? severity : 30
  if (number >= 50) return 'error'
  if (number >= 40) return 'warn'
  return number >= 30 ? 'info' : 'debug'
}
