/**
 * Plans the audit unit of this node: what it is told of the ledger, what its store must keep because of it, and which of the acts
 * that it made ready are to be sent.
 *
 * Pure. While policy has audits switched off nothing is wanted, and a unit that runs is stopped. What is due, and when, the unit
 * decides from the same facts (`engines/audit`); here is decided what it may see and what of its words is believed.
 */
import type { NodeId } from '../base/ids.ts'
import { fieldOf } from '../base/json.ts'
import type {
  AuditFacts,
  LedgerNode,
  MountOrder,
  Policy,
  StoreOrder,
  VolumeOrder,
  WantedTransaction,
} from '../ledger/types.ts'
import type { AuditHold, AuditStatus, UnitStatus, UnitWanted } from '../state/kinds.ts'
import type { AuditSlotConfig, AuditUnitConfig } from '../state/unit-config.ts'
import { type KeeperAct, planKeeping } from './keepers.ts'
import { namespaceName } from './stores.ts'

/** Name of the audit unit. */
export const AUDIT_UNIT = 'audit'

/** What the planner looks at. */
export interface AuditsWorld {
  readonly self: NodeId | undefined
  /** Of the node's account, hexadecimal. */
  readonly privateKey: string
  readonly chainId: number
  readonly policy: Pick<Policy, 'values'>
  /** Of the newest final block; undefined while audits are off or this node is not registered. */
  readonly facts: AuditFacts | undefined
  /** The newest block that a majority has seen; undefined while unknown. */
  readonly head: { readonly time: number; readonly number: number } | undefined
  readonly stores: readonly StoreOrder[]
  readonly volumes: readonly VolumeOrder[]
  readonly mounts: readonly MountOrder[]
  readonly nodes: readonly LedgerNode[]
  /** How the unit is, undefined if there is none. */
  readonly unit: UnitStatus | undefined
  /** True once the unit has said what must stay. */
  readonly isHoldKnown: boolean
  /** Encodes an act for the contract. */
  readonly encode: (act: KeeperAct) => string
}

/** The plan. */
export interface AuditsPlan {
  readonly units: readonly UnitWanted<AuditUnitConfig>[]
  /** Undefined: as it was. */
  readonly holds: readonly AuditHold[] | undefined
  readonly transactions: readonly WantedTransaction[]
  readonly statuses: readonly AuditStatus[]
}

const NOTHING: AuditsPlan = { units: [], holds: [], transactions: [], statuses: [] }

/**
 * Computes what is wanted.
 *
 * @param world - The ledger, and how the unit is.
 * @returns At most one unit and one status; transactions by urgency of their ids.
 * @example
 * planAudits(world).transactions.map(({ id }) => id)
 */
export function planAudits(world: AuditsWorld): AuditsPlan {
  const { facts, head, self, policy } = world
  if (policy.values.auditEpochSeconds === 0) {
    const stop = { name: AUDIT_UNIT, run: false, discard: false } as const
    return world.unit ? { ...NOTHING, units: [stop] } : NOTHING
  }
  if (!facts || !head || self === undefined) return { ...NOTHING, holds: undefined }
  const config = {
    node: self,
    privateKey: world.privateKey,
    chainId: world.chainId,
    epochSeconds: policy.values.auditEpochSeconds,
    ...{ head, facts },
    slots: auditedSlots(world, self),
  }
  const figures = world.unit?.state === 'running' ? world.unit.figures : undefined
  const holds = figures && holdsOf(figures)
  return {
    units: [{ name: AUDIT_UNIT, run: true, config }],
    holds,
    transactions: [
      ...(figures ? actsOf(figures, facts) : []),
      ...planKeeping({ facts, now: head.time, encode: world.encode }),
    ],
    statuses: [statusOf(facts, head.time, world.isHoldKnown || holds !== undefined, figures)],
  }
}

/** Slots of orders that have not ended, by order and position. */
function auditedSlots(world: AuditsWorld, self: NodeId): AuditSlotConfig[] {
  const accounts = new Map(world.nodes.map(({ id, account }) => [id, account]))
  const orders = [...world.stores, ...world.volumes].sort((a, b) => a.id - b.id)
  return orders
    .filter(({ state }) => state !== 'ended')
    .flatMap((order) => {
      const writers = order.kind === 'store' ? [order.tenant, ...order.writers] : [order.tenant]
      const mounts = world.mounts.flatMap((mount) => {
        const node = mount.slots[0]?.node
        const account = node === undefined ? undefined : accounts.get(node)
        const isWriter = mount.volume === order.id && !mount.readOnly
        return isWriter && account ? [{ mount: mount.id, account }] : []
      })
      return order.slots.flatMap(({ node, generation, sizeBytes }, slot): AuditSlotConfig[] => {
        if (node !== self) return []
        const namespace = namespaceName(order.id, slot)
        return [{ order: order.id, slot, generation, namespace, sizeBytes, writers, mounts }]
      })
    })
}

type Figures = Readonly<Record<string, unknown>>

function holdsOf({ holds }: Figures): AuditHold[] | undefined {
  if (!Array.isArray(holds)) return undefined
  return holds.flatMap((hold: unknown): AuditHold[] => {
    const [namespace, keptSince] = [fieldOf(hold, 'namespace'), fieldOf(hold, 'keptSince')]
    if (typeof namespace !== 'string' || typeof keptSince !== 'number') return []
    return [{ namespace, keptSince, isNeeded: fieldOf(hold, 'isNeeded') === true }]
  })
}

function actsOf({ acts }: Figures, { audits }: AuditFacts): WantedTransaction[] {
  if (!Array.isArray(acts)) return []
  return acts.flatMap((one: unknown): WantedTransaction[] => {
    const [id, act, why] = ['id', 'act', 'why'].map((name) => fieldOf(one, name))
    if (typeof id !== 'string' || typeof act !== 'string' || typeof why !== 'string') return []
    return [{ id, call: { method: 'audit', audits, act }, why }]
  })
}

function statusOf(
  facts: AuditFacts,
  now: number,
  isHoldKnown: boolean,
  figures: Figures | undefined,
): AuditStatus {
  const { epoch, audited, isProven, wasProven, missedEpoch, slashedEpoch, disputes } = facts
  const number = epoch?.number ?? 0
  const [code, message] = [figures?.['code'], figures?.['message']]
  const dueAt = epoch && audited.units > 0 && !isProven && now <= epoch.dueAt ? [epoch.dueAt] : []
  const deadlines = [...dueAt, ...disputes.map(({ deadline }) => deadline)]
  return {
    state: stateOf(facts, now),
    code: typeof code === 'string' ? code : undefined,
    message: typeof message === 'string' ? message : undefined,
    epoch: number,
    provenEpoch: isProven ? number : wasProven ? number - 1 : 0,
    ...{ missedEpoch, slashedEpoch },
    units: audited.units,
    disputes: disputes.length,
    deadline: deadlines.length === 0 ? 0 : Math.min(...deadlines),
    isHoldKnown,
  }
}

function stateOf({ epoch, audited, isProven }: AuditFacts, now: number): AuditStatus['state'] {
  if (!epoch) return 'waiting'
  if (audited.units === 0) return 'nothing-to-prove'
  if (isProven) return 'proven'
  return now <= epoch.dueAt ? 'proving' : 'missed'
}
