/** Commands that prove what a log holds: ROOT, PROVE, CONSIST, SERIAL. */
import { NodeError } from '../../../base/errors.ts'
import type { RecordTree } from '../tree/record-tree.ts'
import { readable } from './access.ts'
import { type Command, hasArguments, type Replied } from './command.ts'
import type { CommandParser } from './command-parser.ts'
import type { Session } from './session.ts'

/** The commands of this file. */
export const PROOF_COMMANDS: readonly Command[] = [
  { name: 'ROOT', arity: -1, flags: ['readonly'], run: root },
  { name: 'PROVE', arity: -2, flags: ['readonly'], run: prove },
  { name: 'CONSIST', arity: 3, flags: ['readonly'], run: consist },
  { name: 'SERIAL', arity: 2, flags: ['readonly'], run: serial },
]

/** ROOT [size]: [size, root]; without a size of all that is written. What it covers is durable. */
function root(session: Session, args: CommandParser): Promise<void> | Replied {
  const { writer } = session
  const asked = args.count > 1 ? args.integer(1) : undefined
  if (args.count > 2 || (args.count > 1 && asked === undefined)) {
    return writer.error('Invalid argument')
  }
  return withTree(session, (tree) => {
    const size = asked ?? tree.size
    const node = tree.root(size)
    writer.array(2)
    writer.integer(size)
    writer.bulk(node)
  })
}

/** PROVE serial [size]: [size, root of the record, [siblings from the leaf up]]. */
function prove(session: Session, args: CommandParser): Promise<void> | Replied {
  const { writer } = session
  const index = args.count > 1 ? args.integer(1) : undefined
  const asked = args.count > 2 ? args.integer(2) : undefined
  if (index === undefined || index < 0 || args.count > 3) return writer.error('Invalid argument')
  return withTree(session, (tree) => {
    const size = asked ?? tree.size
    const path = tree.inclusion(index, size)
    writer.array(3)
    writer.integer(size)
    writer.bulk(tree.leaf(index))
    writer.array(path.length)
    for (const node of path) writer.bulk(node)
  })
}

/** CONSIST size1 size2: [nodes]. */
function consist(session: Session, args: CommandParser): Promise<void> | Replied {
  const { writer } = session
  if (!hasArguments(session, args, 3)) return
  const [size1, size2] = [args.integer(1), args.integer(2)]
  if (size1 === undefined || size2 === undefined) return writer.error('Invalid argument')
  return withTree(session, (tree) => {
    const path = tree.consistency(size1, size2)
    writer.array(path.length)
    for (const node of path) writer.bulk(node)
  })
}

/** SERIAL key: the position of its newest record in the log, for PROVE. */
function serial(session: Session, args: CommandParser): Replied {
  const { writer } = session
  if (!hasArguments(session, args, 2)) return
  const namespace = readable(session)
  if (!namespace) return
  const entry = namespace.find(args.bytes, args.starts[1] as number, args.ends[1] as number)
  if (entry < 0) return writer.nil()
  const { log } = namespace
  if (log.isUnacknowledged(entry)) session.holdFor(log)
  const { segment, offset } = log.placeOf(entry)
  writer.integer(log.records.headerAt(segment, offset).serial)
}

/** Brings the tree up to what is written and durable, then answers. */
function withTree(session: Session, answer: (tree: RecordTree) => void): Promise<void> | Replied {
  const namespace = readable(session)
  if (!namespace) return
  const { tree, log } = namespace
  if (!tree) throw namespace.treeFailure ?? new NodeError('LOG_NOT_PROVABLE', namespace.name)
  log.flush()
  return tree.settle().then(() => answer(tree))
}
