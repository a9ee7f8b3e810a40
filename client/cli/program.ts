/** The whole command line of `varve`, without running it: what `main.ts` runs and what tests look at. */
import { Command } from 'commander'
import { EXIT_HELP } from '../../agent/base/exit-codes.ts'
import { addAccountCommands } from './commands/account.ts'
import { addAuditCommands } from './commands/audits.ts'
import { addOrderCommands } from './commands/orders.ts'
import { addRegistryCommands } from './commands/registry.ts'
import { addVoteCommands } from './commands/votes.ts'
import { settingArgument } from './settings.ts'

const AFTER = `
Examples:
  $ varve config set ledger http://127.0.0.1:8545
  $ varve config set grid 0x5FbDB2315678afecb367f032d93F642f64180aa3
  $ varve keys new
  $ varve order volume --size 100GiB --time 30d
  $ varve order mount --volume 1 --node 9 --name geth/ancient --time 30d
  $ varve status 2

Environment: VARVE_LEDGER, VARVE_GRID, VARVE_KEYSTORE, VARVE_PASSWORD_FILE, VARVE_CONFIG; for machines without a
keystore VARVE_PRIVATE_KEY, and VARVE_PASSWORD to open one. Options win over the environment, it over the file.

${EXIT_HELP}`

/**
 * Builds the command line.
 *
 * @param version - Shown by `--version`.
 */
export function varveProgram(version: string): Command {
  const program = new Command('varve')
    .description('Orders, farms and votes on a grid that keeps blockchain history off the node.')
    .version(version)
    .option('--ledger <url>', 'RPC of the ledger', settingArgument('ledger'))
    .option('--grid <address>', 'address of the grid on it', settingArgument('grid'))
    .option('--keystore <file>', 'encrypted key that signs', settingArgument('keystore'))
    .option(
      '--password-file <file>',
      'file with its password, readable by you only',
      settingArgument('passwordFile'),
    )
    .option('--config <file>', 'configuration file (default: ~/.config/varve/config.json)')
    .option('--json', 'print one JSON document and nothing else, failures too; ask nothing')
    .option('-q, --quiet', 'no lines about what is going on')
    .addHelpText('after', AFTER)
    .showHelpAfterError('(add --help for help)')
  addRegistryCommands(program)
  addAuditCommands(program)
  addOrderCommands(program)
  addVoteCommands(program)
  addAccountCommands(program)
  return program
}
