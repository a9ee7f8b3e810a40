/** `varve keys ...`, balances, deposits, and `varve config`. */
import { Argument, type Command } from 'commander'
import { formatEther, ZeroAddress } from 'ethers'
import { formatTokens } from '../../sdk/index.ts'
import { type ChangeOptions, contextOf } from '../context.ts'
import { makeKeystore, showKeystore } from '../keystore.ts'
import { facts, table } from '../output.ts'
import { accountArgument, amountArgument } from '../parse.ts'
import { SETTINGS, type SettingName, writeSetting } from '../settings.ts'
import { changing } from './changing.ts'

/** Adds the commands. */
export function addAccountCommands(program: Command): void {
  addKeys(program)
  addBalance(program)
  addMoney(
    program,
    'deposit',
    'move tokens into your balance on the grid, which orders are paid from',
  )
  addMoney(program, 'withdraw', 'move tokens out of your balance on the grid')
  addTransfer(program)
  addConfig(program)
}

function addKeys(program: Command): void {
  const keys = program.command('keys').description('make, import or show the key that signs')
  keys
    .command('new')
    .description('draw a key and keep it in an encrypted file')
    .addHelpText(
      'after',
      '\nExamples:\n  $ varve keys new\n  $ varve keys new --keystore ./tenant.json --password-file ./password',
    )
    .action(async (_, command: Command) => {
      const context = contextOf(command)
      const made = await makeKeystore(context.settings, context.environment, context.terminal)
      context.print(`${made.address} in ${made.path}`, made)
    })
  keys
    .command('import')
    .description('keep a bare key in an encrypted file')
    .argument(
      '<file>',
      'file with the key in hexadecimal, readable by you only; delete it afterwards',
    )
    .addHelpText('after', '\nExample:\n  $ varve keys import ./key.hex')
    .action(async (file: string, _, command: Command) => {
      const context = contextOf(command)
      const made = await makeKeystore(context.settings, context.environment, context.terminal, file)
      context.print(`${made.address} in ${made.path}`, made)
    })
  keys
    .command('show')
    .description('show the account of the keystore; needs no password')
    .addHelpText('after', '\nExample:\n  $ varve keys show')
    .action((_, command: Command) => {
      const context = contextOf(command)
      const shown = showKeystore(context.settings)
      context.print(`${shown.address} in ${shown.path}`, shown)
    })
}

function addBalance(program: Command): void {
  program
    .command('balance')
    .description('show what an account has')
    .argument('[account]', 'any account (default: yours)', accountArgument)
    .addHelpText('after', '\nExamples:\n  $ varve balance\n  $ varve balance 0xf39F...2266')
    .action(async (account: string | undefined, _, command: Command) => {
      const context = contextOf(command)
      const whose = account ?? context.ownAccount()
      const balance = await context.reading((grid) => grid.balance(whose))
      const nobody = balance.delegate === ZeroAddress
      const text = facts([
        ['account', balance.account],
        ['tokens', formatTokens(balance.tokens)],
        ['on the grid', `${formatTokens(balance.free)} free`],
        ['gas', `${formatEther(balance.gasWei)} coins`],
        ['votes', formatTokens(balance.votes)],
        ['delegated to', nobody ? 'nobody: its tokens do not vote' : balance.delegate],
      ])
      context.print(text, balance)
    })
}

function addMoney(program: Command, name: 'deposit' | 'withdraw', description: string): void {
  changing(program.command(name))
    .description(description)
    .argument('<tokens>', 'how many, such as 12.5', amountArgument)
    .addHelpText('after', `\nExample:\n  $ varve ${name} 12.5`)
    .action(async (amount: bigint, _, command: Command) => {
      const context = contextOf<ChangeOptions>(command)
      await context.signing(async (grid) => {
        const { hash } = await grid[name](amount, context.follow)
        const { free } = await grid.balance()
        context.print(`${formatTokens(free)} free on the grid`, { amount, free, hash })
      })
    })
}

function addTransfer(program: Command): void {
  changing(program.command('transfer'))
    .description('give tokens to another account')
    .argument('<account>', 'who gets them', accountArgument)
    .argument('<tokens>', 'how many', amountArgument)
    .addHelpText('after', '\nExample:\n  $ varve transfer 0xf39F...2266 100')
    .action(async (to: string, amount: bigint, _, command: Command) => {
      const context = contextOf<ChangeOptions>(command)
      await context.signing(async (grid) => {
        await context.terminal.confirm(`Give ${formatTokens(amount)} to ${to}?`)
        const { hash } = await grid.transfer(to, amount, context.follow)
        context.print(`${to} got ${formatTokens(amount)}`, { to, amount, hash })
      })
    })
}

function addConfig(program: Command): void {
  const config = program
    .command('config')
    .description('show the settings in force, and where each comes from')
    .addHelpText(
      'after',
      '\nExamples:\n  $ varve config\n  $ varve config set ledger http://127.0.0.1:8545',
    )
    .action((_, command: Command) => {
      const { settings, print } = contextOf(command)
      const rows = SETTINGS.map((name) => ({ name, ...settings.values[name] }))
      const text = table<(typeof rows)[number]>(
        [
          { title: 'SETTING', of: ({ name }) => name },
          { title: 'VALUE', of: ({ value }) => value ?? '-' },
          { title: 'FROM', of: ({ from }) => from ?? 'nowhere' },
        ],
        rows,
      )
      print(text, { configFile: settings.configFile, settings: settings.values })
    })
  config
    .command('set')
    .description('write a setting to the configuration file; without a value, remove it')
    .addArgument(new Argument('<setting>', 'which').choices(SETTINGS))
    .argument('[value]', 'its value')
    .addHelpText('after', '\nExample:\n  $ varve config set grid 0x5FbD...aa3')
    .action((name: SettingName, value: string | undefined, _, command: Command) => {
      const { settings, print } = contextOf(command)
      writeSetting(settings.configFile, name, value)
      const done = value === undefined ? 'removed from' : 'written to'
      print(`${name} is ${done} ${settings.configFile}`, {
        name,
        value,
        file: settings.configFile,
      })
    })
}
