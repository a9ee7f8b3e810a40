/**
 * The campaign of the law: the world of `test/solidity/Invariants.t.sol` for many millions of acts.
 *
 * A batch is a hundred runs of 400 acts, each from a seed of its own; batches that passed are remembered under `cache`, so
 * a campaign goes on where it was interrupted.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Command } from 'commander'
import { root } from '../run/step.ts'
import { digestOf, filesUnder } from './woven-build.ts'

/** As `ACTS` in the test. */
const ACTS_OF_RUN = 400
/** Long enough that starting the process does not matter, short enough that little is lost by an interruption. */
const RUNS_OF_BATCH = 100
const ACTS_OF_BATCH = ACTS_OF_RUN * RUNS_OF_BATCH
const TEST = 'test/solidity/Invariants.t.sol'

/** What is kept between campaigns of one state of the contracts. */
interface Progress {
  readonly digest: string
  /** Numbers of batches that passed. */
  readonly passed: readonly number[]
}

/**
 * Runs batches until enough acts were done.
 *
 * @param argv - Arguments after the name of the campaign.
 * @returns Exit code.
 */
export async function runLawCampaign(argv: readonly string[]): Promise<number> {
  const options = new Command('campaign law')
    .option('--acts <count>', 'acts in all, those of earlier campaigns included', '10000000')
    .option('--workers <count>', 'processes at once', '1')
    .option(
      '--first <batch>',
      'batch of 40,000 acts to begin with, where others did those before',
      '0',
    )
    .parse(argv, { from: 'user' })
    .opts<{ acts: string; workers: string; first: string }>()
  const counts = Object.values(options).map(Number)
  if (!counts.every((count) => Number.isSafeInteger(count) && count >= 0)) {
    process.stderr.write('campaign law: --acts, --workers and --first are counts\n')
    return 2
  }
  await build()
  const wanted = Math.ceil(Number(options.acts) / ACTS_OF_BATCH)
  const campaign = new Campaign(Number(options.first), wanted)
  const workers = Array.from({ length: Number(options.workers) }, () => campaign.work())
  const results = await Promise.all(workers)
  campaign.tell()
  return results.every(Boolean) ? 0 : 1
}

/** The batches of one campaign. */
class Campaign {
  readonly #path = join(root, 'cache/law/campaign.json')
  readonly #digest = digestOf([...filesUnder('contracts', '.sol'), ...filesUnder('test', '.sol')])
  readonly #passed: Set<number>
  readonly #wanted: number
  readonly #begun = performance.now()
  readonly #before: number
  #next: number
  #isBroken = false

  constructor(first: number, wanted: number) {
    this.#next = first
    this.#wanted = wanted
    const kept = existsSync(this.#path)
      ? (JSON.parse(readFileSync(this.#path, 'utf8')) as Progress)
      : undefined
    this.#passed = new Set(kept?.digest === this.#digest ? kept.passed : [])
    this.#before = this.#passed.size
  }

  /** Does batches until none is left or a law is broken. */
  async work(): Promise<boolean> {
    for (let batch = this.#claim(); batch !== undefined; batch = this.#claim()) {
      const first = batch * RUNS_OF_BATCH
      const output = await runSeeds(first, RUNS_OF_BATCH)
      if (output !== undefined) {
        this.#isBroken = true
        await reportSeed(first, output)
        return false
      }
      this.#passed.add(batch)
      this.#keep()
      this.tell()
    }
    return !this.#isBroken
  }

  /** Says how far it is. */
  tell(): void {
    const acts = this.#passed.size * ACTS_OF_BATCH
    const seconds = (performance.now() - this.#begun) / 1000
    const rate = ((this.#passed.size - this.#before) * ACTS_OF_BATCH) / seconds
    const rest = `${acts} of ${this.#wanted * ACTS_OF_BATCH} acts, ${rate.toFixed(0)} acts/s`
    process.stdout.write(`law: ${rest}\n`)
  }

  #claim(): number | undefined {
    while (this.#passed.has(this.#next)) this.#next += 1
    if (this.#isBroken || this.#next >= this.#wanted) return undefined
    this.#next += 1
    return this.#next - 1
  }

  #keep(): void {
    mkdirSync(dirname(this.#path), { recursive: true })
    const progress: Progress = { digest: this.#digest, passed: [...this.#passed] }
    writeFileSync(this.#path, JSON.stringify(progress))
  }
}

/** Looks for the one seed of a batch that breaks a law. */
async function reportSeed(first: number, output: string): Promise<void> {
  for (let seed = first; seed < first + RUNS_OF_BATCH; seed += 1) {
    const alone = await runSeeds(seed, 1)
    if (alone === undefined) continue
    process.stdout.write(`${alone}\nSEED=${seed}: a law is broken; again by\n`)
    process.stdout.write(`  SEED=${seed} npx hardhat test solidity ${TEST} --grep FromSeeds\n`)
    return
  }
  process.stdout.write(`${output}\nSEED=${first}, but in this batch only\n`)
}

/** Nothing if every law held; else what the tests printed. */
async function runSeeds(first: number, runs: number): Promise<string | undefined> {
  const flags = ['test', 'solidity', TEST, '--grep', 'FromSeeds', '--no-compile']
  const { code, output } = await hardhat(flags, { SEED: String(first), RUNS: String(runs) })
  return code === 0 ? undefined : output
}

async function build(): Promise<void> {
  const { code, output } = await hardhat(['build', '--quiet'], {})
  if (code !== 0) throw new TypeError(output)
}

async function hardhat(
  flags: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<{ code: number; output: string }> {
  const cli = join(root, 'node_modules/hardhat/dist/src/cli.js')
  const child = spawn(process.execPath, [cli, ...flags], {
    ...{ cwd: root, env: { ...process.env, ...environment } },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const keep = (data: Buffer) => {
    output += data.toString('utf8')
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status) => resolve(status ?? 1))
  })
  return { code, output }
}
