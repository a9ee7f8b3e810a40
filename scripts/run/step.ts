/** Runs one command of a longer job under the pinned runtime, showing its output as it comes and keeping it for counting. */
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'

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

/**
 * Runs a command and waits for it.
 *
 * @param title - Printed before.
 * @param command - Name of a binary in node_modules/.bin, or a path of a script of ours ending in `.ts`.
 * @param args - Its arguments.
 * @param shown - `asItComes`, or `atTheEnd` for one that runs beside another, so that their lines do not mix.
 * @returns Exit code, both output streams joined, and the wall time.
 */
export async function step(
  title: string,
  command: string,
  args: readonly string[],
  shown: 'asItComes' | 'atTheEnd' = 'asItComes',
): Promise<StepResult> {
  console.log(shown === 'asItComes' ? `\n== ${title}` : `\n== ${title}: begun, shown when it ends`)
  const started = performance.now()
  const isScript = command.endsWith('.ts')
  const file = isScript ? process.execPath : join(root, 'node_modules/.bin', command)
  const binaries = `${dirname(process.execPath)}:${join(root, 'node_modules/.bin')}`
  const child = spawn(file, isScript ? [join(root, command), ...args] : [...args], {
    cwd: root,
    env: { ...process.env, PATH: `${binaries}:${process.env['PATH'] ?? ''}`, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const keep = (to: NodeJS.WriteStream) => (data: Buffer) => {
    if (shown === 'asItComes') to.write(data)
    output = (output + data.toString('utf8')).slice(-KEPT_CHARACTERS_MAX)
  }
  child.stdout.on('data', keep(process.stdout))
  child.stderr.on('data', keep(process.stderr))
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 1))
  })
  if (shown === 'atTheEnd') console.log(`\n== ${title}\n${output}`)
  return { exitCode, output, seconds: (performance.now() - started) / 1000 }
}
