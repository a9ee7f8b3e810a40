/**
 * The syntax trees of the contracts as the compiler sees them, with types and references resolved.
 *
 * Sources are handled as Latin-1, one character a byte, because the compiler counts in bytes.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { root } from '../run/step.ts'
import { PROBE_FILE, PROBE_SOURCE } from './probe.ts'

/** A node of the tree; what else it has depends on its type and is read with the functions below. */
export interface SyntaxNode {
  readonly id: number
  readonly nodeType: string
  /** Offset and length in bytes, and the index of the file. */
  readonly src: string
  readonly [key: string]: unknown
}

/** One file of ours, parsed. */
export interface ParsedSource {
  /** Relative to the repository. */
  readonly path: string
  readonly text: string
  readonly tree: SyntaxNode
}

/** What the compiler complained of. */
export interface SolidityComplaint {
  readonly severity: string
  readonly formattedMessage: string
  readonly sourceLocation?: { readonly file: string; readonly start: number; readonly end: number }
}

interface SolcOutput {
  readonly errors?: readonly SolidityComplaint[]
  readonly sources?: Readonly<Record<string, { readonly ast: SyntaxNode }>>
}
interface Solc {
  compile(input: string, callbacks: { import(path: string): { contents: string } }): string
}

const require = createRequire(import.meta.url)
let solc: Solc | undefined

/**
 * Analyses sources without making code, which takes seconds where a build takes a minute.
 *
 * @param sources - Text by path; what they import is read from the repository and `node_modules`.
 * @returns Complaints, errors and warnings alike, and the tree of every file, imported ones included.
 */
export function analyse(sources: ReadonlyMap<string, string>): {
  complaints: readonly SolidityComplaint[]
  trees: ReadonlyMap<string, SyntaxNode>
} {
  solc ??= require('solc/wrapper')(require('solc/soljson.js')) as Solc
  const input = {
    language: 'Solidity',
    sources: Object.fromEntries(
      [...sources].map(([path, text]) => [path, { content: utf8OfBytes(text) }]),
    ),
    settings: { evmVersion: 'cancun', outputSelection: { '*': { '': ['ast'] } } },
  }
  const load = (path: string) => ({
    contents: path === PROBE_FILE ? PROBE_SOURCE : utf8OfBytes(readSource(path)),
  })
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: load })) as SolcOutput
  const trees = Object.entries(output.sources ?? {}).map(([path, { ast }]) => [path, ast] as const)
  return { complaints: output.errors ?? [], trees: new Map(trees) }
}

/** Sources of ours, and every tree that they need, by path. */
export interface Parsed {
  readonly sources: readonly ParsedSource[]
  readonly trees: ReadonlyMap<string, SyntaxNode>
}

/** Parses the contracts that have code, in the order of their paths. */
export function parseContracts(): Parsed {
  const files = readdirSync(join(root, 'contracts'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.sol') && !path.startsWith('interfaces'))
    .map((path) => `contracts/${path}`)
    .sort()
  return parse(new Map(files.map((path) => [path, readSource(path)])))
}

/**
 * Parses sources.
 *
 * @param texts - By path, in bytes.
 * @throws TypeError if they do not compile.
 */
export function parse(texts: ReadonlyMap<string, string>): Parsed {
  const { complaints, trees } = analyse(texts)
  const errors = complaints.filter(({ severity }) => severity === 'error')
  if (errors.length > 0) throw new TypeError(errors.map((each) => each.formattedMessage).join(''))
  const sources = [...texts].flatMap(([path, text]) => {
    const tree = trees.get(path)
    return tree ? [{ path, text, tree }] : []
  })
  return { sources, trees }
}

/** Where a node begins and ends in its file, in bytes. */
export function spanOf(node: SyntaxNode): { start: number; end: number } {
  const [start = 0, length = 0] = node.src.split(':').map(Number)
  return { start, end: start + length }
}

/** The nodes directly below one, in the order of the text; types and documentation are left out. */
export function childrenOf(node: SyntaxNode): SyntaxNode[] {
  return Object.entries(node)
    .filter(([key]) => !LEFT_OUT.has(key))
    .flatMap(([, value]) => (Array.isArray(value) ? (value as unknown[]) : [value]))
    .filter(isNode)
    .sort((a, b) => spanOf(a).start - spanOf(b).start)
}

/** A node below this one by name of its property. */
export function nodeAt(node: SyntaxNode, key: string): SyntaxNode | undefined {
  const value = node[key]
  return isNode(value) ? value : undefined
}

/** A list of nodes by name of its property. */
export function nodesAt(node: SyntaxNode, key: string): SyntaxNode[] {
  const value = node[key]
  return Array.isArray(value) ? (value as unknown[]).filter(isNode) : []
}

/** A property that is text, else nothing. */
export function textAt(node: SyntaxNode, key: string): string {
  const value = node[key]
  return typeof value === 'string' ? value : ''
}

/** The type of an expression or a variable as the compiler writes it. */
export function typeOf(node: SyntaxNode | undefined, key = 'typeDescriptions'): string {
  const described = node?.[key]
  if (typeof described !== 'object' || described === null) return ''
  return 'typeString' in described && typeof described.typeString === 'string'
    ? described.typeString
    : ''
}

/** Every node by its number. */
export function indexOf(trees: Iterable<SyntaxNode>): ReadonlyMap<number, SyntaxNode> {
  const index = new Map<number, SyntaxNode>()
  const visit = (node: SyntaxNode) => {
    index.set(node.id, node)
    for (const child of childrenOf(node)) visit(child)
  }
  for (const tree of trees) visit(tree)
  return index
}

/** The text as the compiler must get it: bytes back to characters. */
export function utf8OfBytes(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8')
}

/** Nothing in these is executed. */
const LEFT_OUT = new Set([
  'typeName',
  'documentation',
  'overrides',
  'baseType',
  'externalReferences',
])

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && 'nodeType' in value && 'src' in value
}

/** The text of a file of ours or of a library, in bytes. */
export function readSource(path: string): string {
  return readFileSync(placeOf(path), 'latin1')
}

function placeOf(path: string): string {
  return join(root, path.startsWith('@') ? `node_modules/${path}` : path)
}
