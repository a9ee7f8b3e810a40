/** The status for people: the lines that answer "is it well, and if not, why". */
import { formatBytes } from '../base/units.ts'
import type { StatusDocument } from './status.ts'

/**
 * Writes a status document for a terminal.
 *
 * @param status - The document.
 * @returns Lines, each ended by a newline.
 */
export function statusText(status: StatusDocument): string {
  const { ledger, registration, own } = status
  const lines = [
    ['health', status.health],
    ...status.problems.map((one) => [`  ${one.level}`, `${one.about}: ${problemText(one)}`]),
    ['account', status.account],
    [
      'node',
      status.node === undefined ? 'not registered' : `${status.node} of farm ${status.farm}`,
    ],
    ['registration', reason(registration)],
    [
      'ledger',
      `${reason(ledger)}, head ${ledger.head ?? '-'}, final ${ledger.finalised ?? '-'}, read to ${ledger.cursor?.number ?? '-'}`,
    ],
    ['policy', status.policy ? `version ${status.policy.version}` : 'not read yet'],
    [
      'space',
      own ? `${formatBytes(own.usedBytes)} of ${formatBytes(own.capacityBytes)} ordered` : '-',
    ],
    ['metrics', status.metricsUrl ?? '-'],
    ...status.units.map((unit) => [
      `unit ${unit.name}`,
      `${reason(unit)}${unit.restarts > 0 ? `, restarted ${unit.restarts} times` : ''}`,
    ]),
    ...status.orders.map((order) => [`order ${order.order}`, `${order.kind} ${reason(order)}`]),
    ...status.mounts.map((mount) => [`mount ${mount.order}`, `${mount.path} ${reason(mount)}`]),
    ...status.repairs.map((repair) => [
      `repair ${repair.order}.${repair.slot}`,
      `${repair.state}${repair.to === undefined ? '' : ` to node ${repair.to}`}`,
    ]),
    ...(status.audits ? [['audits', auditLine(status.audits)]] : []),
    ...status.controllers.flatMap((one) =>
      one.code === undefined ? [] : [[`controller ${one.name}`, `${reason(one)}`]],
    ),
  ]
  const width = Math.max(...lines.map(([name = '']) => name.length))
  return lines.map(([name = '', text = '']) => `${name.padEnd(width)}  ${text}\n`).join('')
}

function auditLine(audits: NonNullable<StatusDocument['audits']>): string {
  const { epoch, provenEpoch, missedEpoch, disputes, deadline } = audits
  const missed = missedEpoch === 0 ? '' : `, missed ${missedEpoch}`
  const doubted = disputes === 0 ? '' : `, ${disputes} disputes wait`
  const due = deadline === 0 ? '' : `, due ${new Date(deadline * 1000).toISOString()}`
  return `epoch ${epoch} ${reason(audits)}, last proven ${provenEpoch || '-'}${missed}${doubted}${due}`
}

function problemText({ code, message, hint }: StatusDocument['problems'][number]): string {
  return `${code}: ${message}${hint === undefined ? '' : ` (${hint})`}`
}

interface Reason {
  readonly state: string
  readonly code?: string | undefined
}

function reason(of: Reason | undefined): string {
  if (!of) return '-'
  return of.code === undefined ? of.state : `${of.state} (${of.code})`
}
