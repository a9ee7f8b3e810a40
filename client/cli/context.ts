/** What a command is run with: options, settings, terminal, and a grid that is let go of afterwards. */
import type { Command } from 'commander'
import { printResult } from '../../agent/adapters/process/standard-streams.ts'
import { type FollowOptions, Grid } from '../sdk/index.ts'
import { openWallet, ownAccount } from './keystore.ts'
import { json } from './output.ts'
import { type GlobalOptions, requiredSetting, resolveSettings, type Settings } from './settings.ts'
import { type Terminal, terminal } from './terminal.ts'

/** Options of commands that change the ledger. */
export interface ChangeOptions {
  readonly until?: 'mined' | 'final'
  readonly yes?: boolean
}

/** See the file's comment. */
export interface Context<Options> {
  readonly options: Options & GlobalOptions
  readonly settings: Settings
  readonly environment: NodeJS.ProcessEnv
  readonly terminal: Terminal
  /** How to follow transactions. */
  readonly follow: FollowOptions
  /** Runs with a grid that only reads. */
  reading<T>(task: (grid: Grid) => Promise<T>): Promise<T>
  /** Runs with a grid whose account can sign. */
  signing<T>(task: (grid: Grid) => Promise<T>): Promise<T>
  /** The account whose key would sign, for commands that only read: needs no password. @throws NodeError `SIGNER_MISSING`. */
  ownAccount(): string
  /** Prints the result: the text for people, or the value as JSON. */
  print(text: string, value: unknown): void
}

/**
 * Makes the context of a command that is about to run.
 *
 * @param command - The command, as commander parsed it.
 */
export function contextOf<Options extends ChangeOptions>(command: Command): Context<Options> {
  const options = command.optsWithGlobals<Options & GlobalOptions>()
  const environment = process.env
  const settings = resolveSettings(options, environment)
  const talk = terminal({
    isQuiet: options.quiet ?? options.json ?? false,
    isYes: options.yes ?? false,
    isAsking: !options.json,
  })
  const within = async <T>(isSigning: boolean, task: (grid: Grid) => Promise<T>): Promise<T> => {
    const url = requiredSetting(settings, 'ledger')
    const address = requiredSetting(settings, 'grid')
    const signer = isSigning ? await openWallet(settings, environment, talk) : undefined
    const grid = await talk.during(
      `asking the ledger at ${url}`,
      Grid.connect({ url, address, signer }),
    )
    try {
      return await task(grid)
    } finally {
      grid.close()
    }
  }
  return {
    ...{ options, settings, environment, terminal: talk },
    follow: { until: options.until ?? 'final', onProgress: talk.onProgress },
    reading: (task) => within(false, task),
    signing: (task) => within(true, task),
    ownAccount: () => ownAccount(settings, environment),
    print: (text, value) => {
      printResult(`${options.json ? json(value) : text}\n`)
    },
  }
}
