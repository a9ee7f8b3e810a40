/**
 * Rewrites a contract's text along its syntax tree, from the leaves up, so that what is put around an expression holds the
 * rewritten text of what is inside it.
 */

import { expectedType } from './expected-type.ts'
import {
  childrenOf,
  nodeAt,
  nodesAt,
  type ParsedSource,
  type SyntaxNode,
  spanOf,
  textAt,
} from './syntax.ts'

/** Where a node stands. */
export interface Place {
  readonly source: ParsedSource
  /** The function or modifier around it; nothing outside of bodies. */
  readonly member: SyntaxNode
  readonly contract: string
  readonly parent: SyntaxNode
  /** The type that a constant must have here, where the tree tells. */
  readonly expected: string
  /** The node's own text, unchanged. */
  readonly original: string
}

/**
 * Turns a node's text, in which everything below is rewritten already, into what shall stand there.
 * A statement's text ends with its semicolon.
 */
export type Rewrite = (node: SyntaxNode, place: Place, inner: string) => string

/**
 * Rewrites everything that is executed: bodies of functions, constructors and modifiers.
 *
 * @param source - The file.
 * @param index - Every node by number, for the types of arguments.
 * @param rewrite - Called once a node, inner ones first.
 * @returns The new text, in bytes.
 */
export function rewriteSource(
  source: ParsedSource,
  index: ReadonlyMap<number, SyntaxNode>,
  rewrite: Rewrite,
): string {
  const within = (
    node: SyntaxNode,
    parent: SyntaxNode,
    around: { member?: SyntaxNode; contract: string; expected: string },
  ): string => {
    const { start, end } = extentOf(source.text, node)
    if (node.nodeType === 'InlineAssembly') return source.text.slice(start, end)
    const contract = node.nodeType === 'ContractDefinition' ? textAt(node, 'name') : around.contract
    const member = MEMBERS.has(node.nodeType) ? node : around.member
    const expected = expectedType(node, parent, around.expected, member, index)
    const below = { ...(member ? { member } : {}), contract, expected }
    const inner = splice(source.text, start, end, childrenOf(node), (child) =>
      within(child, node, below),
    )
    if (!member) return inner
    const original = source.text.slice(start, end)
    return rewrite(node, { source, member, contract, parent, expected, original }, inner)
  }
  const { text, tree } = source
  return splice(text, 0, text.length, nodesAt(tree, 'nodes'), (node) =>
    within(node, tree, { contract: '', expected: '' }),
  )
}

const MEMBERS = new Set(['FunctionDefinition', 'ModifierDefinition'])

/** A semicolon stands right behind its statement. */
const SEMICOLON_WITHIN = 8

/** Statements whose extent in the tree ends before their semicolon. */
const STATEMENTS = /^(Expression|Emit|Revert)Statement$/

function splice(
  text: string,
  start: number,
  end: number,
  children: readonly SyntaxNode[],
  render: (child: SyntaxNode) => string,
): string {
  let done = start
  let out = ''
  for (const child of children) {
    const extent = extentOf(text, child)
    if (extent.start < done) continue
    out += text.slice(done, extent.start) + render(child)
    done = extent.end
  }
  return out + text.slice(done, end)
}

function extentOf(text: string, node: SyntaxNode): { start: number; end: number } {
  const { start, end } = spanOf(node)
  if (STATEMENTS.test(node.nodeType)) {
    const gap = /^\s*;/.exec(text.slice(end, end + SEMICOLON_WITHIN))
    return { start, end: end + (gap?.[0].length ?? 0) }
  }
  // What ends with a statement that is no block ends where that does.
  const bodies = ['trueBody', 'falseBody', 'body'].flatMap((key) => nodeAt(node, key) ?? [])
  const isBranch = /^(If|For|While)Statement$/.test(node.nodeType)
  const ends = isBranch ? bodies.map((body) => extentOf(text, body).end) : []
  return { start, end: Math.max(end, ...ends) }
}
