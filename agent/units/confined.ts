/**
 * Starts a unit with no more rights than its profile gives: the first start of the program takes them from itself and becomes the
 * program once more, which then runs the unit.
 */
import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Confinement, confine, isPrivileged, seal } from '../adapters/kernel/confinement.ts'
import { closedTo, prepareUnitFolders } from '../adapters/process/unit-folders.ts'
import { isNodeError, NodeError } from '../base/errors.ts'
import type { Log } from '../base/ports.ts'
import { type Profile, unitProfile } from '../sandbox/profile.ts'
import { nodeRange, type UnitUser, unitUser } from '../sandbox/users.ts'

/** Of the agent's environment a unit gets these, and nothing that may be a secret. */
const ENVIRONMENT = ['LANG', 'LC_ALL', 'TZ']

/** Options of the runtime: nobody opens its inspector by a signal. */
const RUNTIME_OPTIONS = ['--disable-sigusr1', '--disable-warning=ExperimentalWarning']

/** A unit that is to run. */
export interface UnitStart {
  readonly kind: string
  readonly name: string
  /** Absolute path. */
  readonly dataDir: string
  /** File to run again: `agent/main.ts`. */
  readonly program: string
  readonly log: Log
}

/**
 * Confines this process and becomes the program again, with `--confined` at the end of its arguments.
 *
 * @param start - The unit.
 * @returns Only where the system has no confinement: the unit then runs as the agent does, which is said in its log.
 * @throws NodeError `CONFINEMENT_REFUSED`, `CONFIG_INVALID` for a kind or name that has no profile.
 */
export function becomeConfined(start: UnitStart): void {
  const profile = profileOf(start)
  const user = userOf(start)
  // Landlock opens paths, so that its own folders must be there before the unit could make them.
  const folders = profile.writable.filter((path) => path.startsWith(`${start.dataDir}/`))
  prepareUnitFolders(start.dataDir, folders, user?.uid === 0 ? undefined : user)
  let confinement: Confinement
  try {
    confinement = confine(profile, user)
  } catch (caught) {
    if (!isNodeError(caught, 'CONFINEMENT_UNSUPPORTED')) throw caught
    start.log.warn({ err: caught }, 'the unit runs with the rights of the agent')
    return
  }
  const { kind, name, dataDir, program } = start
  const unit = ['unit', kind, '--data', dataDir, '--name', name]
  const told = JSON.stringify(confinement)
  const argv = [process.execPath, ...RUNTIME_OPTIONS, program, ...unit, '--confined', told]
  process.execve?.(process.execPath, argv, environment())
}

/** A user of its own, where the agent may give one and that user would get to the program and to its data. */
function userOf({ kind, dataDir, program, log }: UnitStart): UnitUser | undefined {
  if (process.platform !== 'linux' || !isPrivileged()) return undefined
  const closed =
    closedTo(program, 'read') ??
    closedTo(process.execPath, 'read') ??
    closedTo(dirname(dataDir), 'cross')
  if (closed !== undefined) {
    log.warn({ closed }, 'the unit has no user of its own: a folder on the way is closed to others')
    return undefined
  }
  const { dev, ino } = statSync(dataDir)
  return unitUser(nodeRange(dev, ino), kind)
}

/**
 * Refuses what only the start still needed. Call it first of all in the confined program.
 *
 * @param start - The unit.
 */
export function finishConfinement(start: UnitStart): void {
  seal(profileOf(start))
}

function profileOf({ kind, name, dataDir, program }: UnitStart): Profile {
  const programRoot = dirname(dirname(program))
  const profile = unitProfile(kind, name, { dataDir, programRoot, runtime: process.execPath })
  if (!profile) throw new NodeError('CONFIG_INVALID', `"${kind}" named "${name}" is no unit`)
  return profile
}

function environment(): Record<string, string> {
  return Object.fromEntries(
    ENVIRONMENT.flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
}
