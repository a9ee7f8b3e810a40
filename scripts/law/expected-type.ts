/**
 * Tells which type a constant must have where it stands: `1` alone has none, and once it stands in a conditional the
 * compiler would take the smallest that fits.
 */
import { nodeAt, nodesAt, type SyntaxNode, textAt, typeOf } from './syntax.ts'

/**
 * Finds the type that the surroundings give to a node.
 *
 * @param node - The node.
 * @param parent - The node right above it.
 * @param inherited - The type expected of the parent.
 * @param member - The function around both.
 * @param index - Every node by number.
 * @returns An elementary type, or nothing if it cannot be told.
 */
export function expectedType(
  node: SyntaxNode,
  parent: SyntaxNode,
  inherited: string,
  member: SyntaxNode | undefined,
  index: ReadonlyMap<number, SyntaxNode>,
): string {
  const is = (key: string) => nodeAt(parent, key)?.id === node.id
  switch (parent.nodeType) {
    case 'BinaryOperation':
      if (/^(<<|>>|\*\*)$/.test(textAt(parent, 'operator')) && is('rightExpression')) {
        return 'uint256'
      }
      return typeOf(parent, 'commonType')
    case 'Assignment':
      return is('rightHandSide') ? typeOf(nodeAt(parent, 'leftHandSide')) : ''
    case 'VariableDeclarationStatement':
      return typeOf(nodesAt(parent, 'declarations')[0])
    case 'Conditional':
      return is('condition') ? 'bool' : inherited
    case 'TupleExpression':
      return nodesAt(parent, 'components').length === 1 ? inherited : ''
    case 'IndexAccess':
      return is('indexExpression') ? keyType(typeOf(nodeAt(parent, 'baseExpression'))) : ''
    case 'Return':
      return returnType(member)
    case 'FunctionCall':
      return argumentType(node, parent, index)
    default:
      return ''
  }
}

function keyType(base: string): string {
  return /^mapping\((\S+)/.exec(base)?.[1] ?? 'uint256'
}

function returnType(member: SyntaxNode | undefined): string {
  const list = member && nodeAt(member, 'returnParameters')
  const parameters = list ? nodesAt(list, 'parameters') : []
  return parameters.length === 1 ? typeOf(parameters[0]) : ''
}

function argumentType(
  node: SyntaxNode,
  call: SyntaxNode,
  index: ReadonlyMap<number, SyntaxNode>,
): string {
  const position = nodesAt(call, 'arguments').findIndex(({ id }) => id === node.id)
  const callee = nodeAt(call, 'expression')
  if (position < 0 || !callee) return ''
  const kind = textAt(call, 'kind')
  if (kind === 'typeConversion') return conversionType(typeOf(callee))
  const declared = index.get(Number(callee['referencedDeclaration'] ?? -1))
  const list = declared && nodeAt(declared, 'parameters')
  const parameters = kind === 'structConstructorCall' ? members(declared) : nodesOf(list)
  const names = Array.isArray(call['names']) ? (call['names'] as unknown[]) : []
  if (parameters.length !== nodesAt(call, 'arguments').length) return builtInType(callee)
  const name = names[position]
  const parameter =
    name === undefined
      ? parameters[position]
      : parameters.find((each) => textAt(each, 'name') === name)
  return typeOf(parameter)
}

/** A conversion from a constant keeps its type; an address is made of 160 bits. */
function conversionType(callee: string): string {
  const type = /^type\((.*)\)$/.exec(callee)?.[1] ?? ''
  return type.startsWith('address') ? 'uint160' : type
}

function builtInType(callee: SyntaxNode): string {
  return callee.nodeType === 'NewExpression' ? 'uint256' : ''
}

function members(declared: SyntaxNode | undefined): SyntaxNode[] {
  return declared ? nodesAt(declared, 'members') : []
}

function nodesOf(list: SyntaxNode | undefined): SyntaxNode[] {
  return list ? nodesAt(list, 'parameters') : []
}
