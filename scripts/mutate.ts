/**
 * Mutation testing of the contracts: changes one operator at a time in a copy of the tree and runs their tests there; a
 * mutant that no test notices points at a hole in the tests.
 *
 * `npx node scripts/mutate.ts [--sample N] [--seed S] [--file PART] [--json]`. A mutant takes about half a minute, so the
 * default is a sample; `--sample 0` runs all. Survivors that are equivalent to the original are listed, each with its
 * reason, in `contracts/mutants.json`, and do not count.
 */
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
/** What compiling and testing the contracts needs of the tree. */
const NEEDED = [
  ...['contracts', 'ignition', 'test/solidity', 'scripts/gen', 'docs/reference/contracts'],
  ...['hardhat.config.ts', 'package.json', 'tsconfig.json'],
]
/** What the tests read and no mutant touches. */
const UNCHANGED = ['node_modules', 'agent']
/** Tests that compare generated files would notice any change, and so prove nothing. */
const BLIND_TESTS = ['test/solidity/generated.test.ts']
/** Longer than the slowest honest run; a mutant that loops for ever is killed by it. */
const RUN_MS_MAX = 300_000

/** One change of one place. */
interface Mutant {
  readonly file: string
  readonly line: number
  readonly change: string
  readonly source: string
}

/** What to look for and what to put there. The text around keeps them from matching inside longer operators. */
const OPERATORS: readonly [find: RegExp, replace: string][] = [
  [/ < /g, ' <= '],
  [/ <= /g, ' < '],
  [/ > /g, ' >= '],
  [/ >= /g, ' > '],
  [/ == /g, ' != '],
  [/ != /g, ' == '],
  [/ && /g, ' || '],
  [/ \|\| /g, ' && '],
  [/ \+ /g, ' - '],
  [/ - /g, ' + '],
  [/ \* /g, ' + '],
  [/ \/ /g, ' * '],
  [/ & /g, ' | '],
  [/ \+= /g, ' -= '],
  [/ -= /g, ' += '],
  [/\bMath\.min\b/g, 'Math.max'],
  [/\bMath\.max\b/g, 'Math.min'],
  [/\btrue\b/g, 'false'],
  [/\bfalse\b/g, 'true'],
  [/(?<=^\s+)require\(/g, 'if (false) require('],
  [/\bonlyO(?:wner|rders)\b(?! *\()/g, ''],
]

interface Options {
  readonly sample: string
  readonly seed: string
  readonly file?: string
  readonly json?: boolean
}

if (import.meta.main) {
  const options = new Command('mutate')
    .description('Changes the contracts one operator at a time and runs their tests.')
    .option('--sample <count>', 'mutants to try, 0 for all', '20')
    .option('--seed <number>', 'which ones', '1')
    .option('--file <part>', 'only files whose path contains this')
    .option('--json', 'print survivors as data')
    .parse()
    .opts<Options>()
  run(options)
}

function run(options: Options): void {
  const files = readdirSync(join(ROOT, 'contracts'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.sol') && !path.startsWith('interfaces'))
    .filter((path) => path.includes(options.file ?? ''))
  const known = new Set(equivalentMutants())
  const all = files.flatMap((file) => mutantsOf(`contracts/${file}`))
  const chosen = sampleOf(
    all.filter((mutant) => !known.has(nameOf(mutant))),
    Number(options.sample),
    Number(options.seed),
  )
  const directory = copyTree()
  const survivors: string[] = []
  try {
    if (!passes(directory)) throw new TypeError('the tests fail without any mutant')
    for (const mutant of chosen) {
      const survived = tryMutant(directory, mutant)
      if (survived) survivors.push(nameOf(mutant))
      process.stderr.write(`${survived ? 'SURVIVED' : 'killed  '} ${nameOf(mutant)}\n`)
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
  const killed = chosen.length - survivors.length
  const report = { mutants: all.length, tried: chosen.length, killed, survivors }
  const percent = ((100 * killed) / Math.max(chosen.length, 1)).toFixed(1)
  process.stdout.write(
    options.json
      ? `${JSON.stringify(report, null, 2)}\n`
      : `${killed} of ${chosen.length} tried were killed (${percent} %), of ${all.length} in all\n`,
  )
}

/** Mutants known to behave as the original does, by name. */
function equivalentMutants(): string[] {
  const path = join(ROOT, 'contracts/mutants.json')
  return Object.keys(JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>)
}

function nameOf({ file, line, change }: Mutant): string {
  return `${file}:${line} ${change}`
}

function mutantsOf(file: string): Mutant[] {
  const lines = readFileSync(join(ROOT, file), 'utf8').split('\n')
  return lines.flatMap((text, index) => {
    if (/^\s*(\/\/|import|pragma|\*|error |event |type )/.test(text)) return []
    const comment = text.indexOf('//')
    return OPERATORS.flatMap(([find, replace]) =>
      [...text.matchAll(find)]
        .filter((match) => comment < 0 || match.index < comment)
        .map((match) => {
          const changed = `${text.slice(0, match.index)}${replace}${text.slice(match.index + match[0].length)}`
          return {
            file,
            line: index + 1,
            change: `${match.index}: ${match[0].trim()} -> ${replace.trim() || 'nothing'}`,
            source: lines.with(index, changed).join('\n'),
          }
        }),
    )
  })
}

/** A spread sample: the same for the same seed. */
function sampleOf(mutants: readonly Mutant[], count: number, seed: number): Mutant[] {
  if (count === 0 || count >= mutants.length) return [...mutants]
  const step = mutants.length / count
  const offset = (seed * 0.618_034) % 1
  return Array.from({ length: count }, (_, i) => mutants[Math.floor((i + offset) * step)]).filter(
    (mutant) => mutant !== undefined,
  )
}

function copyTree(): string {
  const directory = mkdtempSync(join(tmpdir(), 'varve-mutants-'))
  for (const path of NEEDED) cpSync(join(ROOT, path), join(directory, path), { recursive: true })
  for (const path of BLIND_TESTS) rmSync(join(directory, path))
  for (const path of UNCHANGED) symlinkSync(join(ROOT, path), join(directory, path))
  return directory
}

function tryMutant(directory: string, mutant: Mutant): boolean {
  const path = join(directory, mutant.file)
  const original = readFileSync(path, 'utf8')
  writeFileSync(path, mutant.source)
  try {
    return passes(directory)
  } finally {
    writeFileSync(path, original)
  }
}

/** A mutant that does not compile was killed by the compiler. */
function passes(directory: string): boolean {
  const hardhat = join(ROOT, 'node_modules/hardhat/dist/src/cli.js')
  const { status } = spawnSync(process.execPath, [hardhat, 'test', 'mocha'], {
    ...{ cwd: directory, stdio: 'ignore', timeout: RUN_MS_MAX },
    env: { ...process.env, HARDHAT_DISABLE_TELEMETRY_PROMPT: 'true' },
  })
  return status === 0
}
