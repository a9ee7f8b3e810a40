/**
 * Tools for files of history: `npx node scripts/history/main.ts verify DIR`, `... export --url URL --from N --to N DIR`.
 *
 * Exit codes: 0 all is well, 1 a file is bad or the export failed, 2 wrong usage.
 */
import { Command, InvalidArgumentError } from 'commander'
import { codeOf, describeError } from '../../agent/base/errors.ts'
import { formatBytes } from '../../agent/base/units.ts'
import { HISTORY_ERRORS, type HistoryErrorCode } from './errors.ts'
import { exportLedger } from './export-ledger.ts'
import { type VerifiedFile, verifyHistory } from './verify-history.ts'

const program = new Command('history').description('Checks and exports files of chain history.')

program
  .command('verify')
  .description('check every file of a directory: official checksums, blocks, roots, index, name')
  .argument('<directory>', 'holds *.era1, *.e2s and checksums*.txt')
  .option('--json', 'say what was found as JSON')
  .addHelpText('after', '\nExample:\n  $ npx node scripts/history/main.ts verify /var/lib/era1')
  .action((directory: string, options: { json?: boolean }) =>
    reporting(async () => {
      const found = await verifyHistory(directory, options.json ? undefined : printFile)
      if (options.json) process.stdout.write(`${JSON.stringify(found)}\n`)
      else process.stdout.write(`${found.official} official, ${found.bad} bad\n`)
      if (found.bad > 0) process.exitCode = 1
    }),
  )

program
  .command('export')
  .description('write blocks of a ledger to a file in e2store framing')
  .argument('<file>', 'file to write, or a directory in which it gets its proper name')
  .requiredOption('--url <url>', 'RPC of the ledger')
  .requiredOption('--from <block>', 'first block', wholeNumber)
  .requiredOption('--to <block>', 'last block', wholeNumber)
  .addHelpText(
    'after',
    '\nExample:\n  $ npx node scripts/history/main.ts export --url http://127.0.0.1:8545 --from 0 --to 999 .',
  )
  .action((file: string, { url, from, to }: { url: string; from: number; to: number }) =>
    reporting(async () => {
      const { path, blocks, transactions, sizeBytes } = await exportLedger({ url, from, to, file })
      process.stdout.write(
        `${path}: ${blocks} blocks, ${transactions} transactions, ${formatBytes(sizeBytes)}\n`,
      )
    }),
  )

await program.exitOverride((stop) => process.exit(stop.exitCode === 0 ? 0 : 2)).parseAsync()

async function reporting(task: () => Promise<void>): Promise<void> {
  try {
    await task()
  } catch (caught) {
    process.stderr.write(`history: ${describeError(caught)}\n`)
    const known = HISTORY_ERRORS[(codeOf(caught) ?? '') as HistoryErrorCode]
    if (known !== undefined) process.stderr.write(`  hint: ${known.hint}\n`)
    process.exitCode = 1
  }
}

function printFile(file: VerifiedFile): void {
  const blocks = file.blocks && `blocks ${file.blocks.firstBlock} to ${file.blocks.lastBlock}`
  const facts = [formatBytes(file.sizeBytes), blocks, file.official, file.problem]
  process.stdout.write(`${file.name}: ${facts.filter((fact) => fact !== undefined).join(', ')}\n`)
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('a whole number')
  return value
}
