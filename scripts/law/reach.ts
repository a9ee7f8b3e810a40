/** What each test reaches, recorded once for a state of the contracts and of the test's file. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../run/step.ts'
import { TEST_FOLDER, testFiles } from './test-suite.ts'
import { share, Worker } from './worker-pool.ts'
import { digestOf, filesUnder, type WovenBuild } from './woven-build.ts'

/** What tests reach, by the numbers of mutants or the marks of branches. */
export interface Reach {
  /** While a grid is deployed. */
  readonly deployments: readonly number[]
  /** In `before` hooks, the deployment included, by title of the suite. */
  readonly setups: Readonly<Record<string, readonly number[]>>
  /** By full title. */
  readonly tests: Readonly<Record<string, { seconds: number; reached: readonly number[] }>>
}

/** Processes that record at once. */
const RECORDERS = 2

/** A file of tests, and where its reach is kept. */
interface TestFile {
  readonly name: string
  readonly path: string
}

/**
 * Finds what all tests reach, and runs those of which that is not known.
 *
 * @param build - The woven contracts.
 * @returns Everything, of all files together.
 * @throws TypeError if a test fails.
 */
export async function reachOf(build: WovenBuild): Promise<Reach> {
  const folder = join(build.folder, 'reach')
  mkdirSync(folder, { recursive: true })
  const support = filesUnder(`${TEST_FOLDER}/support`, '.ts')
  const files = testFiles().map((name) => {
    const text = readFileSync(join(root, TEST_FOLDER, name), 'utf8')
    return { name, path: join(folder, `${digestOf([build.digest, name, text, ...support])}.json`) }
  })
  const unknown = files.filter(({ path }) => !existsSync(path))
  await record(build, unknown)
  const all = files.map(({ path }) => JSON.parse(readFileSync(path, 'utf8')) as Reach)
  return {
    deployments: all.flatMap(({ deployments }) => deployments),
    setups: Object.assign({}, ...all.map(({ setups }) => setups)) as Reach['setups'],
    tests: Object.assign({}, ...all.map(({ tests }) => tests)) as Reach['tests'],
  }
}

/** Each file's reach is written as soon as it is known, so an interrupted recording goes on where it stopped. */
async function record({ environment }: WovenBuild, files: readonly TestFile[]): Promise<void> {
  const recorders = Array.from(
    { length: Math.min(RECORDERS, files.length) },
    () => new Worker({ ...environment, VARVE_RECORD: '1' }),
  )
  try {
    await share(recorders, files, async (recorder, { name, path }) => {
      process.stderr.write(`recording what is reached by ${name}\n`)
      const { reach } = await recorder.do({ kind: 'record', file: name })
      if (!reach) throw new TypeError(`nothing was recorded of ${name}`)
      writeFileSync(path, JSON.stringify(reach))
    })
  } finally {
    for (const recorder of recorders) recorder.stop()
  }
}
