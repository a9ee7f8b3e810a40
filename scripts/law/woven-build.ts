/**
 * Compiles woven contracts, once for each text, and says how a process that works with them is started.
 */

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../run/step.ts'
import { WORLD } from './library-tests.ts'
import { PROBE_SOURCE } from './probe.ts'

/** Where the woven contracts of one purpose are. */
export interface WovenBuild {
  readonly folder: string
  /** Changes with any text that was compiled. */
  readonly digest: string
  /** What processes need in their environment. */
  readonly environment: Readonly<Record<string, string>>
}

/** The tests' configuration; relative, because Hardhat looks for it from the checkout. */
const CONFIG = 'scripts/law/hardhat.config.ts'

/**
 * Builds what is woven, unless it is built.
 *
 * @param purpose - Name of a folder under `cache/law`.
 * @param sources - Texts of contracts by path, in place of those in the tree.
 * @returns Where it is.
 * @throws TypeError if it does not compile.
 */
export function buildWoven(purpose: string, sources: ReadonlyMap<string, string>): WovenBuild {
  const folder = join(root, 'cache/law', purpose)
  const woven = JSON.stringify(Object.fromEntries(sources))
  const digest = digestOf([woven, PROBE_SOURCE, ...filesUnder('contracts/interfaces', '.sol')])
  const tests = digestOf(solidityTests())
  const environment = {
    ...{ HARDHAT_CONFIG: join(root, CONFIG), VARVE_WOVEN: join(folder, 'woven.json') },
    HARDHAT_DISABLE_TELEMETRY_PROMPT: 'true',
  }
  const stamp = join(folder, 'built')
  const built = existsSync(stamp) ? readFileSync(stamp, 'utf8') : ''
  if (built !== digest + tests) {
    mkdirSync(folder, { recursive: true })
    rmSync(stamp, { force: true })
    writeFileSync(environment.VARVE_WOVEN, woven)
    process.stderr.write(`compiling ${sources.size} woven files, which takes minutes\n`)
    // The tests in TypeScript take the types of contracts from the plain build.
    compile({})
    compile(environment)
    writeFileSync(stamp, digest + tests)
  }
  return { folder, digest, environment }
}

/** One word for any number of texts. */
export function digestOf(texts: readonly string[]): string {
  const hash = createHash('sha256')
  for (const text of texts) hash.update(text).update('\0')
  return hash.digest('hex').slice(0, DIGEST_DIGITS)
}

/** Texts of files under a folder of the checkout. */
export function filesUnder(
  folder: string,
  ending: string,
  except: readonly string[] = [],
): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(ending) && !except.includes(join(folder, path)))
    .sort()
    .map((path) => readFileSync(join(root, folder, path), 'utf8'))
}

/** Texts of tests in Solidity that woven builds have. */
export function solidityTests(): string[] {
  return filesUnder('test/solidity', '.sol', WORLD)
}

/** Enough to tell apart what one checkout ever holds. */
const DIGEST_DIGITS = 16

function compile(environment: Readonly<Record<string, string>>): void {
  const hardhat = join(root, 'node_modules/hardhat/dist/src/cli.js')
  const { status, stderr } = spawnSync(process.execPath, [hardhat, 'build', '--quiet'], {
    ...{ cwd: root, encoding: 'utf8', env: { ...process.env, ...environment } },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  if (status !== 0) throw new TypeError(`the woven contracts do not compile: ${stderr}`)
}
