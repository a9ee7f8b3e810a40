/**
 * `varve`, the command line of tenants, farmers and voters. Results go to standard output, everything else to standard
 * error; the exit code says what kind of end it was.
 */
import { readFileSync } from 'node:fs'
import { type Command, CommanderError } from 'commander'
import { isError } from 'ethers'
import { AssertionError } from '../../agent/base/assert.ts'
import { describeError, NodeError } from '../../agent/base/errors.ts'
import { SEAL_ERRORS, type SealErrorCode } from '../../agent/base/sealing.ts'
import { CLIENT_ERRORS, type ClientErrorCode } from '../sdk/index.ts'
import { CLI_ERRORS, type CliErrorCode, EXIT, exitCodeOf } from './errors.ts'
import { varveProgram } from './program.ts'

const HINTS = { ...CLIENT_ERRORS, ...CLI_ERRORS, ...SEAL_ERRORS }
const manifest = new URL('../../package.json', import.meta.url)
const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }

// Whoever reads may have seen enough, as `head` does.
process.stdout.on('error', () => process.exit())
process.exitCode = await run(varveProgram(version), process.argv)

async function run(program: Command, argv: readonly string[]): Promise<number> {
  exitsByThrowing(program)
  try {
    await program.parseAsync(argv)
    return EXIT.done
  } catch (caught) {
    return report(caught, argv.includes('--json'))
  }
}

/** Commander exits by itself unless told; its subcommands are told one by one. */
function exitsByThrowing(command: Command): void {
  command.exitOverride()
  for (const one of command.commands) exitsByThrowing(one)
}

/** Says what went wrong: for people a line, a cause and a hint; for programs one JSON document on standard error. */
function report(caught: unknown, isJson: boolean): number {
  // Commander has said it already.
  if (caught instanceof CommanderError) return caught.exitCode === 0 ? EXIT.done : EXIT.usage
  if (caught instanceof AssertionError || !(caught instanceof NodeError)) {
    process.stderr.write(`varve: a bug: ${caught instanceof Error ? caught.stack : caught}\n`)
    return EXIT.bug
  }
  const known = HINTS[caught.code as CliErrorCode | ClientErrorCode | SealErrorCode]
  const hint = caught.hint ?? known?.hint
  if (isJson) {
    const error = { code: caught.code, message: caught.message, hint, details: caught.details }
    const text = JSON.stringify({ error }, (_, one) =>
      typeof one === 'bigint' ? String(one) : one,
    )
    process.stderr.write(`${text}\n`)
  } else {
    process.stderr.write(`varve: ${sayOf(caught)}\n`)
    if (hint !== undefined) process.stderr.write(`  hint: ${hint}\n`)
  }
  return exitCodeOf(caught.code)
}

/** The chain of causes, but not ethers' own texts: they are pages long and say nothing more. */
function sayOf(failure: NodeError): string {
  const { cause } = failure
  const isEthers =
    cause instanceof Error && 'code' in cause && isError(cause, String(cause.code) as 'TIMEOUT')
  return isEthers ? `${failure.code}: ${failure.message}` : describeError(failure)
}
