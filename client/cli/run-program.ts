/**
 * Runs a command line of `varve` and says how it ended: for people in lines, for programs (`--json`) as one JSON document, on
 * standard output if it succeeded and else on standard error.
 */
import { type Command, CommanderError } from 'commander'
import { isError } from 'ethers'
import {
  OUTPUT_ERRORS,
  printRemark,
  printResult,
} from '../../agent/adapters/process/standard-streams.ts'
import { AssertionError } from '../../agent/base/assert.ts'
import { codeOf, describeError, type ErrorDescription, NodeError } from '../../agent/base/errors.ts'
import { EXIT, exitCodeOf } from '../../agent/base/exit-codes.ts'
import { LEDGER_KEY_ERRORS } from '../../agent/base/ledger-key.ts'
import { SEAL_ERRORS } from '../../agent/base/sealing.ts'
import { CLIENT_ERRORS } from '../sdk/index.ts'
import { CLI_ERRORS } from './errors.ts'
import { json } from './output.ts'
import { varveProgram } from './program.ts'

/** What to do about each failure that a command can end with, by its code; the contracts' carry their own hints. */
export const CLI_HINTS: Readonly<Record<string, ErrorDescription>> = {
  ...LEDGER_KEY_ERRORS,
  ...SEAL_ERRORS,
  ...OUTPUT_ERRORS,
  ...CLIENT_ERRORS,
  ...CLI_ERRORS,
}

/**
 * Runs a command line.
 *
 * @param version - What `--version` shows.
 * @param argv - As the process got it.
 * @param streams - Where the failure of a command, help and the version go.
 * @returns The exit code.
 */
export async function runProgram(
  version: string,
  argv: readonly string[],
  streams: Streams = { printResult, printRemark },
): Promise<number> {
  const isJson = isJsonWanted(argv)
  const program = varveProgram(version)
  let shown = ''
  prepare(program, {
    writeOut: (text) => {
      if (isJson) shown += text
      else streams.printResult(text)
    },
    // A program gets the failure as a document, below.
    writeErr: (text) => {
      if (!isJson) streams.printRemark(text)
    },
  })
  try {
    await program.parseAsync(argv)
    return Number(process.exitCode ?? EXIT.done)
  } catch (caught) {
    try {
      return report(caught, { isJson, shown, streams })
    } catch (unwritten) {
      return report(unwritten, { isJson, shown: '', streams })
    }
  }
}

/** Where things are printed. */
export interface Streams {
  /** @throws NodeError `OUTPUT_LOST`. */
  printResult(text: string): void
  printRemark(text: string): void
}

/** How to report, and what commander showed so far. */
interface Reporting {
  readonly isJson: boolean
  readonly shown: string
  readonly streams: Streams
}

/** Options end at `--`. */
function isJsonWanted(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return argv.slice(0, end === -1 ? argv.length : end).includes('--json')
}

/** Commander exits and prints by itself unless told otherwise; its subcommands are told one by one. */
function prepare(
  command: Command,
  output: { writeOut(text: string): void; writeErr(text: string): void },
): void {
  command.exitOverride().configureOutput(output)
  for (const one of command.commands) prepare(one, output)
}

/** @returns The exit code. @throws NodeError `OUTPUT_LOST`. */
function report(caught: unknown, how: Reporting): number {
  if (caught instanceof CommanderError) return reportUsage(caught, how)
  const { isJson, streams } = how
  const failure = failureOf(caught)
  if (failure === undefined) {
    const said = caught instanceof Error ? String(caught.stack) : String(caught)
    const error = { code: 'BUG', message: said, hint: 'Report it with the command you ran.' }
    streams.printRemark(isJson ? `${json({ error })}\n` : `varve: a bug: ${said}\n`)
    return EXIT.bug
  }
  const hint = failure.hint ?? CLI_HINTS[failure.code]?.hint
  if (isJson) {
    const { code, message, details } = failure
    streams.printRemark(`${json({ error: { code, message, hint, details } })}\n`)
  } else {
    streams.printRemark(
      `varve: ${sayOf(failure)}\n${hint === undefined ? '' : `  hint: ${hint}\n`}`,
    )
  }
  return exitCodeOf(failure.code)
}

/** What commander found: wrong usage, or that help or the version were asked for. People have been told already. */
function reportUsage(caught: CommanderError, { isJson, shown, streams }: Reporting): number {
  const isAsked = caught.exitCode === 0
  if (isJson && isAsked) {
    const name = caught.code === 'commander.version' ? 'version' : 'help'
    streams.printResult(`${json({ [name]: shown.trimEnd() })}\n`)
  } else if (isJson) {
    const isIncomplete = caught.code === 'commander.help'
    const message = isIncomplete ? 'a subcommand is missing' : caught.message
    const error = { code: 'USAGE_INVALID', message, hint: CLI_ERRORS.USAGE_INVALID.hint }
    streams.printRemark(`${json({ error })}\n`)
  }
  return isAsked ? EXIT.done : EXIT.usage
}

/** A failure with a code; undefined for a bug. */
function failureOf(caught: unknown): NodeError | undefined {
  if (caught instanceof NodeError) return caught
  if (caught instanceof AssertionError || !(caught instanceof Error)) return undefined
  // Files of people may be gone, closed to them, or on a full disk.
  const isSystem = 'syscall' in caught && /^E[A-Z0-9]+$/.test(codeOf(caught) ?? '')
  return isSystem ? new NodeError('SYSTEM_REFUSED', caught.message, { cause: caught }) : undefined
}

/** The chain of causes, but not ethers' own texts, which are pages long, nor a cause that the message quotes. */
function sayOf(failure: NodeError): string {
  const { cause, code, message } = failure
  const isEthers =
    cause instanceof Error && 'code' in cause && isError(cause, String(cause.code) as 'TIMEOUT')
  const isQuoted = code === 'OUTPUT_LOST' || code === 'SYSTEM_REFUSED'
  return isEthers || isQuoted ? `${code}: ${message}` : describeError(failure)
}
