/** The table of all commands, and how a name finds its command. */
import type { Command, Replied } from './command.ts'
import type { CommandParser } from './command-parser.ts'
import { DATA_COMMANDS } from './commands-data.ts'
import { NAMESPACE_COMMANDS } from './commands-namespace.ts'
import { PROOF_COMMANDS } from './commands-proof.ts'
import { REPLICATION_COMMANDS } from './commands-replication.ts'
import { SCAN_COMMANDS } from './commands-scan.ts'
import { serverCommands } from './commands-server.ts'
import { SYSTEM_COMMANDS } from './commands-system.ts'
import { VERSION_COMMANDS } from './commands-versions.ts'
import type { Session } from './session.ts'

const NAME_BYTES_MAX = 32

class CommandTable {
  readonly #byName = new Map<string, Command>()
  /** Three-letter names by their packed letters: GET and SET are found without making a string. */
  readonly #byLetters = new Map<number, Command>()

  constructor(commands: readonly Command[]) {
    for (const command of commands) {
      this.#byName.set(command.name, command)
      if (command.name.length === 3) {
        const [a = 0, b = 0, c = 0] = Buffer.from(command.name)
        this.#byLetters.set((a << 16) | (b << 8) | c, command)
      }
    }
  }

  get all(): readonly Command[] {
    return [...this.#byName.values()]
  }

  named(name: string): Command | undefined {
    return this.#byName.get(name)
  }

  find(args: CommandParser): Command | undefined {
    const start = args.starts[0] as number
    const length = (args.ends[0] as number) - start
    if (length === 3) {
      const { bytes } = args
      const a = (bytes[start] as number) & 0xdf
      const b = (bytes[start + 1] as number) & 0xdf
      const c = (bytes[start + 2] as number) & 0xdf
      return this.#byLetters.get((a << 16) | (b << 8) | c)
    }
    return length <= NAME_BYTES_MAX ? this.#byName.get(args.word(0)) : undefined
  }
}

/** COMMAND [COUNT | DOCS | INFO name ... | LIST]. */
function describeCommands(session: Session, args: CommandParser): Replied {
  const { writer } = session
  const what = args.count > 1 ? args.word(1) : 'ALL'
  if (what === 'COUNT') return writer.integer(COMMANDS.all.length)
  if (what === 'DOCS') return writer.map(0)
  if (what === 'LIST') {
    writer.array(COMMANDS.all.length)
    for (const command of COMMANDS.all) writer.text(command.name.toLowerCase())
    return
  }
  if (what !== 'ALL' && what !== 'INFO') return writer.error('Unknown COMMAND subcommand')
  const asked: (Command | undefined)[] =
    what === 'INFO' && args.count > 2
      ? Array.from({ length: args.count - 2 }, (_, at) => COMMANDS.named(args.word(at + 2)))
      : [...COMMANDS.all]
  writer.array(asked.length)
  for (const command of asked) describeCommand(session, command)
}

function describeCommand(session: Session, command: Command | undefined): Replied {
  const { writer } = session
  if (!command) return writer.nil()
  const hasKey = command.flags.includes('write') || command.flags.includes('readonly')
  const firstKey = hasKey && Math.abs(command.arity) > 1 ? 1 : 0
  writer.array(6)
  writer.text(command.name.toLowerCase())
  writer.integer(command.arity)
  writer.array(command.flags.length)
  for (const flag of command.flags) writer.status(flag)
  writer.integer(firstKey)
  writer.integer(firstKey)
  writer.integer(firstKey)
}

/** All commands. */
export const COMMANDS: CommandTable = new CommandTable([
  ...DATA_COMMANDS,
  ...SCAN_COMMANDS,
  ...VERSION_COMMANDS,
  ...PROOF_COMMANDS,
  ...NAMESPACE_COMMANDS,
  ...SYSTEM_COMMANDS,
  ...REPLICATION_COMMANDS,
  ...serverCommands((name) => COMMANDS.named(name) !== undefined),
  { name: 'COMMAND', arity: -1, flags: ['fast'], run: describeCommands },
])
