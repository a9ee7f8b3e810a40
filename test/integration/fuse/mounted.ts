/** A real mount for a test, and the programs that use it. Only asynchronous calls touch it: the test serves it itself. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fuseKernel } from '../../../agent/adapters/kernel/fuse-kernel.ts'
import { readMountTable } from '../../../agent/adapters/kernel/mount-table.ts'
import { systemClock } from '../../../agent/adapters/time/system-clock.ts'
import type { Log } from '../../../agent/base/ports.ts'
import {
  type CachePolicy,
  type FileSystem,
  type Mount,
  mountFileSystem,
} from '../../../agent/engines/fuse/index.ts'

/** A log that says nothing. */
export const quietLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => quietLog,
}

/** Whether this machine and user can mount at all. */
export const canMount = process.getuid?.() === 0 && existsSync('/dev/fuse')

/** Makes an empty directory under the temporary one. */
export const makePoint = (): Promise<string> => mkdtemp(join(tmpdir(), 'varve-fuse-'))

/** Removes a mount point; refuses while something is mounted there, so that no mount is emptied. */
export async function removePoint(path: string): Promise<void> {
  if ((await readMountTable()).some((entry) => entry.path === path)) return
  await rm(path, { recursive: true, force: true })
}

/** Mounts a file system at a path. */
export function mountAtPath(
  path: string,
  fileSystem: FileSystem,
  options: { readOnly?: boolean; cache?: CachePolicy } = {},
): Promise<Mount> {
  return mountFileSystem({
    path,
    fileSystem,
    kernel: fuseKernel,
    clock: systemClock(),
    log: quietLog,
    readOnly: options.readOnly ?? false,
    cache: options.cache ?? 'exclusive',
  })
}

/** What a program left. */
export interface Finished {
  readonly code: number | null
  readonly signal: string | null
  readonly out: string
}

/**
 * Runs a line of shell in a directory. The shell goes there itself: `spawn` waits until the child is there, and on our own mount
 * it would wait for this process.
 *
 * @returns Its exit code and what it printed on both outputs.
 */
export function shell(line: string, directory = '/'): Promise<Finished> {
  const script = 'cd "$0" && eval "$1"'
  return finished(
    spawn('bash', ['-c', script, directory, line], { stdio: ['ignore', 'pipe', 'pipe'] }),
  )
}

/** Runs a shell line that must succeed. @returns What it printed. */
export async function run(line: string, directory?: string): Promise<string> {
  const { code, out } = await shell(line, directory)
  if (code !== 0) throw new Error(`exit ${code}: ${line}\n${out}`)
  return out
}

/** Waits for a program to end. */
export function finished(child: ChildProcess): Promise<Finished> {
  const chunks: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) =>
      resolve({ code, signal, out: Buffer.concat(chunks).toString() }),
    )
  })
}
