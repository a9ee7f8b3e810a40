/**
 * The mutants of a contract: each changes one place as a slip of the author would, and the tests should notice.
 *
 * Operators: relations at their boundary and negated; logic; arithmetic; shifts; a condition negated; a constant one more
 * and one less; `true` for `false`; `min` for `max`; a returned value replaced by nothing; a statement, a `require` or a
 * modifier removed.
 */
import type { Place } from './rewrite.ts'
import { nodeAt, nodesAt, type SyntaxNode, spanOf, textAt, typeOf } from './syntax.ts'

/** One way to change one node. */
export interface Variation {
  readonly operator: string
  /** Stands in place of the node; `REMOVED` where a statement goes. */
  readonly text: string
  /** Uses of one constant change together: those with the same name are one mutant. */
  readonly shared?: string
}

/** A statement that is left out. */
export const REMOVED = ''

/**
 * Lists the ways to change a node.
 *
 * @param node - Any node of a body.
 * @param place - Where it stands.
 * @param index - Every node by number.
 * @returns None for most nodes. Texts refer to the unchanged source.
 */
export function variationsOf(
  node: SyntaxNode,
  place: Place,
  index: ReadonlyMap<number, SyntaxNode>,
): Variation[] {
  return [...ofExpression(node, place, index), ...ofStatement(node, place)]
}

/** Whether a node's value is a number that the compiler computes. */
export function isConstantNumber(node: SyntaxNode): boolean {
  return typeOf(node).startsWith('int_const')
}

const RELATIONS: Readonly<Record<string, readonly string[]>> = {
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '==': ['!='],
  '!=': ['=='],
}
const LOGIC: Readonly<Record<string, readonly string[]>> = { '&&': ['||'], '||': ['&&'] }
const ARITHMETIC: Readonly<Record<string, readonly string[]>> = {
  ...{ '+': ['-'], '-': ['+'], '*': ['/'], '/': ['*'], '%': ['*'] },
  ...{ '&': ['|'], '|': ['&'], '^': ['&'], '<<': ['>>'], '>>': ['<<'] },
}
const ASSIGNMENTS: Readonly<Record<string, readonly string[]>> = {
  ...{ '+=': ['-='], '-=': ['+='], '*=': ['/='], '/=': ['*='], '|=': ['&='], '&=': ['|='] },
  ...{ '^=': ['&='], '<<=': ['>>='], '>>=': ['<<='] },
}

function ofExpression(
  node: SyntaxNode,
  place: Place,
  index: ReadonlyMap<number, SyntaxNode>,
): Variation[] {
  if (isConstantNumber(node)) return ofConstantNumber(node, place)
  switch (node.nodeType) {
    case 'BinaryOperation':
      return ofBinary(node, place)
    case 'UnaryOperation':
      return ofUnary(node, place)
    case 'Assignment':
      return swaps('arithmetic', ASSIGNMENTS, node, place, ['leftHandSide', 'rightHandSide'])
    case 'Literal':
      return ofLiteral(node)
    case 'FunctionCall':
      return [...ofMinMax(node, place), ...ofLeafCondition(node, place)]
    case 'Identifier':
    case 'MemberAccess':
      return [...ofNamedConstant(node, place, index), ...ofLeafCondition(node, place)]
    case 'IndexAccess':
      return ofLeafCondition(node, place)
    default:
      return []
  }
}

function ofBinary(node: SyntaxNode, place: Place): Variation[] {
  const sides = ['leftExpression', 'rightExpression'] as const
  return [
    ...swaps('relation', RELATIONS, node, place, sides),
    ...swaps('logic', LOGIC, node, place, sides),
    ...swaps('arithmetic', ARITHMETIC, node, place, sides),
  ]
}

function swaps(
  operator: string,
  table: Readonly<Record<string, readonly string[]>>,
  node: SyntaxNode,
  place: Place,
  [leftKey, rightKey]: readonly [string, string],
): Variation[] {
  const [left, right] = [nodeAt(node, leftKey), nodeAt(node, rightKey)]
  if (!left || !right) return []
  const others = table[textAt(node, 'operator')] ?? []
  return others.map((other) => ({
    operator,
    text: `${textOf(left, place)} ${other} ${textOf(right, place)}`,
  }))
}

function ofUnary(node: SyntaxNode, place: Place): Variation[] {
  const operator = textAt(node, 'operator')
  const sub = nodeAt(node, 'subExpression')
  if (!sub) return []
  const inside = textOf(sub, place)
  if (operator === '!') return [{ operator: 'negation', text: inside }]
  if (operator === '~') return [{ operator: 'arithmetic', text: inside }]
  const other = { '++': '--', '--': '++' }[operator]
  if (other === undefined) return []
  const isPrefix = node['prefix'] === true
  return [{ operator: 'arithmetic', text: isPrefix ? other + inside : inside + other }]
}

function ofLiteral(node: SyntaxNode): Variation[] {
  if (textAt(node, 'kind') !== 'bool') return []
  return [{ operator: 'constant', text: textAt(node, 'value') === 'true' ? 'false' : 'true' }]
}

/** The whole of a number that is written out, for its parts have no type of their own. */
function ofConstantNumber(node: SyntaxNode, place: Place): Variation[] {
  if (isConstantNumber(place.parent) || !/^uint\d+$/.test(place.expected)) return []
  const isZero = /^int_const 0$/.test(typeOf(node))
  const { original } = place
  const more = { operator: 'constant', text: `${place.expected}(${original} + 1)` }
  const less = { operator: 'constant', text: `${place.expected}(${original} - 1)` }
  return isZero ? [more] : [more, less]
}

/** A named constant changes wherever it is used, as if its declaration had. */
function ofNamedConstant(
  node: SyntaxNode,
  place: Place,
  index: ReadonlyMap<number, SyntaxNode>,
): Variation[] {
  const declared = index.get(Number(node['referencedDeclaration'] ?? -1))
  if (declared?.nodeType !== 'VariableDeclaration' || declared['constant'] !== true) return []
  if (!/^uint\d+$/.test(typeOf(node)) || node['isLValue'] === true) return []
  const name = textAt(declared, 'name')
  return ['+', '-'].map((sign) => ({
    operator: 'constant',
    text: `${place.original} ${sign} 1`,
    shared: `${declared.id} ${name} ${sign} 1`,
  }))
}

function ofMinMax(node: SyntaxNode, place: Place): Variation[] {
  const callee = nodeAt(node, 'expression')
  if (!callee || !/^Math\.(min|max)$/.test(textOf(callee, place))) return []
  const swapped = place.original.replace(/^Math\.(min|max)/, (_, name: string) =>
    name === 'min' ? 'Math.max' : 'Math.min',
  )
  return [{ operator: 'min and max', text: swapped }]
}

/** A truth that is not itself a relation, used as a value. */
function ofLeafCondition(node: SyntaxNode, place: Place): Variation[] {
  const { parent } = place
  if (typeOf(node) !== 'bool' || parent.nodeType === 'ExpressionStatement') return []
  if (parent.nodeType === 'UnaryOperation') return []
  const isTarget = nodeAt(parent, 'leftHandSide')?.id === node.id
  const isCallee = nodeAt(parent, 'expression')?.id === node.id && parent.nodeType !== 'Return'
  if (isTarget || isCallee || parent.nodeType === 'VariableDeclaration') return []
  return [{ operator: 'negation', text: `!${place.original}` }]
}

function ofStatement(node: SyntaxNode, place: Place): Variation[] {
  if (/^(Expression|Emit|Revert)Statement$/.test(node.nodeType)) {
    const isHeader = ['loopExpression', 'initializationExpression'].some(
      (key) => nodeAt(place.parent, key)?.id === node.id,
    )
    return isHeader || setsPointer(node) ? [] : [{ operator: 'removal', text: REMOVED }]
  }
  if (node.nodeType === 'Return') return ofReturn(node)
  return []
}

/** A reference into storage must be set before it is used, so leaving that out is no program. */
function setsPointer(statement: SyntaxNode): boolean {
  const target = nodeAt(nodeAt(statement, 'expression') ?? statement, 'leftHandSide')
  return / (storage|calldata)( pointer)?$/.test(typeOf(target)) && target?.nodeType === 'Identifier'
}

/** What a caller gets from a function that forgot to compute. */
function ofReturn(node: SyntaxNode): Variation[] {
  const value = nodeAt(node, 'expression')
  const nothing = value && nothingOf(typeOf(value))
  return nothing === undefined ? [] : [{ operator: 'returned value', text: nothing }]
}

function nothingOf(type: string): string | undefined {
  if (/^uint\d+$/.test(type)) return `${type}(0)`
  if (type === 'address') return 'address(0)'
  if (/^bytes\d+$/.test(type)) return `${type}(0)`
  if (type === 'bytes memory') return 'new bytes(0)'
  return undefined
}

function textOf(node: SyntaxNode, { source }: Place): string {
  const { start, end } = spanOf(node)
  return source.text.slice(start, end)
}

/** The modifiers of a function that can be removed: those whose body the tree has. */
export function removableModifiers(
  member: SyntaxNode,
  index: ReadonlyMap<number, SyntaxNode>,
): { invocation: SyntaxNode; definition: SyntaxNode }[] {
  return nodesAt(member, 'modifiers').flatMap((invocation) => {
    const name = nodeAt(invocation, 'modifierName')
    const definition = index.get(Number(name?.['referencedDeclaration'] ?? -1))
    return definition?.nodeType === 'ModifierDefinition' ? [{ invocation, definition }] : []
  })
}
