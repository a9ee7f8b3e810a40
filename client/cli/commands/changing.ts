/** Options of every command that changes the ledger. */
import { type Command, Option } from 'commander'

/**
 * Adds them.
 *
 * @param command - A command that sends transactions.
 */
export function changing(command: Command): Command {
  const until = new Option('--until <stage>', 'wait until it is mined, or final')
  return command
    .addOption(until.choices(['mined', 'final']).default('final'))
    .option('-y, --yes', 'do not ask')
}
