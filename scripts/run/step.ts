/** Runs one command of a longer job under the pinned runtime, showing its output as it comes and keeping it for counting. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** The checkout. */
export const root = new URL('../..', import.meta.url).pathname

/** What became of a command. */
export interface StepResult {
  readonly exitCode: number
  readonly output: string
  readonly seconds: number
}

/** Output kept for counting: the tail is what matters, and a runaway test must not fill the memory. */
const KEPT_CHARACTERS_MAX = 4_000_000
/** Output that is on its way when a command ends is there within this time. */
const DRAIN_MS = 2_000

/** How a command runs, where it is not as usual. */
export interface StepOptions {
  /** False: nothing is shown; the caller has the output. */
  readonly isShown?: boolean
  /** Environment variables besides those of this process. */
  readonly env?: Readonly<Record<string, string>>
  /** Ended with SIGKILL after so long, with exit code 124 like `timeout`. */
  readonly secondsMax?: number
}

/** As `timeout` says it. */
const TIMED_OUT = 124

/**
 * Runs a command and waits for it.
 *
 * @param title - Printed before, unless nothing is shown.
 * @param command - Name of a binary in node_modules/.bin, or a path of a script of ours ending in `.ts`.
 * @param args - Its arguments.
 * @param options - See {@link StepOptions}.
 * @returns Exit code, both output streams joined, and the wall time.
 */
export async function step(
  title: string,
  command: string,
  args: readonly string[],
  options: StepOptions = {},
): Promise<StepResult> {
  const { isShown = true, env = {}, secondsMax } = options
  if (isShown) console.log(`\n== ${title}`)
  const started = performance.now()
  const isScript = command.endsWith('.ts')
  const file = isScript ? process.execPath : join(root, 'node_modules/.bin', command)
  const binaries = `${dirname(process.execPath)}:${join(root, 'node_modules/.bin')}`
  const child = spawn(file, isScript ? [join(root, command), ...args] : [...args], {
    cwd: root,
    env: {
      ...process.env,
      PATH: `${binaries}:${process.env['PATH'] ?? ''}`,
      NO_COLOR: '1',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(secondsMax === undefined
      ? {}
      : { timeout: secondsMax * 1000, killSignal: 'SIGKILL' as const }),
  })
  let output = ''
  const keep = (to: NodeJS.WriteStream) => (data: Buffer) => {
    if (isShown) to.write(data)
    output = (output + data.toString('utf8')).slice(-KEPT_CHARACTERS_MAX)
  }
  child.stdout.on('data', keep(process.stdout))
  child.stderr.on('data', keep(process.stderr))
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    // Not at `close`: what a command left behind may hold its output open for ever.
    child.once('exit', (code) => resolve(code ?? TIMED_OUT))
  })
  await drained(child)
  return { exitCode, output, seconds: (performance.now() - started) / 1000 }
}

/** What was written before the end is read; whoever outlives it is not waited for. */
async function drained(child: ChildProcess): Promise<void> {
  const streams = [child.stdout, child.stderr].filter((one) => one !== null && !one.readableEnded)
  const ended = Promise.all(streams.map((stream) => stream && once(stream, 'close')))
  await Promise.race([ended, sleep(DRAIN_MS, undefined, { ref: false })])
  for (const stream of streams) stream?.destroy()
}
