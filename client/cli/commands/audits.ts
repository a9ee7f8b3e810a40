/** `varve audits`: whether nodes keep what they are paid for. */
import type { Command } from 'commander'
import { formatBytes } from '../../../agent/base/units.ts'
import type { AuditDisputeView, GridAudits, NodeAudit } from '../../sdk/index.ts'
import { type ChangeOptions, contextOf } from '../context.ts'
import { facts, moment, table } from '../output.ts'
import { numberArgument } from '../parse.ts'

/** Disputes shown unless told otherwise. */
const DISPUTES_SHOWN = 20

const AFTER = `
In the newest epoch a node is "proven" once all that it owes is on the ledger, "waiting" while its window is open, "missed"
after it, "nothing" if it had committed no bytes. What it missed in the epoch before costs it pay and stake once a keeper
marks it; MARKED and SLASHED name the last epochs for which that happened.

Examples:
  $ varve audits
  $ varve audits --disputes 100
  $ varve audits --json | jq '.nodes[] | select(.before == "missed") | .node'
`

interface AuditOptions extends ChangeOptions {
  readonly disputes: number
}

/** Adds the command. */
export function addAuditCommands(program: Command): void {
  program
    .command('audits')
    .description(
      'show the newest epoch of audits, who is proven in it, who missed the last, and disputes',
    )
    .option('--disputes <count>', 'how many of the newest disputes', numberArgument, DISPUTES_SHOWN)
    .addHelpText('after', AFTER)
    .action(async (_, command: Command) => {
      const context = contextOf<AuditOptions>(command)
      const { disputes } = context.options
      const audits = await context.reading((grid) => grid.audits(disputes))
      context.print(auditsText(audits), audits)
    })
}

/** Writes audits for a terminal. */
export function auditsText({ isOn, epoch, nodes, disputes }: GridAudits): string {
  const head = facts([
    ['audits', isOn ? 'on' : 'off: policy has epochs of 0 seconds'],
    ['epoch', epoch ? String(epoch.number) : 'none was drawn'],
    ['drawn', epoch && moment(epoch.drawnAt)],
    ['proofs until', epoch && `${moment(epoch.dueAt)} and block ${epoch.dueBlock}`],
    ['next from', isOn && epoch ? moment(epoch.nextAt) : undefined],
    ['samples', epoch && String(epoch.samples)],
  ])
  const parts = [head]
  if (epoch) parts.push(nodeTable(nodes))
  if (disputes.length > 0) parts.push(disputeTable(disputes))
  return parts.join('\n\n')
}

function nodeTable(nodes: readonly NodeAudit[]): string {
  const epoch = (number: number) => (number === 0 ? '-' : String(number))
  return table<NodeAudit>(
    [
      { title: 'NODE', of: ({ node }) => String(node), isRight: true },
      { title: 'STANDS FOR', of: ({ auditedBytes }) => formatBytes(auditedBytes), isRight: true },
      { title: 'NEWEST', of: ({ newest }) => newest },
      { title: 'BEFORE', of: ({ before }) => before },
      { title: 'MARKED', of: ({ missedEpoch }) => epoch(missedEpoch), isRight: true },
      { title: 'SLASHED', of: ({ slashedEpoch }) => epoch(slashedEpoch), isRight: true },
    ],
    nodes,
  )
}

function disputeTable(disputes: readonly AuditDisputeView[]): string {
  return table<AuditDisputeView>(
    [
      { title: 'DISPUTE', of: ({ id }) => String(id), isRight: true },
      { title: 'STATE', of: ({ state }) => state },
      { title: 'NODE', of: ({ node }) => String(node), isRight: true },
      { title: 'EPOCH', of: ({ epoch }) => String(epoch), isRight: true },
      { title: 'ABOUT', of: ({ sample }) => (sample === 0 ? 'a slot' : `sample ${sample}`) },
      { title: 'REPLY UNTIL', of: ({ deadline }) => moment(deadline) },
    ],
    disputes,
  )
}
