/** CLIENT and its subcommands, in the shapes of redis 7: who is connected, under what name, and in which dialect. */
import { type Command, isAdmin, type Replied } from './command.ts'
import type { CommandParser } from './command-parser.ts'
import { DIALECT_RULES } from './dialect.ts'
import { isPlainWord, plainWord } from './plain-text.ts'
import type { Session } from './session.ts'

/** Longer names are no names; redis has no limit, and CLIENT LIST would hold them all. */
const CLIENT_NAME_BYTES_MAX = 128

/** The commands of this file. */
export const CLIENT_COMMANDS: readonly Command[] = [
  { name: 'CLIENT', arity: -2, flags: ['fast'], run: client },
]

/**
 * Says what is wrong with a name that a client gives itself.
 *
 * @param name - Bytes as latin1.
 * @returns Words that refuse; undefined where the name is good.
 */
export function badClientName(name: string): string | undefined {
  if (name.length > CLIENT_NAME_BYTES_MAX) {
    return `ERR Client names cannot be longer than ${CLIENT_NAME_BYTES_MAX} bytes.`
  }
  if (isPlainWord(name)) return undefined
  return 'ERR Client names cannot contain spaces, newlines or special characters.'
}

function client(session: Session, args: CommandParser): Replied {
  const { writer } = session
  if (args.count < 2) return writer.error('Missing arguments')
  switch (args.word(1)) {
    case 'ID':
      return writer.integer(session.id)
    case 'SETNAME':
      return setName(session, args)
    case 'GETNAME':
      return session.clientName === '' ? writer.nil() : writer.text(session.clientName)
    case 'DIALECT':
      return setDialect(session, args)
    case 'SETINFO':
    case 'NO-EVICT':
    case 'NO-TOUCH':
      return writer.status('OK')
    case 'INFO':
      return writer.text(`${describeClient(session)}\n`)
    case 'LIST':
      if (!isAdmin(session)) return
      return writer.text(`${[...session.server.sessions].map(describeClient).join('\n')}\n`)
    default:
      return writer.error('Unknown CLIENT subcommand')
  }
}

function setName(session: Session, args: CommandParser): Replied {
  if (args.count !== 3) return session.writer.error('Unexpected arguments')
  const name = args.text(2)
  const problem = badClientName(name)
  if (problem !== undefined) return session.writer.error(problem)
  session.clientName = name
  session.writer.status('OK')
}

/** CLIENT DIALECT [auto|redis|0-db]: says or sets in which words this connection is answered. */
function setDialect(session: Session, args: CommandParser): Replied {
  if (args.count === 2) return session.writer.text(session.dialect)
  const rule = DIALECT_RULES.find((one) => one === args.text(2).toLowerCase())
  if (args.count !== 3 || rule === undefined) {
    return session.writer.error(`Invalid argument (expected: ${DIALECT_RULES.join(', ')})`)
  }
  session.sayDialect(rule)
  session.writer.status('OK')
}

/** One line as redis 7 has it; `namespace` is ours, because `db` is a number there. */
function describeClient(session: Session): string {
  const { id, host, clientName, namespace, lastCommand, commands, server } = session
  const seconds = (sinceMs: number) => Math.floor((server.store.ports.clock.now() - sinceMs) / 1000)
  const facts: Record<string, string | number> = {
    id,
    addr: plainWord(host.peerName),
    name: clientName,
    age: seconds(session.connectedMs),
    idle: 0,
    flags: session.stream ? 'S' : 'N',
    db: 0,
    namespace: plainWord(namespace?.name ?? ''),
    dialect: session.dialect,
    sub: 0,
    psub: 0,
    ssub: 0,
    multi: -1,
    qbuf: session.incompleteBytes,
    'qbuf-free': 0,
    obl: 0,
    oll: 0,
    omem: session.backlogBytes,
    events: 'r',
    cmd: lastCommand === '' ? 'NULL' : lastCommand.toLowerCase(),
    'tot-cmds': commands,
    user: session.principal.kind,
    redir: -1,
    resp: session.writer.protocol,
  }
  return Object.entries(facts)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}
