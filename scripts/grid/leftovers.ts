/** What a local grid leaves behind when all of it is killed at once: processes that were their own groups, and dead mounts. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { cleanStaleMount } from '../../agent/adapters/kernel/mount-point.ts'
import { readMountTable } from '../../agent/adapters/kernel/mount-table.ts'
import { killProcessesOf, processesOf } from './processes-of.ts'

/** What is killed is gone in milliseconds, on a busy machine in seconds. */
const POLL_MS = 50
const POLLS_MAX = 200

/** Directory of an agent of a local grid, by its index from 0. Short, because paths of sockets have 108 bytes. */
export const machineDir = (dataDir: string, index: number): string =>
  join(dataDir, `machine${index + 1}`)

/**
 * Ends what is left of a grid and takes its dead mounts away. Nothing is lost: agents are made to be killed.
 *
 * @param dataDir - Directory of the grid; nobody else may run it, which the lock of its ledger tells.
 */
export async function endLeftovers(dataDir: string): Promise<void> {
  const directories = machineDirs(dataDir)
  for (const directory of directories) killProcessesOf(directory)
  for (let polls = POLLS_MAX; polls > 0; polls--) {
    if (directories.every((directory) => processesOf(directory).length === 0)) break
    await sleep(POLL_MS)
  }
  for (const { path } of await readMountTable()) {
    if (path.startsWith(`${dataDir}/`)) await cleanStaleMount(path)
  }
}

/** @returns Directories of all agents that a grid has had. */
export function machineDirs(dataDir: string): string[] {
  if (!existsSync(dataDir)) return []
  return readdirSync(dataDir)
    .filter((name) => /^machine\d+$/.test(name))
    .map((name) => join(dataDir, name))
}
