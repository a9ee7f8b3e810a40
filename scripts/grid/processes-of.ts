/**
 * The processes of one node, found by the data directory in their command lines: units that an agent adopted are in the process
 * group of an agent that is long gone, so a group is not enough to find them.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { codeOf } from '../../agent/base/errors.ts'

/**
 * Finds the agent and the units of a node.
 *
 * @param dataDir - Data directory of the node, as given to the agent.
 * @returns Process ids, ascending.
 */
export function processesOf(dataDir: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => argumentsOf(pid).some((word, at, all) => isDataOf(dataDir, word, all[at - 1])))
    .map(Number)
    .sort((a, b) => a - b)
}

/**
 * Ends the agent and the units of a node with SIGKILL.
 *
 * @param dataDir - Data directory of the node.
 */
export function killProcessesOf(dataDir: string): void {
  for (const pid of processesOf(dataDir)) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch (caught) {
      if (codeOf(caught) !== 'ESRCH') throw caught
    }
  }
}

const isDataOf = (dataDir: string, word: string, before: string | undefined): boolean =>
  word === dataDir && before === '--data'

/** Empty for a process that ended meanwhile. */
function argumentsOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return []
  }
}
