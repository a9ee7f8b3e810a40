/** `varve nodes`, `varve farms` and `varve farm ...`: who offers space, and what a farmer does. */
import { type Command, Option } from 'commander'
import { formatEther } from 'ethers'
import { formatBytes } from '../../../agent/base/units.ts'
import { formatTokens, type GridFarm, type GridNode } from '../../sdk/index.ts'
import { type ChangeOptions, contextOf } from '../context.ts'
import { duration, moment, table } from '../output.ts'
import {
  accountArgument,
  amountArgument,
  coinsArgument,
  registryNumberArgument,
  sizeArgument,
} from '../parse.ts'
import { changing } from './changing.ts'

/** Coins that a node gets along for its first transactions: its registration and some thousand heartbeats. */
const GAS_ETHER = '1'

/** Adds the commands. */
export function addRegistryCommands(program: Command): void {
  program
    .command('nodes')
    .description('list the nodes, what they offer, and whether they live')
    .addHelpText(
      'after',
      '\nExamples:\n  $ varve nodes\n  $ varve nodes --json | jq ".[] | select(.isAlive)"',
    )
    .action(async (_, command: Command) => {
      const context = contextOf(command)
      const nodes = await context.reading((grid) => grid.nodes())
      context.print(nodeTable(nodes), nodes)
    })
  program
    .command('farms')
    .description('list the farms')
    .addHelpText('after', '\nExample:\n  $ varve farms')
    .action(async (_, command: Command) => {
      const context = contextOf(command)
      const farms = await context.reading((grid) => grid.farms())
      context.print(farmTable(farms), farms)
    })
  const farm = program.command('farm').description('make a farm, sponsor its nodes, drain them')
  addCreate(farm)
  addSponsor(farm)
  addDrain(farm)
}

function nodeTable(nodes: readonly GridNode[]): string {
  return table<GridNode>(
    [
      { title: 'NODE', of: ({ id }) => String(id), isRight: true },
      { title: 'FARM', of: ({ farm }) => String(farm), isRight: true },
      {
        title: 'STATE',
        of: ({ state, isAlive }) => (state === 'active' && !isAlive ? 'silent' : state),
      },
      { title: 'FREE', of: ({ freeBytes }) => formatBytes(freeBytes), isRight: true },
      { title: 'CAPACITY', of: ({ capacityBytes }) => formatBytes(capacityBytes), isRight: true },
      {
        title: 'GIB-DAY',
        of: (node) => formatTokens(node.pricePerGibSecond * 86_400n),
        isRight: true,
      },
      { title: 'LAST SEEN', of: ({ lastHeartbeat }) => moment(lastHeartbeat) },
      { title: 'ALIVE', of: ({ aliveSeconds }) => duration(aliveSeconds), isRight: true },
      { title: 'ACCOUNT', of: ({ account }) => account },
    ],
    nodes,
  )
}

function farmTable(farms: readonly GridFarm[]): string {
  return table<GridFarm>(
    [
      { title: 'FARM', of: ({ id }) => String(id), isRight: true },
      { title: 'NAME', of: ({ name }) => name },
      { title: 'OWNER', of: ({ owner }) => owner },
    ],
    farms,
  )
}

function addCreate(farm: Command): void {
  changing(farm.command('create'))
    .description('make a farm that your account owns')
    .argument('<name>', 'for people, up to 64 characters')
    .addHelpText('after', '\nExample:\n  $ varve farm create "North cellar"')
    .action(async (name: string, _, command: Command) => {
      const context = contextOf<ChangeOptions>(command)
      const made = await context.signing((grid) => grid.createFarm(name, context.follow))
      context.print(`farm ${made.farm}`, { farm: made.farm, hash: made.hash })
    })
}

interface SponsorOptions extends ChangeOptions {
  readonly capacity?: number
  readonly stake?: bigint
  readonly gas: bigint
}

function addSponsor(farm: Command): void {
  changing(farm.command('sponsor'))
    .description('vouch for a node before it registers: pay its stake and its first gas')
    .argument('<farm>', 'number of your farm', registryNumberArgument)
    .argument(
      '<account>',
      'account of the node, as its agent prints at first start',
      accountArgument,
    )
    .option('--capacity <size>', 'space that the node will offer; gives the stake', sizeArgument)
    .option('--stake <tokens>', 'stake, instead of computing it', amountArgument)
    .addOption(
      new Option('--gas <coins>', 'coins to send along for gas')
        .argParser(coinsArgument)
        .default(coinsArgument(GAS_ETHER), GAS_ETHER),
    )
    .addHelpText('after', '\nExample:\n  $ varve farm sponsor 3 0x5FbD...aa3 --capacity 2TiB --yes')
    .action(async (number: number, account: string, _, command: Command) => {
      const context = contextOf<SponsorOptions>(command)
      const { capacity, stake: given, gas: gasWei } = context.options
      if (capacity === undefined && given === undefined)
        command.error('error: give --capacity or --stake')
      await context.signing(async (grid) => {
        const stake = given ?? (await grid.stakeFor(capacity ?? 0))
        await context.terminal.confirm(
          `Stake ${formatTokens(stake)} and send ${formatEther(gasWei)} coins for gas?`,
        )
        const sent = await grid.sponsor({ farm: number, account, stake, gasWei }, context.follow)
        const value = { farm: number, account, stake, gasWei, hash: sent.hash }
        context.print(`farm ${number} sponsors ${account} with ${formatTokens(stake)}`, value)
      })
    })
}

function addDrain(farm: Command): void {
  changing(farm.command('drain'))
    .description('close a node of yours to new orders, or open it again')
    .argument('<node>', 'number of the node', registryNumberArgument)
    .option('--open', 'open it again')
    .addHelpText('after', '\nExamples:\n  $ varve farm drain 12\n  $ varve farm drain 12 --open')
    .action(async (node: number, _, command: Command) => {
      const context = contextOf<ChangeOptions & { open?: boolean }>(command)
      const isDraining = context.options.open !== true
      const sent = await context.signing((grid) =>
        grid.setDraining(node, isDraining, context.follow),
      )
      const said = isDraining ? 'takes no more orders' : 'takes orders again'
      context.print(`node ${node} ${said}`, { node, isDraining, hash: sent.hash })
    })
}
