/** The table of all commands, and how a name finds its command. */
import type { Command, Replied } from './command.ts'
import type { CommandParser } from './command-parser.ts'
import { CommandTable } from './command-table.ts'
import { CLIENT_COMMANDS } from './commands-client.ts'
import { DATA_COMMANDS } from './commands-data.ts'
import { NAMESPACE_COMMANDS } from './commands-namespace.ts'
import { PROOF_COMMANDS } from './commands-proof.ts'
import { REDIS_COMMANDS, SETNX } from './commands-redis.ts'
import { REPLICATION_COMMANDS } from './commands-replication.ts'
import { SCAN_COMMANDS } from './commands-scan.ts'
import { serverCommands } from './commands-server.ts'
import { SYSTEM_COMMANDS } from './commands-system.ts'
import { VERSION_COMMANDS } from './commands-versions.ts'
import type { Dialect } from './dialect.ts'
import type { Session } from './session.ts'

/** COMMAND [COUNT | DOCS | INFO name ... | LIST], in the shapes of redis 7. */
function describeCommands(session: Session, args: CommandParser): Replied {
  const { writer } = session
  const table = COMMANDS[session.dialect]
  const what = args.count > 1 ? args.word(1) : 'ALL'
  if (what === 'COUNT') return writer.integer(table.all.length)
  if (what === 'DOCS') return writer.map(0)
  if (what === 'LIST') {
    writer.array(table.all.length)
    for (const command of table.all) writer.text(command.name.toLowerCase())
    return
  }
  if (what !== 'ALL' && what !== 'INFO') return writer.error('Unknown COMMAND subcommand')
  const asked: (Command | undefined)[] =
    what === 'INFO' && args.count > 2
      ? Array.from({ length: args.count - 2 }, (_, at) => table.named(args.word(at + 2)))
      : [...table.all]
  writer.array(asked.length)
  for (const command of asked) describeCommand(session, command)
}

/** Ten entries: name, arity, flags, three on keys, ACL categories, and three that nothing here has. */
function describeCommand(session: Session, command: Command | undefined): Replied {
  const { writer } = session
  if (!command) return writer.nil()
  const [first, last, step] = command.keys ?? [0, 0, 0]
  writer.array(10)
  writer.text(command.name.toLowerCase())
  writer.integer(command.arity)
  writer.set(command.flags.length)
  for (const flag of command.flags) writer.status(flag)
  writer.integer(first)
  writer.integer(last)
  writer.integer(step)
  writer.set(command.flags.length)
  for (const flag of command.flags) writer.status(`@${flag === 'readonly' ? 'read' : flag}`)
  for (const _nothing of ['tips', 'key specifications', 'subcommands']) writer.array(0)
}

const SHARED: readonly Command[] = [
  ...DATA_COMMANDS,
  ...SCAN_COMMANDS,
  SETNX,
  ...VERSION_COMMANDS,
  ...PROOF_COMMANDS,
  ...NAMESPACE_COMMANDS,
  ...SYSTEM_COMMANDS,
  ...CLIENT_COMMANDS,
  ...REPLICATION_COMMANDS,
  ...serverCommands((name) => COMMANDS['0-db'].named(name) !== undefined),
  { name: 'COMMAND', arity: -1, flags: ['fast'], run: describeCommands },
]

/** All commands, by dialect: in redis' some have other semantics, and some are added. */
export const COMMANDS: Readonly<Record<Dialect, CommandTable>> = {
  '0-db': new CommandTable(SHARED),
  redis: new CommandTable([...SHARED, ...REDIS_COMMANDS]),
}
