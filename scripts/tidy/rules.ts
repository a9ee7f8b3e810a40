/** The rules that look at one file at a time, and those about folders: each violation is one line that says what to do. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Source } from './sources.ts'

interface BannedCall {
  readonly call: RegExp
  readonly instead: string
  /** Where it is banned. */
  readonly within: RegExp
  readonly except?: RegExp
}

const CORE = /^(agent|client)\//
const OUTSIDE =
  /^(agent\/adapters\/|agent\/units\/|agent\/main\.ts|agent\/surfaces\/|client\/cli\/)/

const BANNED: readonly BannedCall[] = [
  { call: /\bDate\.now\(|\bnew Date\(\)/, instead: 'Clock.now', within: CORE, except: OUTSIDE },
  { call: /\bperformance\.now\(/, instead: 'Clock.monotonic', within: CORE, except: OUTSIDE },
  { call: /\bMath\.random\(/, instead: 'Chance', within: /./ },
  {
    call: /(?<![.\w])(setTimeout|setInterval)\(/,
    instead: 'Clock.sleep',
    within: CORE,
    except: OUTSIDE,
  },
  {
    call: /(?<![.\w]|async )fetch\(/,
    instead: 'a port, implemented in agent/adapters',
    within: CORE,
    except: OUTSIDE,
  },
  { call: /\bnew Error\(/, instead: 'NodeError with a code', within: /^(agent|client|scripts)\// },
  {
    call: /\bprocess\.env\b/,
    instead: 'the resolved configuration (main.ts reads the environment)',
    within: CORE,
    except: /^(agent\/main\.ts|agent\/units\/|client\/cli\/)/,
  },
  { call: /\bspawn\w*\(\s*'node'/, instead: 'process.execPath', within: /./ },
  { call: /\bas any\b|:\s*any\b/, instead: 'a type', within: /./ },
  { call: /\b(describe|it)\.only\(/, instead: 'the whole suite', within: /^test\// },
]

/**
 * Finds banned calls.
 *
 * @param source - One file.
 * @returns One line a violation, with what to use instead.
 */
export function bannedCalls(source: Source): string[] {
  const lines = source.code.split('\n')
  return BANNED.filter(
    (rule) => rule.within.test(source.path) && !(rule.except?.test(source.path) ?? false),
  ).flatMap((rule) =>
    lines.flatMap((line, at) =>
      rule.call.test(line)
        ? [`${source.path}:${at + 1} ${line.trim().slice(0, 60)}: use ${rule.instead}`]
        : [],
    ),
  )
}

/** Every file opens with what it is and why. @returns One line if it does not. */
export function missingOpening(source: Source): string[] {
  const opens = /^(#![^\n]*\n)?\s*(\/\*\*|\/\/)/.test(source.text)
  return opens ? [] : [`${source.path}:1 opens without a comment that says what it is`]
}

/** What was left to do belongs in docs/design, not in a comment. @returns One line a left-over mark. */
export function leftovers(source: Source): string[] {
  const MARK = new RegExp(
    ['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'].map((word) => `\\b${word}\\b`).join('|'),
  )
  return source.lines.flatMap((line, at) =>
    MARK.test(line)
      ? [`${source.path}:${at + 1} leaves a mark; docs/design keeps what is left to do`]
      : [],
  )
}

/**
 * Finds casts in contracts that could cut off bits unseen: `SafeCast` refuses what does not fit. Where cutting is meant, the line
 * says so: `// cuts: why`.
 *
 * @param contracts - Solidity sources.
 * @returns One line a cast.
 */
export function narrowingCasts(contracts: readonly Pick<Source, 'path' | 'text'>[]): string[] {
  const CAST = /(?<![\w.])u?int(?!256)\d+\(/
  return contracts.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, at) => {
      const isComment = /^\s*(\/\/|\*)/.test(line)
      if (isComment || line.includes('// cuts: ') || !CAST.test(line)) return []
      return [`${path}:${at + 1} narrows a number without SafeCast, and does not say that it cuts`]
    }),
  )
}

/**
 * Finds exports of engines' doors without a doc comment.
 *
 * @param sources - All sources.
 * @returns One line an export.
 */
export function undocumentedDoors(sources: readonly Source[]): string[] {
  const byPath = new Map(sources.map((source) => [source.path, source]))
  const doors = sources.filter((source) => /^agent\/engines\/[^/]+\/index\.ts$/.test(source.path))
  return doors.flatMap((door) => {
    const EXPORT = /export\s+(?:type\s+)?\{([^}]*)\}\s+from\s+'([^']+)'/g
    return [...door.text.matchAll(EXPORT)].flatMap((match) => {
      const from = door.imports.find((one) => one.specifier === match[2])?.target
      const source = from === undefined ? undefined : byPath.get(from)
      const names = (match[1] ?? '').split(',').map(
        (name) =>
          name
            .trim()
            .replace(/^type\s+/, '')
            .split(' ')[0] ?? '',
      )
      return names
        .filter((name) => name !== '' && source && !isDocumented(source, name))
        .map((name) => `${from} exports ${name} through the door without a doc comment`)
    })
  })
}

function isDocumented(source: Source, name: string): boolean {
  const declaration = new RegExp(
    `(\\*/)?\\s*\\n?export\\s+(?:declare\\s+)?(?:async\\s+)?(?:abstract\\s+)?(?:function\\*?|class|const|interface|type)\\s+${name}\\b`,
  )
  const match = declaration.exec(source.text)
  return match === null || match[1] !== undefined
}

/**
 * Checks that every engine has its README, door and error catalogue.
 *
 * @param root - The checkout.
 * @returns One line a missing file.
 */
export function incompleteEngines(root: string): string[] {
  const engines = join(root, 'agent/engines')
  return readdirSync(engines, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) =>
      ['README.md', 'index.ts', 'errors.ts', 'ports.ts']
        .filter((name) => !existsSync(join(engines, entry.name, name)))
        .map((name) => `agent/engines/${entry.name} lacks ${name}`),
    )
}

/** Files that something else starts, so that nothing needs to import them. */
const ENTRIES = [
  /^agent\/main\.ts$/,
  /^agent\/units\/[^/]+\/index\.ts$/,
  /^client\/(cli\/main|sdk\/index)\.ts$/,
  /^scripts\/[^/]+\.ts$/,
  // Started as processes of their own, or read by scripts/gen.
  /^scripts\/devnet\/hardhat-engine\.ts$/,
  /^scripts\/grid\/key\.ts$/,
  /^scripts\/law\/hardhat\.config\.ts$/,
  /errors\.ts$/,
  /^scripts\/[^/]+\/main\.ts$/,
  /^scripts\/(bench|campaign|gen)\//,
  /^test\//,
  /worker\.ts$/,
  /^agent\/engines\/[^/]+\/index\.ts$/,
]

/**
 * Finds files that nothing reaches.
 *
 * @param sources - All sources.
 * @returns One line a dead file.
 */
export function deadFiles(sources: readonly Source[]): string[] {
  const live = sources.filter((source) => !source.path.startsWith('test/'))
  const imported = new Set(
    live.flatMap((source) => source.imports.flatMap((one) => one.target ?? [])),
  )
  return live
    .filter(
      (source) => !imported.has(source.path) && !ENTRIES.some((entry) => entry.test(source.path)),
    )
    .map((source) => `${source.path} is imported by nothing but tests`)
}
