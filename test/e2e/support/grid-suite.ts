/**
 * What the end-to-end suites share: a whole grid in a temporary directory that is gone afterwards whatever happens, and looks at
 * what agents and units say. Root and /dev/fuse are needed, and nothing is faked.
 */

import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MNT_DETACH, unmount } from '../../../agent/adapters/kernel/libc.ts'
import { readMountTable } from '../../../agent/adapters/kernel/mount-table.ts'
import { giveUpAllMountPoints } from '../../../agent/adapters/process/mount-claims.ts'
import { controlSocket } from '../../../agent/adapters/process/run-sockets.ts'
import type { StatusDocument } from '../../../agent/surfaces/status.ts'
import { connectControl } from '../../../agent/units/control.ts'
import type { AgentProcess } from '../../../scripts/grid/agent-process.ts'
import { machineDir } from '../../../scripts/grid/leftovers.ts'
import { LocalGrid, type LocalGridOptions, until } from '../../../scripts/grid/local-grid.ts'
import { killProcessesOf } from '../../../scripts/grid/processes-of.ts'

/** With all cores busy, what usually takes a second. */
export const SOON = { timeoutMs: 60_000 }

/** Lines of each agent's log that are shown when a test failed. */
const COMPLAINTS_MAX = 5

/** Stops what the tests started even if Mocha is interrupted. */
const running = new Set<() => void>()
process.once('exit', () => {
  for (const end of running) end()
})

/** A grid of a suite, and its end. */
export interface SuiteGrid {
  readonly grid: LocalGrid
  readonly dataDir: string
  /** Stops the grid and starts it again on the same directory: another grid object. */
  restart(): Promise<LocalGrid>
  end(): Promise<void>
}

/**
 * Starts a grid in a temporary directory.
 *
 * @param options - As for `LocalGrid`, without the directory.
 * @returns The grid; call `end` in `after`.
 */
export async function startSuiteGrid(
  options: Omit<LocalGridOptions, 'dataDir'>,
): Promise<SuiteGrid> {
  // Short, because paths of sockets have 108 bytes.
  const dataDir = mkdtempSync(join(tmpdir(), 've-'))
  // Crossed by the users that units have.
  chmodSync(dataDir, 0o711)
  const killAll = () => {
    for (let index = 0; index < options.agents; index++) killProcessesOf(machineDir(dataDir, index))
  }
  running.add(killAll)
  const whole = { ...options, dataDir }
  let grid: LocalGrid | undefined
  async function end(): Promise<void> {
    try {
      await grid?.stop()
    } finally {
      killAll()
      running.delete(killAll)
      await unmountBelow(dataDir)
      for (const node of readdirSync(dataDir)) await giveUpAllMountPoints(join(dataDir, node))
      rmSync(dataDir, { recursive: true, force: true })
    }
  }
  try {
    grid = await LocalGrid.start(whole)
  } catch (caught) {
    await end()
    throw caught
  }
  return {
    ...{ grid, dataDir, end },
    async restart() {
      await grid?.stop()
      grid = undefined
      grid = await LocalGrid.start(whole)
      return grid
    },
  }
}

/** What processes left that were killed: nothing can be removed below a dead mount. */
async function unmountBelow(directory: string): Promise<void> {
  for (const { path } of await readMountTable()) {
    if (path.startsWith(`${directory}/`)) await unmount(path, MNT_DETACH)
  }
}

/**
 * Tells what agents complained about last, for a test that failed.
 *
 * @param grid - Whose agents; nothing if it never started.
 */
export function printComplaints(grid: LocalGrid | undefined): void {
  for (const { options, logPath } of grid?.agents ?? []) {
    const lines = readFileSync(logPath, 'utf8').split('\n')
    const complaints = lines.filter((line) => line !== '' && !line.startsWith('{"level":30'))
    const last = complaints.slice(-COMPLAINTS_MAX).map((line) => `        ${line.slice(0, 600)}`)
    console.error(
      [`      ${options.name} complained ${complaints.length} times`, ...last].join('\n'),
    )
  }
}

/** What an agent says, or undefined while it does not answer. */
export async function statusOf(agent: AgentProcess): Promise<StatusDocument | undefined> {
  return (await agent.status()) as unknown as StatusDocument | undefined
}

/**
 * Waits until an agent says what is wanted.
 *
 * @param what - Ends the sentence "waited for".
 * @param agent - Whom to ask.
 * @param holds - What it must say.
 * @returns What it said.
 */
export function untilStatus(
  what: string,
  agent: AgentProcess,
  holds: (status: StatusDocument) => unknown,
): Promise<StatusDocument> {
  return until(
    what,
    async () => {
      const status = await statusOf(agent)
      return status && holds(status) ? status : undefined
    },
    SOON,
  )
}

/** What a mount unit says of itself now: the agent's status is up to half a second older. */
export async function mountUnitStatus(
  agent: AgentProcess,
  mount: number,
): Promise<MountUnitStatus> {
  const client = await connectControl(controlSocket(agent.options.dataDir, `mount-${mount}`))
  try {
    return (await client.call('status', {}, { timeoutMs: 5_000 })) as MountUnitStatus
  } finally {
    client.close()
  }
}

/** What tests look at. */
export interface MountUnitStatus {
  readonly state: string
  readonly path: string
  /** Undefined until it is mounted. */
  readonly volume?: { readonly undispersedBytes: number; readonly commitSequence: number }
}

/** Waits until a mount is usable. @returns Its path. */
export async function untilMounted(agent: AgentProcess, mount: number): Promise<string> {
  return await until(
    `mount ${mount} to be usable`,
    async () => {
      const { state, path } = await mountUnitStatus(agent, mount)
      return state === 'mounted' && existsSync(path) ? path : undefined
    },
    SOON,
  )
}

/** Waits until nothing of a mount is only local. @returns The commit that holds all of it. */
export async function untilDispersed(agent: AgentProcess, mount: number): Promise<number> {
  return await until(
    `mount ${mount} to be dispersed`,
    async () => {
      const { volume } = await mountUnitStatus(agent, mount)
      return volume?.undispersedBytes === 0 ? volume.commitSequence : undefined
    },
    SOON,
  )
}
