/** How the name of a command finds the command. */
import type { Command } from './command.ts'
import type { CommandParser } from './command-parser.ts'

const NAME_BYTES_MAX = 32

/** Commands by name. */
export class CommandTable {
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
