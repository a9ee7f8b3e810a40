/**
 * Weaves a report of every branch into the contracts: each condition of an `if`, a loop, a choice or a `require`, and each
 * part of one that is joined by `&&` or `||`, tells which way it went; each clause of a `try` tells that it was entered.
 */
import { PROBE, PROBE_FILE } from './probe.ts'
import { type Place, rewriteSource } from './rewrite.ts'
import {
  indexOf,
  nodeAt,
  nodesAt,
  type Parsed,
  type SyntaxNode,
  spanOf,
  textAt,
  utf8OfBytes,
} from './syntax.ts'

/** One way that a condition can go. */
export interface Branch {
  /** What is reported when it is taken. */
  readonly mark: number
  /** The same as long as the function keeps the text of the condition. */
  readonly name: string
  readonly file: string
  readonly line: number
}

/**
 * Weaves the branches of contracts.
 *
 * @param parsed - The contracts.
 * @returns Two branches a condition, one a clause; and the texts by path, in characters.
 */
export function weaveBranches({ sources, trees }: Parsed): {
  branches: readonly Branch[]
  sources: ReadonlyMap<string, string>
} {
  const branches: Branch[] = []
  const names = new Map<string, number>()
  const pointOf = (node: SyntaxNode, place: Place, what: string) => {
    const within = `${place.contract}.${textAt(place.member, 'name') || textAt(place.member, 'kind')}`
    const name = `${within}: ${what.replace(/\s+/g, ' ')}`
    const count = (names.get(name) ?? 0) + 1
    names.set(name, count)
    const line = place.source.text.slice(0, spanOf(node).start).split('\n').length
    const known = count === 1 ? name : `${name} (${count})`
    return { number: branches.length + 1, name: known, file: place.source.path, line }
  }
  const rewrite = (node: SyntaxNode, place: Place, inner: string): string => {
    if (isClause(node, place)) {
      const { number, ...at } = pointOf(node, place, 'clause of try')
      branches.push({ ...at, mark: 2 * number })
      return inner.replace('{', `{ ${PROBE}.passed(${2 * number}); `)
    }
    if (!isCondition(node, place)) return inner
    const { number, ...at } = pointOf(node, place, place.original)
    branches.push({ ...at, name: `${at.name} is true`, mark: 2 * number + 1 })
    branches.push({ ...at, name: `${at.name} is false`, mark: 2 * number })
    return `${PROBE}.saw(${number}, ${inner})`
  }
  const index = indexOf(trees.values())
  const woven = sources.map((source) => {
    const text = rewriteSource(source, index, rewrite)
    return [source.path, utf8OfBytes(`${text}\nimport {${PROBE}} from "${PROBE_FILE}";\n`)] as const
  })
  return { branches, sources: new Map(woven) }
}

/** A part of a condition counts only where the whole decides something; a joined value that is kept does too. */
function isCondition(node: SyntaxNode, { parent }: Place): boolean {
  const stands = (key: string) => nodeAt(parent, key)?.id === node.id
  if (parent.nodeType === 'TupleExpression') return false
  if (stands('condition')) return true
  if (parent.nodeType === 'BinaryOperation') return /^(&&|\|\|)$/.test(textAt(parent, 'operator'))
  if (parent.nodeType !== 'FunctionCall') return false
  const callee = nodeAt(parent, 'expression')
  const isRequire = callee !== undefined && /^(require|assert)$/.test(textAt(callee, 'name'))
  return isRequire && nodesAt(parent, 'arguments')[0]?.id === node.id
}

function isClause(node: SyntaxNode, { parent }: Place): boolean {
  return parent.nodeType === 'TryCatchClause' && nodeAt(parent, 'block')?.id === node.id
}
