/** `varve order ...` and what happens to orders afterwards. */
import { type Command, Option } from 'commander'
import { EXIT } from '../../../agent/base/exit-codes.ts'
import { formatBytes } from '../../../agent/base/units.ts'
import {
  formatTokens,
  type Grid,
  type OrderStatus,
  type Quote,
  type Spec,
} from '../../sdk/index.ts'
import { type AgentView, readAgentView } from '../agent-status.ts'
import { type ChangeOptions, type Context, contextOf } from '../context.ts'
import { duration, facts, moment, table } from '../output.ts'
import {
  accountArgument,
  countArgument,
  durationArgument,
  listOf,
  numberArgument,
  registryNumberArgument,
  shardsArgument,
  sizeArgument,
  slotArgument,
} from '../parse.ts'
import { changing } from './changing.ts'

interface OrderOptions extends ChangeOptions {
  readonly time: number
  readonly dryRun?: boolean
}

interface StoreOptions extends OrderOptions {
  readonly size: number
  readonly node?: number
  readonly mode: 'user' | 'seq'
  readonly worm?: boolean
  readonly writers?: string[]
  readonly readers?: string[]
}

interface VolumeOptions extends OrderOptions {
  readonly size: number
  readonly shards: { readonly dataShards: number; readonly parityShards: number }
  readonly meta?: number
  readonly fewMetadata?: boolean
  readonly sameFarm?: boolean
  readonly avoid?: number[]
}

interface MountOptions extends OrderOptions {
  readonly volume: number
  readonly node: number
  readonly name: string
  readonly readOnly?: boolean
  readonly cache?: number
}

/** Adds the commands. */
export function addOrderCommands(program: Command): void {
  const order = program.command('order').description('order a store, a volume, or a mount')
  addStore(order)
  addVolume(order)
  addMount(order)
  addOrders(program)
  addStatus(program)
  addExtend(program)
  addCancel(program)
  addSettle(program)
  addReplace(program)
}

function ordering(command: Command): Command {
  return changing(command)
    .requiredOption('--time <duration>', 'time to pay for now, such as 30d', durationArgument)
    .option('--dry-run', 'say what it would cost, and stop')
}

function addStore(order: Command): void {
  ordering(order.command('store'))
    .description('order one append-only namespace on one node')
    .requiredOption('--size <size>', 'bytes on disk, such as 10GiB', sizeArgument)
    .option('--node <number>', 'node; chosen if left out', registryNumberArgument)
    .addOption(
      new Option('--mode <mode>', 'keys chosen by the writer, or in sequence')
        .choices(['user', 'seq'])
        .default('user'),
    )
    .option('--worm', 'write once: nothing is ever deleted or changed')
    .option(
      '--writers <accounts...>',
      'who reads and writes (default: you)',
      listOf(accountArgument),
    )
    .option('--readers <accounts...>', 'who only reads', listOf(accountArgument))
    .addHelpText(
      'after',
      '\nExamples:\n  $ varve order store --size 10GiB --time 30d\n  $ varve order store --size 1GiB --time 1w --mode seq --worm --node 3 --yes',
    )
    .action(async (_, command: Command) => {
      const context = contextOf<StoreOptions>(command)
      const { size, node, mode, worm, time } = context.options
      const { writers, readers } = context.options
      await placing(context, (grid) =>
        grid.quoteStore({
          ...{ sizeBytes: size, seconds: time, node, mode },
          ...{ worm, writers, readers },
        }),
      )
    })
}

function addVolume(order: Command): void {
  ordering(order.command('volume'))
    .description('order an erasure-coded volume over nodes of distinct farms')
    .requiredOption('--size <size>', 'bytes that you may keep in it, such as 100GiB', sizeArgument)
    .addOption(
      new Option('--shards <k+m>', 'data and parity shards: survives the loss of m')
        .argParser(shardsArgument)
        .default({ dataShards: 4, parityShards: 2 }, '4+2'),
    )
    .option('--meta <number>', 'metadata stores (default: m + 1, at least 3)', countArgument)
    .option('--few-metadata', 'order fewer than 3 metadata stores all the same')
    .option('--same-farm', 'let several slots stand on one farm')
    .option(
      '--avoid <nodes...>',
      'nodes that must not be chosen, such as the one that will mount it',
      listOf(registryNumberArgument),
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ varve order volume --size 100GiB --time 30d\n  $ varve order volume --size 2TiB --shards 16+4 --time 52w --dry-run',
    )
    .action(async (_, command: Command) => {
      const context = contextOf<VolumeOptions>(command)
      const { size, shards, meta, fewMetadata, sameFarm, avoid, time } = context.options
      await placing(context, (grid) =>
        grid.quoteVolume({
          ...{ sizeBytes: size, seconds: time, ...shards },
          ...{
            metaStores: meta,
            fewMetaStoresAllowed: fewMetadata,
            sameFarmAllowed: sameFarm,
            avoid,
          },
        }),
      )
    })
}

function addMount(order: Command): void {
  ordering(order.command('mount'))
    .description('show a volume of yours as a directory of a node')
    .requiredOption('--volume <number>', 'order of the volume', numberArgument)
    .requiredOption('--node <number>', 'node that shows it', registryNumberArgument)
    .requiredOption('--name <path>', 'path below the node’s mount root, such as geth/ancient')
    .option('--read-only', 'only read; any number of nodes may')
    .option('--cache <size>', 'local cache and journal on the node (default: 1GiB)', sizeArgument)
    .addHelpText(
      'after',
      '\nExamples:\n  $ varve order mount --volume 7 --node 9 --name geth/ancient --time 30d\n  $ varve order mount --volume 7 --node 4 --name history --read-only --time 1d --yes',
    )
    .action(async (_, command: Command) => {
      const context = contextOf<MountOptions>(command)
      const { volume, node, name, readOnly, cache, time } = context.options
      await placing(context, (grid) =>
        grid.quoteMount({ volume, node, name, readOnly, seconds: time, sizeBytes: cache }),
      )
    })
}

/** Quote, ask, place, and say what was placed. */
async function placing(
  context: Context<OrderOptions>,
  quoting: (grid: Grid) => Promise<Quote>,
): Promise<void> {
  await context.signing(async (grid) => {
    const { terminal, options, follow } = context
    const quote = await terminal.during('choosing nodes', quoting(grid))
    if (options.dryRun) return context.print(quoteText(quote), quoteValue(quote))
    terminal.note(quoteText(quote))
    await terminal.confirm('Order this?')
    const placed = await grid.place(quote, follow)
    const { hash, blockNumber, gasUsed } = placed.transaction
    const gas = gasUsed + (placed.deposit?.gasUsed ?? 0n)
    context.print(`order ${placed.order}`, {
      ...{ order: placed.order, ...quoteValue(quote), hash, blockNumber },
      ...{ gasUsed: gas, depositHash: placed.deposit?.hash },
    })
  })
}

function quoteValue(quote: Quote) {
  const { kind, slots, volume, seconds, ratePerSecond, price, missing } = quote
  return { kind, volume, slots, seconds, ratePerSecond, price, missing }
}

function quoteText(quote: Quote): string {
  const nodes = quote.slots.map(({ node }) => node).join(', ')
  const bytes = quote.slots.reduce((sum, slot) => sum + slot.sizeBytes, 0)
  return facts([
    ['order', describeSpec(quote.spec)],
    ['nodes', `${nodes} (${formatBytes(bytes)} in all)`],
    ['time', duration(quote.seconds)],
    [
      'price',
      `${formatTokens(quote.price)} (${formatTokens(quote.ratePerSecond * 86_400n)} a day)`,
    ],
    ['deposit', quote.missing > 0n ? `${formatTokens(quote.missing)} before` : 'not needed'],
  ])
}

function describeSpec(spec: Spec | undefined): string {
  if (spec === undefined) return 'of a form that this version cannot read'
  if (spec.kind === 'store') return `store, mode ${spec.mode}${spec.worm ? ', write once' : ''}`
  if (spec.kind === 'mount') return `mount ${spec.name}${spec.readOnly ? ', read-only' : ''}`
  const { dataShards, parityShards, metaStores, sizeBytes } = spec
  return `volume of ${formatBytes(sizeBytes)}, ${dataShards}+${parityShards} shards, ${metaStores} metadata stores`
}

function addOrders(program: Command): void {
  program
    .command('orders')
    .description('list your orders')
    .option('--account <account>', 'list those of another account; needs no key', accountArgument)
    .addHelpText(
      'after',
      '\nExamples:\n  $ varve orders\n  $ varve orders --account 0xf39F...2266 --json',
    )
    .action(async (_, command: Command) => {
      const context = contextOf<ChangeOptions & { account?: string }>(command)
      const { account } = context.options
      const whose = account ?? context.ownAccount()
      const orders = await context.reading((grid) => grid.orders(whose))
      context.print(orderTable(orders), orders)
    })
}

function orderTable(orders: readonly OrderStatus[]): string {
  return table<OrderStatus>(
    [
      { title: 'ORDER', of: ({ id }) => String(id), isRight: true },
      { title: 'STATE', of: ({ state }) => state },
      { title: 'WHAT', of: ({ spec, kind }) => (spec === undefined ? kind : describeSpec(spec)) },
      { title: 'NODES', of: ({ slots }) => slots.map(({ node }) => node).join(',') },
      { title: 'PAID UNTIL', of: ({ paidUntil }) => moment(paidUntil) },
      { title: 'HELD', of: ({ held }) => formatTokens(held), isRight: true },
    ],
    orders,
  )
}

function addStatus(program: Command): void {
  program
    .command('status')
    .description('show an order as it is on the ledger, and as a local agent sees it')
    .argument('<order>', 'number of the order', numberArgument)
    .option('--agent <socket>', 'status socket of a local agent: run/status.sock of its data')
    .addHelpText(
      'after',
      '\nExamples:\n  $ varve status 7\n  $ varve status 8 --agent /var/lib/varve/run/status.sock',
    )
    .action(async (id: number, _, command: Command) => {
      const context = contextOf<ChangeOptions & { agent?: string }>(command)
      const { agent: socket } = context.options
      const order = await context.reading((grid) => grid.order(id))
      const agent = socket === undefined ? undefined : await readAgentView(socket, id)
      const text = [orderText(order), slotTable(order), ...(agent ? [agentText(agent)] : [])]
      context.print(text.join('\n\n'), agent === undefined ? order : { ...order, agent })
      if (agent !== undefined && agent.problems.length > 0) process.exitCode = EXIT.ill
    })
}

function orderText(order: OrderStatus): string {
  return facts([
    ['order', `${order.id}: ${describeSpec(order.spec)}`],
    ['state', order.state],
    ['volume', order.volume === undefined ? undefined : String(order.volume)],
    ['mounts', order.mounts.length === 0 ? undefined : order.mounts.join(', ')],
    ['tenant', order.tenant],
    ['placed', moment(order.placedAt)],
    ['paid until', moment(order.paidUntil)],
    ['ended', order.endedAt === 0 ? undefined : moment(order.endedAt)],
    ['data kept until', order.deletableAt === 0 ? undefined : moment(order.deletableAt)],
    ['price', `${formatTokens(order.ratePerSecond * 86_400n)} a day`],
    ['held', formatTokens(order.held)],
  ])
}

function slotTable(order: OrderStatus): string {
  return table<OrderStatus['slots'][number]>(
    [
      { title: 'SLOT', of: ({ index }) => String(index), isRight: true },
      { title: 'ROLE', of: ({ role }) => role },
      { title: 'NODE', of: ({ node }) => String(node), isRight: true },
      { title: 'SIZE', of: ({ sizeBytes }) => formatBytes(sizeBytes), isRight: true },
      { title: 'THERE SINCE', of: ({ assignedAt }) => moment(assignedAt) },
      { title: 'MOVES', of: ({ generation }) => String(generation), isRight: true },
      { title: 'NODE LAST SEEN', of: ({ lastSeen }) => moment(lastSeen) },
    ],
    order.slots,
  )
}

/** The agent's own fields, as it names them: they only ever grow. */
function agentText(agent: AgentView): string {
  const line = (what: string, one: Readonly<Record<string, unknown>>) => {
    const said = ['state', 'path', 'code', 'message', 'hint']
      .filter((name) => one[name] !== undefined)
      .map((name) => (name === 'state' || name === 'path' ? one[name] : `${name} ${one[name]}`))
    return [what, said.join(', ')] as const
  }
  const seen = [
    ...agent.orders.map((one) => line('order', one)),
    ...agent.mounts.map((one) => line('mount', one)),
    ...agent.slots.map((one) => line(`slot ${one['slot'] ?? ''}`, one)),
    ...agent.repairs.map((one) => line('repair', one)),
    ...agent.problems.map((one) => line(`problem of ${one['about'] ?? 'the node'}`, one)),
  ]
  const nothing = [['order', 'not on this node']] as const
  return facts([
    ['agent', 'says'],
    line('ledger', agent.ledger),
    ...(seen.length === 0 ? nothing : seen),
  ])
}

function addExtend(program: Command): void {
  changing(program.command('extend'))
    .description('pay for more time of an order')
    .argument('<order>', 'number of the order', numberArgument)
    .requiredOption('--time <duration>', 'time to add, such as 30d', durationArgument)
    .addHelpText('after', '\nExample:\n  $ varve extend 7 --time 30d')
    .action(async (id: number, _, command: Command) => {
      const context = contextOf<ChangeOptions & { time: number }>(command)
      const { time } = context.options
      await context.signing(async (grid) => {
        const { ratePerSecond } = await grid.order(id)
        const price = formatTokens(ratePerSecond * BigInt(time))
        await context.terminal.confirm(`Pay ${price} for ${duration(time)} more?`)
        const sent = await grid.extend(id, time, context.follow)
        const { paidUntil } = await grid.order(id)
        const value = { order: id, paidUntil, price: sent.price, hash: sent.hash }
        context.print(`order ${id} is paid until ${moment(paidUntil)}`, value)
      })
    })
}

function addCancel(program: Command): void {
  changing(program.command('cancel'))
    .description('end an order; what was not used comes back, its data goes after the grace')
    .argument('<order>', 'number of the order', numberArgument)
    .addHelpText('after', '\nExample:\n  $ varve cancel 7')
    .action(async (id: number, _, command: Command) => {
      const context = contextOf<ChangeOptions>(command)
      await context.signing(async (grid) => {
        const order = await grid.order(id)
        const what = `${describeSpec(order.spec)}`
        await context.terminal.confirm(`End order ${id} (${what})? Its data will be deleted.`)
        const { refund, hash } = await grid.cancel(id, context.follow)
        const { deletableAt } = await grid.order(id)
        const kept = `its data is kept until ${moment(deletableAt)}`
        const back = refund === undefined ? '' : `, ${formatTokens(refund)} came back`
        context.print(`order ${id} ended${back}; ${kept}`, { order: id, refund, deletableAt, hash })
      })
    })
}

function addSettle(program: Command): void {
  changing(program.command('settle'))
    .description('pay the nodes of an order what they earned so far; anyone may')
    .argument('<order>', 'number of the order', numberArgument)
    .addHelpText('after', '\nExample:\n  $ varve settle 7')
    .action(async (id: number, _, command: Command) => {
      const context = contextOf<ChangeOptions>(command)
      const { hash } = await context.signing((grid) => grid.settle(id, context.follow))
      context.print(`order ${id} is settled`, { order: id, hash })
    })
}

function addReplace(program: Command): void {
  changing(program.command('replace'))
    .description('move a slot of an order to another node')
    .argument('<order>', 'number of the order', numberArgument)
    .argument('<slot>', 'index of the slot, from 0', slotArgument)
    .argument('<node>', 'where it goes', registryNumberArgument)
    .addHelpText('after', '\nExample:\n  $ varve replace 7 2 12')
    .action(async (order: number, slot: number, node: number, _, command: Command) => {
      const context = contextOf<ChangeOptions>(command)
      await context.signing(async (grid) => {
        await context.terminal.confirm(`Move slot ${slot} of order ${order} to node ${node}?`)
        const { hash } = await grid.replace({ order, slot, node }, context.follow)
        context.print(`slot ${slot} of order ${order} is on node ${node}`, {
          order,
          slot,
          node,
          hash,
        })
      })
    })
}
