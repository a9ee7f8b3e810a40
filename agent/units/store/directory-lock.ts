/**
 * Keeps two processes from writing one data directory: a file with the process number and the moment it started, which
 * together name a process for as long as the machine is up. What a dead process left is taken over.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf, NodeError } from '../../base/errors.ts'

const LOCK_NAME = 'store.lock'

/**
 * Locks a directory.
 *
 * @param directory - The data directory; made if missing.
 * @returns Unlocks it.
 * @throws NodeError `DISK_LOCKED` if a process that lives has it.
 * @example
 * const unlock = lockDirectory('/srv/store')
 */
export function lockDirectory(directory: string): () => void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, LOCK_NAME)
  const own = `${process.pid} ${startOf(process.pid)}\n`
  for (;;) {
    try {
      writeFileSync(path, own, { flag: 'wx', mode: 0o600 })
      return () => rmSync(path, { force: true })
    } catch (caught) {
      if (codeOf(caught) !== 'EEXIST') throw caught
    }
    const holder = readFileSync(path, 'utf8')
    const [pid = '', start] = holder.trim().split(' ')
    const isAlive = start !== undefined && start !== 'gone' && startOf(Number(pid)) === start
    if (isAlive) {
      throw new NodeError('DISK_LOCKED', `process ${pid} has ${directory} open`)
    }
    rmSync(path, { force: true })
  }
}

/** When a process started, in ticks since boot; `gone` if there is none. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name may hold spaces, so count from behind it: the start time is field 22.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? 'gone'
  } catch {
    return 'gone'
  }
}
