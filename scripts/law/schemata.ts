/**
 * Weaves every mutant of the contracts into one text of each: a place becomes a choice between the original and its
 * changes, made at run time by {@link PROBE}. So one build serves all mutants.
 */

import {
  isConstantNumber,
  REMOVED,
  removableModifiers,
  type Variation,
  variationsOf,
} from './mutants.ts'
import { PROBE, PROBE_FILE } from './probe.ts'
import { type Place, rewriteSource } from './rewrite.ts'
import {
  analyse,
  indexOf,
  nodeAt,
  nodesAt,
  type Parsed,
  type ParsedSource,
  readSource,
  type SolidityComplaint,
  type SyntaxNode,
  spanOf,
  textAt,
  utf8OfBytes,
} from './syntax.ts'

/** One change, as it is reported. */
export interface Mutant {
  /** What the choice at run time is; new in every build. */
  readonly number: number
  /** The same as long as the function keeps the text around the change. */
  readonly name: string
  readonly file: string
  readonly line: number
  readonly operator: string
}

/** The contracts with all mutants in them. */
export interface Schemata {
  readonly mutants: readonly Mutant[]
  /** Text by path, in characters. */
  readonly sources: ReadonlyMap<string, string>
  /** Changes that do not compile, which are no mutants. */
  readonly refused: readonly string[]
}

/** Each round drops what does not compile; an error can hide others, but not for ever. */
const ROUNDS_MAX = 8

/**
 * Weaves the mutants of contracts.
 *
 * @param parsed - The contracts.
 * @returns Mutants numbered from 1 in the order of the text.
 */
export function weaveMutants(parsed: Parsed): Schemata {
  const index = indexOf(parsed.trees.values())
  const refused = new Set<string>()
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const weaver = new Weaver(parsed, index, refused)
    const texts = weaver.weave()
    const bad = numbersIn(texts, analyse(texts).complaints)
    if (bad.length === 0) {
      const decoded = [...texts].map(([path, text]) => [path, utf8OfBytes(text)] as const)
      return { mutants: weaver.mutants, sources: new Map(decoded), refused: [...refused] }
    }
    for (const number of bad) refused.add(weaver.mutants[number - 1]?.name ?? '')
  }
  throw new TypeError('the woven contracts do not compile')
}

/** Makes one text of each file; used once. */
class Weaver {
  readonly mutants: Mutant[] = []
  readonly #sources: readonly ParsedSource[]
  readonly #index: ReadonlyMap<number, SyntaxNode>
  readonly #files: ReadonlyMap<number, string>
  readonly #refused: ReadonlySet<string>
  readonly #shared = new Map<string, number>()
  readonly #names = new Map<string, number>()
  /** Woven statements of our own modifiers, by the number of the node. */
  readonly #statements = new Map<number, string>()
  /** Modifiers of one use each, to stand behind the function that uses them. */
  readonly #uses: { mark: string; number: number; definition: SyntaxNode }[] = []

  constructor(
    { sources, trees }: Parsed,
    index: ReadonlyMap<number, SyntaxNode>,
    refused: ReadonlySet<string>,
  ) {
    this.#sources = sources
    this.#index = index
    this.#files = filesOfModifiers(trees)
    this.#refused = refused
  }

  weave(): Map<string, string> {
    const texts = new Map<string, string>()
    for (const source of this.#sources) {
      const text = rewriteSource(source, this.#index, (node, place, inner) =>
        this.#rewrite(node, place, inner),
      )
      texts.set(source.path, `${text}\nimport {${PROBE}} from "${PROBE_FILE}";\n`)
    }
    for (const [path, text] of texts) texts.set(path, this.#addModifiers(text))
    return texts
  }

  #rewrite(node: SyntaxNode, place: Place, inner: string): string {
    if (node.nodeType === 'FunctionDefinition') {
      const uses = removableModifiers(node, this.#index)
      return inner + uses.map(({ invocation }) => markOf(invocation)).join('')
    }
    if (node.nodeType === 'ModifierInvocation') return this.#useModifier(node, place, inner)
    const text = this.#choose(node, place, inner)
    const isOfModifier = nodeAt(place.member, 'body')?.id === place.parent.id
    if (place.member.nodeType === 'ModifierDefinition' && isOfModifier) {
      this.#statements.set(node.id, text)
    }
    return text
  }

  #choose(node: SyntaxNode, place: Place, inner: string): string {
    const chosen = variationsOf(node, place, this.#index).flatMap((variation) => {
      const number = this.#number(variation, node, place)
      return number === undefined ? [] : [{ ...variation, number }]
    })
    if (chosen.length === 0) return inner
    if (node.nodeType === 'Return') {
      const value = inner.replace(/^return\s*/, '')
      const choice = chosen
        .map(({ number, text }) => `${PROBE}.on(${number}) ? ${text} : `)
        .join('')
      return `return ${choice}(${value})`
    }
    if (chosen[0]?.text === REMOVED) return `{ if (!${PROBE}.on(${chosen[0].number})) ${inner} }`
    const choice = chosen
      .map(({ number, text }) => `${PROBE}.on(${number}) ? (${text}) : `)
      .join('')
    const original = isConstantNumber(node) ? `${place.expected}(${inner})` : `(${inner})`
    return `(${choice}${original})`
  }

  #useModifier(node: SyntaxNode, place: Place, inner: string): string {
    const uses = removableModifiers(place.member, this.#index)
    const use = uses.find(({ invocation }) => invocation.id === node.id)
    if (!use) return inner
    const variation = { operator: 'removal', text: REMOVED }
    const number = this.#number(variation, node, place)
    if (number === undefined) return inner
    this.#uses.push({ mark: markOf(node), number, definition: use.definition })
    return inner.replace(/^\w+/, (name) => `${name}_${number}`)
  }

  /** Nothing if the change does not compile. */
  #number(variation: Variation, node: SyntaxNode, place: Place): number | undefined {
    const { shared, operator } = variation
    const known = shared === undefined ? undefined : this.#shared.get(shared)
    if (known !== undefined) return known
    const name = this.#nameOf(variation, place)
    if (this.#refused.has(name)) return undefined
    const number = this.mutants.length + 1
    const line = lineOf(place.source.text, spanOf(node).start)
    this.mutants.push({ number, name, file: place.source.path, line, operator })
    if (shared !== undefined) this.#shared.set(shared, number)
    return number
  }

  #nameOf({ shared, text, operator }: Variation, { contract, member, original }: Place): string {
    if (shared !== undefined) return `${contract}: constant ${shared.replace(/^\d+ /, '')}`
    const within = `${contract}.${textAt(member, 'name') || textAt(member, 'kind')}`
    const change = text === REMOVED ? `remove ${original}` : `${original} => ${text}`
    const said = operator === 'returned value' ? `${original} => return ${text}` : change
    const name = `${within}: ${said.replace(/\s+/g, ' ').replace(/ ?;$/, '')}`
    const count = (this.#names.get(name) ?? 0) + 1
    this.#names.set(name, count)
    return count === 1 ? name : `${name} (${count})`
  }

  #addModifiers(text: string): string {
    return text.replace(/\/\*use \d+\*\//g, (mark) => {
      const use = this.#uses.find((each) => each.mark === mark)
      return use ? `\n${this.#modifier(use.definition, use.number)}\n` : ''
    })
  }

  #modifier(definition: SyntaxNode, number: number): string {
    const file = this.#files.get(definition.id) ?? ''
    const original = this.#sources.find(({ path }) => path === file)?.text ?? readSource(file)
    const slice = (node: SyntaxNode) => original.slice(spanOf(node).start, spanOf(node).end)
    const body = nodeAt(definition, 'body')
    const statements = (body ? nodesAt(body, 'statements') : []).map((statement) => {
      if (statement.nodeType === 'PlaceholderStatement') return '_;'
      const woven = this.#statements.get(statement.id) ?? `${slice(statement)};`
      return `if (!${PROBE}.on(${number})) { ${woven} }`
    })
    const parameters = nodeAt(definition, 'parameters')
    const head = `${textAt(definition, 'name')}_${number}${parameters ? slice(parameters) : ''}`
    return `    modifier ${head} { ${statements.join(' ')} }`
  }
}

function markOf(invocation: SyntaxNode): string {
  return `/*use ${invocation.id}*/`
}

function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

function filesOfModifiers(trees: ReadonlyMap<string, SyntaxNode>): ReadonlyMap<number, string> {
  const contracts = [...trees].flatMap(([path, tree]) =>
    nodesAt(tree, 'nodes').map((contract) => [path, contract] as const),
  )
  return new Map(
    contracts.flatMap(([path, contract]) => nodesAt(contract, 'nodes').map(({ id }) => [id, path])),
  )
}

/** The numbers in the complaints, by where in the woven text these point. */
function numbersIn(
  texts: ReadonlyMap<string, string>,
  complaints: readonly SolidityComplaint[],
): number[] {
  const guard = new RegExp(`${PROBE}\\.on\\((\\d+)\\)`, 'g')
  return complaints
    .filter(({ severity }) => severity === 'error')
    .map(({ sourceLocation: at, formattedMessage }) => {
      const text = at ? texts.get(at.file) : undefined
      if (!at || text === undefined) throw new TypeError(formattedMessage)
      // A conditional of unlike types begins with its own guard; anything else stands behind the guard it is of.
      const isChoice = /^\(?VarveProbe\.on\(/.test(text.slice(at.start, at.start + 20))
      const found = isChoice
        ? [...text.slice(at.start, at.start + 60).matchAll(guard)].at(0)
        : [...text.slice(0, at.start).matchAll(guard)].at(-1)
      if (!found?.[1]) throw new TypeError(formattedMessage)
      return Number(found[1])
    })
}
