/**
 * Runs a program at events of a store, as 0-db does: `PROGRAM event store arguments...`, without a shell.
 *
 * The program gets a small environment, no input, and a process group of its own, which is killed as a whole when it takes
 * too long. A few run at once, started in the order of events; a bounded number waits, and what comes beyond that is
 * dropped and logged, because a slow program may not hold a store's memory.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { codeOf, describeError } from '../../base/errors.ts'
import type { Log } from '../../base/ports.ts'
import type { RunningHook } from '../../engines/store/index.ts'

/** More would let a burst of events take the machine from the store. */
const RUNNING_MAX = 4
/** One event each for some hundred namespaces. */
const QUEUED_MAX = 256
/** A hook that uploads a segment has this long. */
const RUN_MS_MAX = 5 * 60 * 1000
/** As in 0-db: HOOKS shows the last minute. */
const KEPT_MS = 60_000
/** And no more than this of it. */
const KEPT_MAX = 1024
/** What a program that is no file of ours ends with. */
const EXIT_NOT_STARTED = 127
const EXIT_BY_SIGNAL = 128

/** What a runner is made with. */
export interface HookRunnerInit {
  /** Absolute path of an executable. */
  readonly program: string
  /** How the store calls itself: `tcp://host:port` or `unix://path`. */
  readonly instance: string
  readonly log: Log
  /** How long one run may take, default 5 minutes. */
  readonly runMsMax?: number
}

/** Starts hooks and remembers them. */
export interface HookRunner {
  /** Starts a hook soon; returns at once. */
  fire(type: string, args: readonly string[]): void
  /** Starts a hook and waits for it. @returns Its exit code. */
  fireAndWait(type: string, args: readonly string[]): Promise<number>
  /** Those that run, and those of the last minute. */
  recent(): RunningHook[]
  /** Waits until none runs or waits. */
  drained(): Promise<void>
}

interface Waiting {
  readonly type: string
  readonly args: readonly string[]
  readonly done: (exitCode: number) => void
}

interface Remembered extends Omit<RunningHook, 'endedAt' | 'exitCode'> {
  endedAt: number
  exitCode: number
}

/**
 * Makes a runner.
 *
 * @param init - What to run, and for whom.
 * @returns The runner.
 * @example
 * const hooks = hookRunner({ program: '/usr/local/bin/on-store', instance: 'tcp://:::9900', log })
 * if ((await hooks.fireAndWait('ready', [])) !== 0) ...
 */
export function hookRunner(init: HookRunnerInit): HookRunner {
  const { program, instance, log, runMsMax = RUN_MS_MAX } = init
  const waiting: Waiting[] = []
  let remembered: Remembered[] = []
  let running = 0
  let dropped = 0
  let whenIdle: (() => void)[] = []

  function enqueue(hook: Waiting): void {
    if (waiting.length >= QUEUED_MAX) {
      dropped++
      log.warn({ hook: hook.type, dropped }, 'too many hooks wait, one was dropped')
      hook.done(EXIT_NOT_STARTED)
      return
    }
    waiting.push(hook)
    startNext()
  }

  function startNext(): void {
    while (running < RUNNING_MAX) {
      const next = waiting.shift()
      if (!next) break
      start(next)
    }
    if (running > 0) return
    for (const resolve of whenIdle.splice(0)) resolve()
  }

  function start({ type, args, done }: Waiting): void {
    running++
    const child = spawn(program, [type, instance, ...args], {
      cwd: '/',
      // Of its own: whatever it starts can be ended with it.
      detached: true,
      env: ENVIRONMENT,
      shell: false,
      stdio: 'ignore',
    })
    const hook: Remembered = {
      type,
      args,
      pid: child.pid ?? 0,
      startedAt: nowSeconds(),
      endedAt: 0,
      exitCode: 0,
    }
    remember(hook)
    const timer = setTimeout(() => {
      log.warn({ hook: type, pid: hook.pid, runMsMax }, 'hook takes too long and is killed')
      killGroup(child)
    }, runMsMax)
    const ended = (exitCode: number) => {
      if (hook.endedAt !== 0) return
      clearTimeout(timer)
      hook.endedAt = nowSeconds()
      hook.exitCode = exitCode
      running--
      if (exitCode !== 0) log.warn({ hook: type, pid: hook.pid, exitCode }, 'hook failed')
      done(exitCode)
      startNext()
    }
    child.once('error', (caught) => {
      log.warn({ hook: type, cause: describeError(caught) }, 'hook was not started')
      ended(EXIT_NOT_STARTED)
    })
    child.once('exit', (code, signal) => {
      ended(code ?? EXIT_BY_SIGNAL + (signal ? constants.signals[signal] : 0))
    })
  }

  function remember(hook: Remembered): void {
    const since = nowSeconds() - KEPT_MS / 1000
    remembered = remembered.filter((one) => one.endedAt === 0 || one.endedAt >= since)
    const oldest = remembered.findIndex((one) => one.endedAt !== 0)
    if (remembered.length >= KEPT_MAX && oldest >= 0) remembered.splice(oldest, 1)
    remembered.push(hook)
  }

  return {
    fire(type, args) {
      enqueue({ type, args, done: () => undefined })
    },
    fireAndWait(type, args) {
      const { promise, resolve } = Promise.withResolvers<number>()
      enqueue({ type, args, done: resolve })
      return promise
    },
    recent() {
      const since = nowSeconds() - KEPT_MS / 1000
      return remembered.filter((one) => one.endedAt === 0 || one.endedAt >= since)
    },
    drained() {
      if (running === 0 && waiting.length === 0) return Promise.resolve()
      const { promise, resolve } = Promise.withResolvers<void>()
      whenIdle = [...whenIdle, resolve]
      return promise
    },
  }
}

/** Enough for a script to find programs; nothing of the store's own environment, which may hold secrets. */
const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' }

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch (caught) {
    if (codeOf(caught) !== 'ESRCH') throw caught
  }
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000)
}
