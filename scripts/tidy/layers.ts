/**
 * Who may import whom: the arrows of `docs/ARCHITECTURE.md`, and no others.
 *
 * An import of types only vanishes at run time; where an arrow is allowed for types only it is marked so.
 */
import type { Source } from './sources.ts'

interface Layer {
  /** Folders (path prefixes) whose code may be imported. */
  readonly code: readonly string[]
  /** Folders whose types may be imported besides. */
  readonly types?: readonly string[]
}

const BASE = 'agent/base/'

/** First matching prefix wins; a file always may import its own layer. */
const LAYERS: readonly [prefix: string, layer: Layer][] = [
  ['agent/base/', { code: [] }],
  ['agent/ledger/', { code: [BASE], types: ['agent/state/'] }],
  ['agent/state/', { code: [BASE], types: ['agent/ledger/'] }],
  ['agent/plan/', { code: [BASE], types: ['agent/state/', 'agent/ledger/'] }],
  ['agent/reconcile/', { code: [BASE, 'agent/state/', 'agent/plan/'], types: ['agent/ledger/'] }],
  ['agent/engines/', { code: [BASE] }],
  ['agent/sandbox/', { code: [BASE] }],
  ['agent/adapters/', { code: [BASE, 'agent/sandbox/'], types: ['agent/'] }],
  ['agent/surfaces/', { code: [BASE, 'agent/state/'], types: ['agent/'] }],
  ['agent/units/', { code: ['agent/'] }],
  ['agent/', { code: ['agent/'] }],
  [
    'client/',
    {
      code: [
        ...[BASE, 'client/', 'agent/ledger/abi.ts', 'agent/adapters/socket/'],
        'agent/adapters/kernel/file-lock.ts',
        'agent/adapters/process/standard-streams.ts',
      ],
      types: ['agent/'],
    },
  ],
  ['scripts/bench/', { code: ['agent/', 'client/', 'scripts/', 'test/support/'] }],
  ['scripts/gas.ts', { code: ['agent/', 'scripts/', 'test/solidity/support/'] }],
  ['scripts/law/mutant-worker.ts', { code: ['scripts/', 'test/solidity/support/'] }],
  ['scripts/law/hardhat.config.ts', { code: ['scripts/', 'hardhat.config.ts'] }],
  ['scripts/', { code: ['agent/', 'client/', 'scripts/'] }],
  ['test/', { code: ['agent/', 'client/', 'scripts/', 'test/'] }],
]

/**
 * Finds imports that the arrows do not allow.
 *
 * @param sources - All sources.
 * @returns One line a violation.
 */
export function layerViolations(sources: readonly Source[]): string[] {
  return sources.flatMap((source) =>
    source.imports.flatMap((one) => {
      if (one.target === undefined) return packageViolation(source.path, one.specifier, one.line)
      if (isAllowed(source.path, one.target, one.typeOnly)) return []
      return [
        `${source.path}:${one.line} may not import ${one.target}${one.typeOnly ? ' (type)' : ''}`,
      ]
    }),
  )
}

function isAllowed(from: string, target: string, typeOnly: boolean): boolean {
  if (target.startsWith('types/') || target.endsWith('.json')) return true
  const entry = LAYERS.find(([prefix]) => from.startsWith(prefix))
  if (!entry) return false
  const [prefix, layer] = entry
  const own = prefix === 'agent/engines/' ? engineOf(from) : prefix
  if (target.startsWith(own)) return true
  if (crossesDoor(from, target)) return false
  if (layer.code.some((folder) => target.startsWith(folder))) return true
  return typeOnly && (layer.types ?? []).some((folder) => target.startsWith(folder))
}

/** From outside, an engine is entered by its door, or its ports for types; its tests may look inside. */
function crossesDoor(from: string, target: string): boolean {
  if (
    !target.startsWith('agent/engines/') ||
    from.startsWith('test/') ||
    from.startsWith('scripts/bench/')
  ) {
    return false
  }
  return !/^agent\/engines\/[^/]+\/(?:[^/]+\/)?(index|ports|errors)\.ts$/.test(target)
}

const engineOf = (path: string): string => `${path.split('/').slice(0, 3).join('/')}/`

/** Packages that only some folders may use, so that the core stays free of the outside. */
const PACKAGES: readonly [test: RegExp, only: RegExp, instead: string][] = [
  [
    /^node:(fs|net|http|https|dgram|child_process|worker_threads|os|timers.*)(\/|$)/,
    /^(agent\/adapters\/|agent\/units\/|agent\/main\.ts|agent\/surfaces\/|client\/cli\/|client\/sdk\/node\/|scripts\/|test\/)/,
    'a port, implemented in agent/adapters',
  ],
  [
    /^koffi$/,
    /^(agent\/adapters\/kernel\/|test\/support\/confined-probe\.ts)/,
    'agent/adapters/kernel',
  ],
  [/^level$/, /^(agent\/state\/|agent\/adapters\/|test\/)/, 'agent/state'],
  [
    /^(libp2p|@libp2p\/(?!crypto|peer-id|interface).*|@chainsafe\/libp2p-noise)$/,
    /^(agent\/engines\/links\/|agent\/adapters\/|test\/|scripts\/)/,
    'agent/engines/links',
  ],
]

function packageViolation(path: string, specifier: string, line: number): string[] {
  return PACKAGES.filter(([test, only]) => test.test(specifier) && !only.test(path)).map(
    ([, , instead]) => `${path}:${line} may not import ${specifier}; use ${instead}`,
  )
}

/**
 * Finds cycles of run-time imports.
 *
 * @param sources - All sources.
 * @returns One line a cycle.
 */
export function importCycles(sources: readonly Source[]): string[] {
  const targets = new Map(
    sources.map((source) => [
      source.path,
      source.imports
        .filter((one) => !one.typeOnly && !one.dynamic)
        .flatMap((one) => one.target ?? []),
    ]),
  )
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (path: string, trail: readonly string[]): void => {
    const seenAt = trail.indexOf(path)
    if (seenAt >= 0) cycles.push(`import cycle: ${[...trail.slice(seenAt), path].join(' -> ')}`)
    if (seenAt >= 0 || done.has(path)) return
    for (const target of targets.get(path) ?? []) visit(target, [...trail, path])
    done.add(path)
  }
  for (const path of targets.keys()) visit(path, [])
  return cycles
}
