/**
 * Runs controllers: each in its own loop, woken by changes of what it reads and by its period, slowed by failures.
 *
 * A failure is tried again with back-off; a bug stops that controller for good and leaves the others running. How each
 * run went is itself a resource (`status.controller`).
 */
import { AssertionError } from '../base/assert.ts'
import { backoffMs } from '../base/backoff.ts'
import { codeOf, describeError, describeMessage, isNodeError, NodeError } from '../base/errors.ts'
import { linkedAbort } from '../base/linked-abort.ts'
import type { Clock, Log } from '../base/ports.ts'
import { ALL_KINDS, type ControllerStatus, type Kind } from '../state/kinds.ts'
import { put, type State } from '../state/state.ts'
import { type AnyController, viewOf } from './controller.ts'

/** First wait after a failure. */
export const BACKOFF_MS_MIN = 200
/** Longest wait after failures: an outage that ends is noticed within it. */
export const BACKOFF_MS_MAX = 15_000
const BACKOFF_MS = { minMs: BACKOFF_MS_MIN, maxMs: BACKOFF_MS_MAX }

/** What the runtime needs. */
export interface RuntimePorts {
  readonly state: State
  readonly clock: Clock
  readonly log: Log
}

/**
 * Checks that no kind has two writers and that every kind that is read is written.
 *
 * @param controllers - All controllers of an agent.
 * @throws NodeError `STATE_TWO_WRITERS`, `STATE_UNDECLARED`.
 */
export function checkOwnership(controllers: readonly AnyController[]): void {
  const writers = new Map<Kind, string>([['status.controller', 'runtime']])
  for (const { name, outputs } of controllers) {
    for (const kind of outputs) {
      const other = writers.get(kind)
      if (other !== undefined) {
        throw new NodeError('STATE_TWO_WRITERS', `${kind} is written by ${other} and ${name}`)
      }
      writers.set(kind, name)
    }
  }
  for (const { name, inputs } of controllers) {
    const unwritten = inputs.find((kind) => !writers.has(kind))
    if (unwritten) {
      throw new NodeError('STATE_UNDECLARED', `${name} reads ${unwritten}, which nobody writes`)
    }
  }
}

/**
 * Runs controllers until the signal aborts.
 *
 * @param controllers - `[n]` controllers; no two write one kind.
 * @param ports - State, time, log.
 * @param signal - Ends all loops; runs under way are aborted.
 * @returns Resolves when all loops have ended.
 * @throws NodeError `STATE_TWO_WRITERS`, `STATE_UNDECLARED` at once.
 * @example
 * await runControllers([anyController(stores), anyController(links)], { state, clock, log }, signal)
 */
export async function runControllers(
  controllers: readonly AnyController[],
  ports: RuntimePorts,
  signal: AbortSignal,
): Promise<void> {
  checkOwnership(controllers)
  await Promise.all(controllers.map((controller) => runLoop(controller, ports, signal)))
}

async function runLoop(
  controller: AnyController,
  ports: RuntimePorts,
  signal: AbortSignal,
): Promise<void> {
  const quiet = new Set(controller.quietInputs)
  const watch = ports.state.watch(controller.inputs.filter((kind) => !quiet.has(kind)))
  let status: ControllerStatus = {
    name: controller.name,
    state: 'idle',
    runs: 0,
    failures: 0,
    lastRunMs: undefined,
    code: undefined,
    message: undefined,
  }
  let failuresInRow = 0
  try {
    while (!signal.aborted) {
      status = await runOnce(controller, status, ports, signal)
      if (signal.aborted || status.state === 'stopped') break
      failuresInRow = status.state === 'failing' ? failuresInRow + 1 : 0
      if (failuresInRow > 0) {
        const waitMs = backoffMs(failuresInRow, BACKOFF_MS)
        await ports.clock.sleep(waitMs, signal).catch(() => undefined)
      } else {
        await firstOf(signal, (until) => [
          watch.next(until),
          ports.clock.sleep(periodMsOf(controller), until),
        ])
      }
    }
  } finally {
    watch.close()
  }
}

function periodMsOf({ periodMs }: AnyController): number {
  return typeof periodMs === 'number' ? periodMs : periodMs()
}

/** One run, and its outcome as a resource. */
async function runOnce(
  controller: AnyController,
  before: ControllerStatus,
  ports: RuntimePorts,
  signal: AbortSignal,
): Promise<ControllerStatus> {
  const { state, clock, log } = ports
  const { view, changes } = viewOf(state, controller)
  let after: ControllerStatus = { ...before, runs: before.runs + 1, lastRunMs: clock.now() }
  try {
    await controller.reconcile(view, signal)
    signal.throwIfAborted()
    await state.apply(changes())
    after = { ...after, state: 'ok', code: undefined, message: undefined }
  } catch (caught) {
    if (signal.aborted) return before
    const isBug = caught instanceof AssertionError || !isFailure(caught)
    const code = isBug ? 'BUG' : codeOf(caught)
    after = {
      ...after,
      state: isBug ? 'stopped' : 'failing',
      failures: before.failures + 1,
      code,
      message: describeMessage(caught),
    }
    const fields = { controller: controller.name, code, err: describeError(caught) }
    if (isBug) {
      const stack = caught instanceof Error ? caught.stack : undefined
      log.error({ ...fields, stack }, 'a controller stopped because of a bug')
    } else if (before.code !== code) log.warn(fields, 'a controller failed and is run again')
  }
  const shown = after.state === before.state && after.code === before.code
  // Its own status every run would keep the state busy; people see changes, and the rest once in a while.
  if (!shown || after.runs % STATUS_EVERY_RUNS === 0) {
    await state.apply([put('status.controller', after)]).catch(() => undefined)
  }
  return after
}

const STATUS_EVERY_RUNS = 10

/** Failures of this program and of the system carry codes; anything else is a fault in the program. */
function isFailure(caught: unknown): boolean {
  return isNodeError(caught) ? caught.code !== 'STATE_UNDECLARED' : isSystemError(caught)
}

function isSystemError(caught: unknown): boolean {
  return caught instanceof Error && /^E[A-Z0-9]+$/.test(codeOf(caught) ?? '')
}

/** Waits for the first of some waits and ends the others; an abort counts as the end of waiting. */
async function firstOf(
  signal: AbortSignal,
  begin: (until: AbortSignal) => readonly Promise<unknown>[],
): Promise<void> {
  const own = linkedAbort(signal)
  try {
    const waits = begin(own.signal)
    await Promise.race(waits.map((wait) => wait.catch(() => undefined)))
  } finally {
    own.abort()
    own.release()
  }
}

/**
 * Draws who reads and writes what.
 *
 * @param controllers - All controllers of an agent.
 * @returns One line a controller, then one line a kind that is read by surfaces only.
 */
export function drawGraph(controllers: readonly AnyController[]): string {
  const width = Math.max(...controllers.map(({ name }) => name.length))
  const lines = controllers.flatMap(({ name, inputs, outputs }) => [
    `${name.padEnd(width)}  reads   ${[...inputs].sort().join(', ') || '(the outside)'}`,
    `${''.padEnd(width)}  writes  ${[...outputs].sort().join(', ') || '(the outside)'}`,
  ])
  const read = new Set(controllers.flatMap(({ inputs }) => inputs))
  const shown = ALL_KINDS.filter((kind) => !read.has(kind))
  return [...lines, `${'surfaces'.padEnd(width)}  read    ${shown.join(', ')}`].join('\n')
}
