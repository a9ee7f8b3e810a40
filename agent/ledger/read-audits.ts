/**
 * Reads what the ledger says of this node's audits at one block: the newest epoch, what the node stands for in it, what was
 * posted for it, the disputes that wait for it, and, for a keeper, what others owe.
 */
import { NodeError } from '../base/errors.ts'
import { account, type NodeId, orderId } from '../base/ids.ts'
import { AUDITS_ABI, DISPUTE_STATES, GRID_ABI } from './abi.ts'
import { decodeReturn } from './decode.ts'
import type { LogEntry } from './ports.ts'
import { scanOthers } from './scan-others.ts'
import type {
  AuditDispute,
  AuditEpoch,
  AuditFacts,
  KeeperFacts,
  LedgerAccumulator,
} from './types.ts'

/** Calls that wait for one endpoint at once. */
const CALLS_AT_ONCE = 8

/** What is needed of one endpoint at one block. */
export interface AuditReading {
  call(to: string, data: string): Promise<string>
  /** Logs of a contract up to the block. */
  logsOf(
    address: string,
    fromBlock: number,
    topics: readonly (string | null)[],
  ): Promise<readonly LogEntry[]>
  readonly grid: string
  readonly nodes: string
  /** Where to look for events that were never read. */
  readonly fromBlock: number
  /** The block's time. */
  readonly now: number
  /** Whether this node is a keeper: then what others owe is read as well. */
  readonly keeps: boolean
  /** Highest number of a node. */
  readonly nodeCount: number
  /** Shortest time between two draws, seconds. */
  readonly epochSeconds: number
}

/** Asks the contract of audits. */
export type AskAudits = (
  name: string,
  values?: readonly unknown[],
) => Promise<ReturnType<typeof decodeReturn>>

/**
 * Reads the facts.
 *
 * @param reading - One endpoint at one block.
 * @param node - This node.
 * @param known - What was read last, undefined at first.
 * @returns The facts at that block.
 * @throws NodeError `LEDGER_*`.
 */
export async function readAudits(
  reading: AuditReading,
  node: NodeId,
  known: AuditFacts | undefined,
): Promise<AuditFacts> {
  const audits = known?.audits ?? (await auditsOf(reading))
  const ask: AskAudits = async (name, values = []) =>
    decodeReturn(
      AUDITS_ABI,
      name,
      await reading.call(audits, AUDITS_ABI.encodeFunctionData(name, values)),
    )
  const number = Number((await ask('epoch'))[0])
  const accumulator = async (
    epoch: number,
  ): Promise<LedgerAccumulator & { epoch: number; exists: boolean }> => {
    const [view] = await ask('accumulatorOf', [node, epoch])
    return {
      root: view['root'],
      units: Number(view['units']),
      epoch: Number(view['epoch']),
      exists: Boolean(view['exists']),
    }
  }
  const before = Math.max(0, number - 1)
  const [epoch, audited, auditedBefore, newest, claimed, isProven, wasProven, owes, prover, count] =
    await Promise.all([
      number === 0 ? undefined : ask('epochs', [number]).then(([view]) => epochOf(number, view)),
      accumulator(number),
      accumulator(before),
      accumulator(number + 1),
      ask('claimOf', [node, number]),
      ask('isProven', [node, number]),
      ask('isProven', [node, before]),
      ask('owes', [node, number]),
      ask('proverOf', [node]),
      ask('disputeCount'),
    ])
  const claim = String(claimed['claim'])
  const { waiting, ...disputes } = await readDisputes({
    ...{ reading, ask, audits, node, known },
    count: Number(count[0]),
  })
  const scan = epoch && (await scanOthers({ reading, ask, node, epoch, known: known?.others }))
  return {
    audits,
    epoch,
    audited: { root: audited.root, units: audited.units },
    auditedBefore: { root: auditedBefore.root, units: auditedBefore.units },
    committed: newest.exists
      ? { root: newest.root, units: newest.units, epoch: newest.epoch }
      : undefined,
    claim: /^0x0*$/.test(claim) ? undefined : claim,
    isProven: Boolean(isProven[0]),
    owes: number > 0 && Boolean(owes[0]),
    wasProven: before > 0 && Boolean(wasProven[0]),
    missedEpoch: Number(prover['missedEpoch']),
    slashedEpoch: Number(prover['slashedEpoch']),
    ...disputes,
    ...(reading.keeps && { others: { ...(scan ?? NOTHING_SCANNED), waiting } }),
  }
}

const NOTHING_SCANNED: Omit<KeeperFacts, 'waiting'> = {
  ...{ epoch: 0, scannedTo: 0, suspects: [], undecided: [] },
}

/** The grid never changes, so the address is as good as the pin of the grid's code. */
async function auditsOf(reading: AuditReading) {
  const data = GRID_ABI.encodeFunctionData('furtherContracts')
  const answer = await reading.call(reading.grid, data)
  const [contracts] = decodeReturn(GRID_ABI, 'furtherContracts', answer)
  return account(contracts['audits'])
}

function epochOf(number: number, view: Readonly<Record<string, unknown>>): AuditEpoch {
  return {
    number,
    seed: String(view['seed']),
    drawnAt: Number(view['drawnAt']),
    dueAt: Number(view['dueAt']),
    dueBlock: Number(view['dueBlock']),
    samples: Number(view['samples']),
    openOdds: Number(view['openOdds']),
  }
}

interface DisputesInit {
  readonly reading: AuditReading
  readonly ask: AskAudits
  readonly audits: string
  readonly node: NodeId
  readonly known: AuditFacts | undefined
  readonly count: number
}

/** What is kept of a dispute. */
type Kept =
  | { readonly of: 'own'; readonly dispute: AuditDispute }
  | { readonly of: 'answered'; readonly id: number }
  | { readonly of: 'other'; readonly id: number; readonly deadline: number }

/** Looks at new disputes, and again at those that something may still come of. */
async function readDisputes(
  init: DisputesInit,
): Promise<
  Pick<AuditFacts, 'disputesRead' | 'disputes' | 'answered'> & Pick<KeeperFacts, 'waiting'>
> {
  const { known, count } = init
  const read = known?.disputesRead ?? 0
  if (count < read) {
    throw new NodeError('LEDGER_FORKED', `dispute ${read} was read and ${count} is the last now`)
  }
  const open = [...(known?.disputes ?? []), ...(known?.others?.waiting ?? [])].map(({ id }) => id)
  const ids = [...open, ...(known?.answered ?? [])].sort((a, b) => a - b)
  // As many as there are: each cost whoever opened it a bond.
  for (let id = read + 1; id <= count; id++) ids.push(id)
  const kept: Kept[] = []
  for (let at = 0; at < ids.length; at += CALLS_AT_ONCE) {
    const some = ids.slice(at, at + CALLS_AT_ONCE)
    kept.push(...(await Promise.all(some.map((id) => readDispute(init, id)))).flat())
  }
  return {
    disputesRead: count,
    disputes: kept.flatMap((one) => (one.of === 'own' ? [one.dispute] : [])),
    answered: kept.flatMap((one) => (one.of === 'answered' ? [one.id] : [])),
    waiting: kept.flatMap((one) =>
      one.of === 'other' ? [{ id: one.id, deadline: one.deadline }] : [],
    ),
  }
}

async function readDispute(
  { reading, ask, audits, node, known }: DisputesInit,
  id: number,
): Promise<Kept[]> {
  const [view] = await ask('disputes', [id])
  const state = DISPUTE_STATES[Number(view['state'])]
  const waits = state === 'challenged' || state === 'located' || state === 'demanded'
  const deadline = Number(view['deadline'])
  if (Number(view['node']) !== node) {
    return waits && reading.keeps ? [{ of: 'other', id, deadline }] : []
  }
  if (state === 'answered') return [{ of: 'answered', id }]
  if (!waits) return []
  const before = known?.disputes.find((one) => one.id === id)
  const slot =
    state === 'demanded' ? (before?.slot ?? (await demandedSlot(reading, audits, id))) : undefined
  const [epoch, sample] = [Number(view['epoch']), Number(view['sample'])]
  return [{ of: 'own', dispute: { id, state, epoch, sample, deadline, slot } }]
}

/** Only the event says which slot is demanded. */
async function demandedSlot(
  reading: AuditReading,
  audits: string,
  id: number,
): Promise<AuditDispute['slot']> {
  const topic = AUDITS_ABI.getEvent('SlotDemanded')?.topicHash ?? null
  const topics = [topic, `0x${id.toString(16).padStart(64, '0')}`]
  const [log] = await reading.logsOf(audits, reading.fromBlock, topics)
  const event = log && AUDITS_ABI.parseLog({ topics: [...log.topics], data: log.data })
  if (!event) {
    throw new NodeError('LEDGER_LOGS_WITHHELD', `the event of dispute ${id} was not given`)
  }
  return {
    order: orderId(event.args['order']),
    slot: Number(event.args['slot']),
    generation: Number(event.args['generation']),
  }
}
