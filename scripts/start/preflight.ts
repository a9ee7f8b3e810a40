/** What a machine must have for a grid, each with how to get it, so that a start fails at once and says everything that is missing. */
import { accessSync, constants, existsSync, mkdirSync, statfsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { GIB } from '../../agent/base/units.ts'

/** The ledger, nine nodes and their history take about 2 GiB; a full disk later would be worse than none now. */
const FREE_BYTES_MIN = 4 * GIB

/** What the check looks at; the machine's own unless a test says otherwise. */
export interface Machine {
  readonly platform: string
  readonly isRoot: boolean
  readonly path: string
  has(file: string): boolean
  isExecutable(file: string): boolean
  freeBytes(directory: string): number
}

/** This machine. */
export const thisMachine: Machine = {
  platform: process.platform,
  isRoot: process.getuid?.() === 0,
  path: process.env['PATH'] ?? '',
  has: existsSync,
  isExecutable(file) {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  },
  freeBytes(directory) {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const { bavail, bsize } = statfsSync(directory)
    return bavail * bsize
  },
}

/**
 * Says what is missing.
 *
 * @param dataDir - Where the grid will live.
 * @param machine - What to look at.
 * @returns `[n]` sentences, each what is missing and how to get it; empty if a grid can start.
 */
export function missingFor(dataDir: string, machine: Machine = thisMachine): string[] {
  const missing: string[] = []
  if (machine.platform !== 'linux') {
    missing.push('Linux is needed, for mounts: use a Linux machine, or a virtual one.')
  }
  if (!machine.isRoot) {
    missing.push('Root is needed, for mounts and the rights of units: run "sudo npm start".')
  }
  if (!machine.has('/dev/fuse')) {
    missing.push(
      '/dev/fuse is missing: run "modprobe fuse"; in a container start it with --device /dev/fuse --cap-add SYS_ADMIN.',
    )
  }
  const folders = [...machine.path.split(delimiter), '/usr/sbin', '/sbin']
  if (!folders.some((folder) => machine.isExecutable(join(folder, 'ip')))) {
    missing.push(
      'The command ip is missing: run "apt-get install iproute2" (elsewhere the package is called iproute).',
    )
  }
  const freeBytes = machine.freeBytes(dataDir)
  if (freeBytes < FREE_BYTES_MIN) {
    const free = (freeBytes / GIB).toFixed(1)
    missing.push(
      `${dataDir} has ${free} GiB free and a grid needs ${FREE_BYTES_MIN / GIB}: make room, or name another disk with --data DIR.`,
    )
  }
  return missing
}
