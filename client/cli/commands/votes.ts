/** `varve policy` and the commands of voters. */
import { Argument, type Command } from 'commander'
import {
  formatTokens,
  type GridPolicy,
  type PolicyParameter,
  type Proposal,
  type ProposedAction,
  parameterNamed,
  parameterText,
  parameterValue,
  type Support,
} from '../../sdk/index.ts'
import { type ChangeOptions, contextOf } from '../context.ts'
import { facts, moment, table } from '../output.ts'
import { accountArgument, countArgument, digestArgument, proposalArgument } from '../parse.ts'
import { changing } from './changing.ts'

/** Adds the commands. */
export function addVoteCommands(program: Command): void {
  program
    .command('policy')
    .description('show the rules that every agent obeys')
    .addHelpText('after', '\nExamples:\n  $ varve policy\n  $ varve policy --json')
    .action(async (_, command: Command) => {
      const context = contextOf(command)
      const policy = await context.reading((grid) => grid.policy())
      context.print(policyText(policy), policy)
    })
  addPropose(program)
  addProposals(program)
  addVote(program)
  addCarryOut(program, 'queue', 'put a proposal that succeeded into the timelock; anyone may')
  addCarryOut(
    program,
    'execute',
    'do what a queued proposal says, once its delay passed; anyone may',
  )
  addDelegate(program)
}

function policyText(policy: GridPolicy): string {
  const parameters = table<PolicyParameter>(
    [
      { title: 'PARAMETER', of: ({ name }) => name },
      { title: 'VALUE', of: ({ name, value }) => parameterText(name, value) },
      { title: 'LEAST', of: ({ min }) => String(min), isRight: true },
      { title: 'MOST', of: ({ max }) => String(max), isRight: true },
    ],
    policy.parameters,
  )
  const releases = table<GridPolicy['releases'][number]>(
    [
      { title: 'RELEASE', of: ({ version }) => version },
      { title: 'IMAGE', of: ({ imageDigest }) => imageDigest },
      { title: 'FROM', of: ({ activatesAt }) => moment(activatesAt) },
      { title: 'STATE', of: ({ isRevoked }) => (isRevoked ? 'revoked' : 'approved') },
    ],
    policy.releases,
  )
  const parts = [`version ${policy.version}`, parameters]
  return [...parts, ...(policy.releases.length > 0 ? [releases] : [])].join('\n\n')
}

interface ProposeOptions extends ChangeOptions {
  readonly description?: string
  readonly activatesAt?: number
}

function addPropose(program: Command): void {
  const propose = program
    .command('propose')
    .description('propose a change of policy, or a release of the agent')
  const proposing = (command: Command) =>
    changing(command).option('--description <text>', 'for voters (default: what it does)')

  proposing(propose.command('set'))
    .description('propose another value of a parameter')
    .argument('<parameter>', 'as "varve policy" names it')
    .argument('<value>', 'a number; 90s, 2h, 7d for seconds; store,volume for workloads')
    .addHelpText(
      'after',
      '\nExamples:\n  $ varve propose set heartbeatSeconds 5m\n  $ varve propose set workloadsAllowed store,volume,mount --description "Open mounts"',
    )
    .action(async (said: string, value: string, _, command: Command) => {
      const { name } = parameterNamed(said)
      const action = {
        kind: 'parameter',
        parameter: name,
        value: parameterValue(name, value),
      } as const
      await runPropose(command, action)
    })
  proposing(propose.command('release'))
    .description('propose that agents may run a release')
    .argument('<digest>', 'SHA-256 of the image: 0x and 64 hexadecimal digits', digestArgument)
    .argument('<version>', 'its name for people')
    .option('--activates-at <second>', 'second since 1970 from which it may run', countArgument, 0)
    .addHelpText('after', '\nExample:\n  $ varve propose release 0x3b1f...09 1.4.0')
    .action(async (imageDigest: string, version: string, _, command: Command) => {
      const activatesAt = command.opts<ProposeOptions>().activatesAt ?? 0
      await runPropose(command, { kind: 'approve-release', imageDigest, version, activatesAt })
    })
  proposing(propose.command('revoke'))
    .description('propose that agents must no longer run a release')
    .argument('<digest>', 'SHA-256 of the image', digestArgument)
    .addHelpText('after', '\nExample:\n  $ varve propose revoke 0x3b1f...09')
    .action(async (imageDigest: string, _, command: Command) => {
      await runPropose(command, { kind: 'revoke-release', imageDigest })
    })
}

async function runPropose(command: Command, action: ProposedAction): Promise<void> {
  const context = contextOf<ProposeOptions>(command)
  const { description } = context.options
  await context.signing(async (grid) => {
    const { proposal, hash } = await grid.propose([action], description, context.follow)
    const created = await grid.proposal(proposal ?? 0n)
    context.print(proposalText(created), { ...created, hash })
  })
}

function proposalText(proposal: Proposal): string {
  const { votes, quorum } = proposal
  return facts([
    ['proposal', String(proposal.id)],
    ['state', proposal.state],
    ['description', proposal.description],
    ['does', proposal.actions.join('; ')],
    ['proposer', proposal.proposer],
    ['votes from', moment(proposal.votesFrom)],
    ['votes until', moment(proposal.votesUntil)],
    ['executable', proposal.executableAt === 0 ? undefined : moment(proposal.executableAt)],
    ['for', formatTokens(votes.for)],
    ['against', formatTokens(votes.against)],
    ['abstain', formatTokens(votes.abstain)],
    ['quorum', quorum === undefined ? undefined : formatTokens(quorum)],
  ])
}

function addProposals(program: Command): void {
  program
    .command('proposals')
    .description('list proposals, or show one')
    .argument('[proposal]', 'its number, or the beginning of it', proposalArgument)
    .addHelpText('after', '\nExamples:\n  $ varve proposals\n  $ varve proposals 84731')
    .action(async (id: string | undefined, _, command: Command) => {
      const context = contextOf(command)
      if (id !== undefined) {
        const one = await context.reading((grid) => grid.proposal(id))
        return context.print(proposalText(one), one)
      }
      const proposals = await context.reading((grid) => grid.proposals())
      context.print(proposalTable(proposals), proposals)
    })
}

function proposalTable(proposals: readonly Proposal[]): string {
  return table<Proposal>(
    [
      { title: 'PROPOSAL', of: ({ id }) => String(id).slice(0, 12) },
      { title: 'STATE', of: ({ state }) => state },
      { title: 'DOES', of: ({ actions }) => actions.join('; ') },
      { title: 'FOR', of: ({ votes }) => formatTokens(votes.for), isRight: true },
      { title: 'AGAINST', of: ({ votes }) => formatTokens(votes.against), isRight: true },
      { title: 'VOTES UNTIL', of: ({ votesUntil }) => moment(votesUntil) },
    ],
    proposals,
  )
}

function addVote(program: Command): void {
  changing(program.command('vote'))
    .description('vote on a proposal with all votes delegated to you')
    .argument('<proposal>', 'its number, or the beginning of it', proposalArgument)
    .addArgument(new Argument('<support>', 'how').choices(['for', 'against', 'abstain']))
    .option('--reason <text>', 'for others to read')
    .addHelpText('after', '\nExample:\n  $ varve vote 84731 for --reason "Cheaper heartbeats"')
    .action(async (id: string, support: Support, _, command: Command) => {
      const context = contextOf<ChangeOptions & { reason?: string }>(command)
      await context.signing(async (grid) => {
        const { hash } = await grid.vote(id, support, context.options.reason, context.follow)
        const proposal = await grid.proposal(id)
        context.print(proposalText(proposal), { ...proposal, hash })
      })
    })
}

function addCarryOut(program: Command, name: 'queue' | 'execute', description: string): void {
  changing(program.command(name))
    .description(description)
    .argument('<proposal>', 'its number, or the beginning of it', proposalArgument)
    .option('--wait', 'wait until it can be done')
    .addHelpText('after', `\nExamples:\n  $ varve ${name} 84731\n  $ varve ${name} 84731 --wait`)
    .action(async (id: string, _, command: Command) => {
      const context = contextOf<ChangeOptions & { wait?: boolean }>(command)
      await context.signing(async (grid) => {
        if (context.options.wait) {
          const wanted = name === 'queue' ? 'succeeded' : 'executable'
          const onState = ({ state }: Proposal) => context.terminal.note(`proposal is ${state}`)
          await grid.untilProposal(id, wanted, { onState })
        }
        const { hash } = await grid[name](id, context.follow)
        const proposal = await grid.proposal(id)
        context.print(proposalText(proposal), { ...proposal, hash })
      })
    })
}

function addDelegate(program: Command): void {
  changing(program.command('delegate'))
    .description('let your tokens count as votes: yours, or of another account')
    .argument('[account]', 'who votes with them (default: you)', accountArgument)
    .addHelpText('after', '\nExamples:\n  $ varve delegate\n  $ varve delegate 0xf39F...2266')
    .action(async (account: string | undefined, _, command: Command) => {
      const context = contextOf<ChangeOptions>(command)
      await context.signing(async (grid) => {
        const { hash } = await grid.delegate(account, context.follow)
        const { delegate } = await grid.balance()
        context.print(`votes are delegated to ${delegate}`, { delegate, hash })
      })
    })
}
