/** Audits, as a watcher sees them: the newest epoch, which nodes are proven in it, who missed the one before, open disputes. */
import { Contract } from 'ethers'
import { type NodeId, nodeId } from '../../agent/base/ids.ts'
import { AUDITS_ABI, DISPUTE_STATES, GRID_ABI } from '../../agent/ledger/abi.ts'
import { type Connection, view } from './connection.ts'
import { readPolicy } from './policy.ts'

/** Questions that wait for one endpoint at once. */
const ASKED_AT_ONCE = 64
/** Bytes of an audited unit. */
const UNIT_BYTES = 32

/** How a node does in an epoch. */
export type ProofState =
  /** All that it owed is there. */
  | 'proven'
  /** Something is missing and the window is open. */
  | 'waiting'
  /** Something is missing and the window has closed. */
  | 'missed'
  /** It had committed nothing. */
  | 'nothing'

/** A node, as audits see it. */
export interface NodeAudit {
  readonly node: NodeId
  /** Bytes that it stands for in the newest epoch, in whole units of 32. */
  readonly auditedBytes: number
  readonly newest: ProofState
  /** In the epoch before; `missed` is what keepers mark. */
  readonly before: ProofState
  /** Epochs that it was last marked, and last slashed, for; 0 for never. */
  readonly missedEpoch: number
  readonly slashedEpoch: number
}

/** An epoch of audits. */
export interface AuditEpochView {
  /** From 1. */
  readonly number: number
  /** Seconds since 1970. */
  readonly drawnAt: number
  /** Second since 1970, and block, until which digests are taken: whichever is later. */
  readonly dueAt: number
  readonly dueBlock: number
  /** Second since 1970 from which the next may be drawn. */
  readonly nextAt: number
  readonly samples: number
  /** One node in so many opens its first sample on chain; 0: none. */
  readonly openOdds: number
}

/** A dispute. */
export interface AuditDisputeView {
  readonly id: number
  readonly state: (typeof DISPUTE_STATES)[number]
  readonly node: NodeId
  readonly epoch: number
  /** From 1; 0 where a slot is demanded. */
  readonly sample: number
  /** Second since 1970 until which the node may reply. */
  readonly deadline: number
  readonly challenger: string
}

/** All of it. */
export interface GridAudits {
  /** False while policy has audits switched off. */
  readonly isOn: boolean
  /** Undefined before the first. */
  readonly epoch: AuditEpochView | undefined
  /** By ascending number. */
  readonly nodes: readonly NodeAudit[]
  /** The newest, newest first. */
  readonly disputes: readonly AuditDisputeView[]
}

/**
 * Reads audits.
 *
 * @param connection - The grid.
 * @param disputesMax - How many of the newest disputes.
 * @returns Everything at the newest block.
 */
export async function readAudits(connection: Connection, disputesMax: number): Promise<GridAudits> {
  const grid = new Contract(connection.grid, GRID_ABI, connection.provider)
  const [further, policy, count, head] = await Promise.all([
    view(grid, 'furtherContracts') as Promise<{ readonly audits: string }>,
    readPolicy(connection),
    view(connection.contracts.nodes, 'nodeCount').then(Number),
    connection.provider.getBlock('latest'),
  ])
  const audits = new Contract(further.audits, AUDITS_ABI, connection.provider)
  const seconds = Number(
    policy.parameters.find(({ name }) => name === 'auditEpochSeconds')?.value ?? 0n,
  )
  const number = Number(await view(audits, 'epoch'))
  const epoch = number === 0 ? undefined : await readEpoch(audits, number, seconds)
  const isOpen =
    epoch !== undefined &&
    ((head?.timestamp ?? 0) <= epoch.dueAt || (head?.number ?? 0) <= epoch.dueBlock)
  const ids = Array.from({ length: count }, (_, at) => at + 1)
  return {
    isOn: seconds > 0,
    epoch,
    nodes: await inGroups(ids, (id) => readNode(audits, id, number, isOpen)),
    disputes: await readDisputes(audits, disputesMax),
  }
}

async function readEpoch(
  audits: Contract,
  number: number,
  epochSeconds: number,
): Promise<AuditEpochView> {
  const shown = (await view(audits, 'epochs', number)) as Record<string, unknown>
  const drawnAt = Number(shown['drawnAt'])
  return {
    ...{ number, drawnAt, nextAt: drawnAt + epochSeconds },
    dueAt: Number(shown['dueAt']),
    dueBlock: Number(shown['dueBlock']),
    samples: Number(shown['samples']),
    openOdds: Number(shown['openOdds']),
  }
}

async function readNode(
  audits: Contract,
  id: number,
  epoch: number,
  isOpen: boolean,
): Promise<NodeAudit> {
  const at = async (which: number) => {
    if (which < 1) return { units: 0, isProven: false }
    const [accumulator, isProven] = await Promise.all([
      view(audits, 'accumulatorOf', id, which) as Promise<{ readonly units: bigint }>,
      view(audits, 'isProven', id, which),
    ])
    return { units: Number(accumulator.units), isProven: isProven === true }
  }
  const [newest, before, prover] = await Promise.all([
    at(epoch),
    at(epoch - 1),
    view(audits, 'proverOf', id) as Promise<Record<string, unknown>>,
  ])
  return {
    node: nodeId(id),
    auditedBytes: newest.units * UNIT_BYTES,
    newest: proofState(newest, isOpen),
    before: proofState(before, false),
    missedEpoch: Number(prover['missedEpoch']),
    slashedEpoch: Number(prover['slashedEpoch']),
  }
}

function proofState(
  { units, isProven }: { readonly units: number; readonly isProven: boolean },
  isOpen: boolean,
): ProofState {
  if (units === 0) return 'nothing'
  if (isProven) return 'proven'
  return isOpen ? 'waiting' : 'missed'
}

async function readDisputes(audits: Contract, max: number): Promise<AuditDisputeView[]> {
  const count = Number(await view(audits, 'disputeCount'))
  const ids = Array.from({ length: Math.min(count, max) }, (_, at) => count - at)
  return inGroups(ids, async (id) => {
    const shown = (await view(audits, 'disputes', id)) as Record<string, unknown>
    return {
      id,
      state: DISPUTE_STATES[Number(shown['state'])] ?? 'none',
      node: nodeId(Number(shown['node'])),
      epoch: Number(shown['epoch']),
      sample: Number(shown['sample']),
      deadline: Number(shown['deadline']),
      challenger: String(shown['challenger']),
    }
  })
}

async function inGroups<T>(ids: readonly number[], read: (id: number) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (let at = 0; at < ids.length; at += ASKED_AT_ONCE) {
    results.push(...(await Promise.all(ids.slice(at, at + ASKED_AT_ONCE).map(read))))
  }
  return results
}
