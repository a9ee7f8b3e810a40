/**
 * The kinds of resources that the agent's state is made of, and which of them outlive the process.
 *
 * Each kind has one writer (checked when the agent starts). What the ledger says is persisted, so that a restarted agent
 * goes on before the ledger answers; what follows from it, and what holds secrets, is derived again and never written.
 */
import type { NodeId, OrderId } from '../base/ids.ts'
import type {
  AuditFacts,
  LedgerCursor,
  LedgerNode,
  LedgerStatus,
  MountOrder,
  Policy,
  Registration,
  SentTransaction,
  StoreOrder,
  UnreadableOrder,
  VolumeOrder,
  WantedTransaction,
} from '../ledger/types.ts'
import type {
  AuditUnitConfig,
  LinksUnitConfig,
  MountUnitConfig,
  StoreUnitConfig,
} from './unit-config.ts'

/**
 * What the ledger can order of a machine: one line a kind, from which the kinds of resources, what is persisted, and what the reader of
 * the ledger writes follow.
 */
export interface OrderKinds {
  store: StoreOrder
  volume: VolumeOrder
  mount: MountOrder
  unreadable: UnreadableOrder
}

/** A kind of order. */
export type OrderKind = keyof OrderKinds

/** What each kind of unit is told: one line a kind, from which the rest follows. */
export interface UnitConfigs {
  store: StoreUnitConfig
  links: LinksUnitConfig
  mount: MountUnitConfig
  audit: AuditUnitConfig
}

/** A kind of unit. */
export type UnitKind = keyof UnitConfigs

/** Which units go first when the agent ends: one goes before those that it needs to drain. */
const DRAIN_RANK: Readonly<Record<UnitKind, number>> = { audit: 1, mount: 2, links: 3, store: 4 }

/** All kinds of units, in the order in which they are stopped: the auditor reads the store, a mount needs its links and stores. */
export const UNIT_KINDS: readonly UnitKind[] = (Object.keys(DRAIN_RANK) as UnitKind[]).sort(
  (a, b) => DRAIN_RANK[a] - DRAIN_RANK[b],
)

const ORDER_KIND_SET: Readonly<Record<OrderKind, true>> = {
  store: true,
  volume: true,
  mount: true,
  unreadable: true,
}

/** All kinds of orders. */
export const ORDER_KINDS = Object.keys(ORDER_KIND_SET) as readonly OrderKind[]

/** Resources of orders. */
export type OrderResource = `order.${OrderKind}`
/** Resources of what units are told. */
export type UnitResource = `unit.${UnitKind}`

/** Names of the resources of all kinds of orders. */
export const ORDER_RESOURCES = ORDER_KINDS.map((kind): OrderResource => `order.${kind}`)
/** Names of the resources of all kinds of units. */
export const UNIT_RESOURCES = UNIT_KINDS.map((kind): UnitResource => `unit.${kind}`)

/** A unit that is to run, or to be stopped: a unit that is not listed is left as it is. */
export type UnitWanted<Config> =
  | { readonly name: string; readonly run: true; readonly config: Config }
  | {
      readonly name: string
      readonly run: false
      /** True once the ledger says that the unit's data may go. */
      readonly discard: boolean
    }

/** A unit as the supervisor sees it. */
export interface UnitStatus {
  readonly name: string
  readonly kind: UnitKind
  /** `failed`: it runs and says that it cannot do its work; `backing-off`: it died, and is started again after a pause. */
  readonly state: 'starting' | 'running' | 'failed' | 'backing-off' | 'stopping' | 'stopped'
  readonly pid: number | undefined
  /** True once the unit has taken over its newest configuration. */
  readonly configured: boolean
  readonly adopted: boolean
  /** Starts after the first. */
  readonly restarts: number
  readonly code: string | undefined
  readonly message: string | undefined
  /** Undefined where the catalogue's hint says all. */
  readonly hint?: string | undefined
  /** What the unit last said of itself. */
  readonly figures: Readonly<Record<string, unknown>> | undefined
}

/** What became of an order on this node. A refusal is shown to the tenant, never thrown. */
export interface OrderStatus {
  readonly order: OrderId
  readonly kind: 'store' | 'volume' | 'mount' | 'unreadable'
  readonly state: 'provisioned' | 'waiting' | 'suspended' | 'ended' | 'refused'
  readonly code: string | undefined
  readonly message: string | undefined
}

/** A slot of an order on this node. */
export interface SlotStatus {
  readonly namespace: string
  readonly order: OrderId
  readonly slot: number
  readonly sizeBytes: number
  readonly state: 'live' | 'suspended' | 'released' | 'ended'
}

/** A slot of a volume whose node went silent, and what is done about it. */
export interface RepairStatus {
  readonly order: OrderId
  readonly slot: number
  readonly node: NodeId
  readonly state: 'replacing' | 'no-candidate'
  readonly to: NodeId | undefined
}

/** What of a namespace must stay because this node is audited for it. */
export interface AuditHold {
  readonly namespace: string
  /** Seconds since 1970: what dies from then on stays; 0: it may go. */
  readonly keptSince: number
  /** True while something that the node committed has it: it is not removed, whatever became of its order. */
  readonly isNeeded: boolean
}

/** How the audits of this node go, for people. */
export interface AuditStatus {
  readonly state: 'proven' | 'proving' | 'waiting' | 'missed' | 'nothing-to-prove'
  readonly code: string | undefined
  readonly message: string | undefined
  readonly epoch: number
  /** Epoch that it last posted all for; 0 for none that is known. */
  readonly provenEpoch: number
  /** Epochs that it was last marked, and last slashed, for; 0 for never. */
  readonly missedEpoch: number
  readonly slashedEpoch: number
  readonly units: number
  readonly disputes: number
  /** Seconds since 1970 by which something must be on the ledger: a digest or a reply; 0 if nothing. */
  readonly deadline: number
  /** True once the unit has said what the store must keep. */
  readonly isHoldKnown: boolean
}

/** Whether this node says that it serves, and if not, why. */
export interface HeartbeatStatus {
  /** `off` while it is not in the registry. */
  readonly state: 'off' | 'beating' | 'withheld'
  readonly code: string | undefined
  readonly message: string | undefined
  /** Since when heartbeats are withheld, milliseconds since 1970. */
  readonly sinceMs: number | undefined
}

/** The agent's standing in the registry, for people. */
export interface RegistrationStatus {
  readonly state: 'registered' | 'registering' | 'waiting' | 'exited'
  readonly code: string | undefined
  readonly message: string | undefined
  readonly hint: string | undefined
}

/** How a controller's last run went. */
export interface ControllerStatus {
  readonly name: string
  readonly state: 'idle' | 'ok' | 'failing' | 'stopped'
  readonly runs: number
  readonly failures: number
  /** Milliseconds since 1970. */
  readonly lastRunMs: number | undefined
  readonly code: string | undefined
  readonly message: string | undefined
}

type OrderResources = { [K in OrderKind as `order.${K}`]: OrderKinds[K] }
type UnitResources = { [K in UnitKind as `unit.${K}`]: UnitWanted<UnitConfigs[K]> }

/** Type of each kind. */
export interface Kinds extends OrderResources, UnitResources {
  'ledger.cursor': LedgerCursor
  'ledger.status': LedgerStatus
  'ledger.audits': AuditFacts
  'registry.node': LedgerNode
  'registry.self': Registration
  'registry.own': LedgerNode
  policy: Policy
  'audit.hold': AuditHold
  'transaction.registration': WantedTransaction
  'transaction.audit': WantedTransaction
  'transaction.heartbeat': WantedTransaction
  'transaction.repair': WantedTransaction
  'transaction.sent': SentTransaction
  'status.unit': UnitStatus
  'status.store': OrderStatus
  'status.slot': SlotStatus
  'status.mount': OrderStatus
  'status.repair': RepairStatus
  'status.registration': RegistrationStatus
  'status.audit': AuditStatus
  'status.heartbeat': HeartbeatStatus
  'status.controller': ControllerStatus
}

/** A kind of resource. */
export type Kind = keyof Kinds

/** How each kind is told apart: the resource's name, unique within its kind. */
export const IDENTIFY: { readonly [K in Kind]: (resource: Kinds[K]) => string } = {
  'ledger.cursor': () => 'cursor',
  'ledger.status': () => 'status',
  'ledger.audits': () => 'audits',
  ...sameForAll(ORDER_RESOURCES, (order: { readonly id: OrderId }) => String(order.id)),
  'registry.node': (node) => String(node.id),
  'registry.self': () => 'self',
  'registry.own': () => 'own',
  policy: () => 'policy',
  ...sameForAll(UNIT_RESOURCES, (unit: { readonly name: string }) => unit.name),
  'audit.hold': (hold) => hold.namespace,
  'transaction.registration': (wanted) => wanted.id,
  'transaction.audit': (wanted) => wanted.id,
  'transaction.heartbeat': (wanted) => wanted.id,
  'transaction.repair': (wanted) => wanted.id,
  'transaction.sent': (sent) => sent.id,
  'status.unit': (unit) => unit.name,
  'status.store': (status) => String(status.order),
  'status.slot': (slot) => slot.namespace,
  'status.mount': (status) => String(status.order),
  'status.repair': (repair) => `${repair.order}.${repair.slot}`,
  'status.registration': () => 'registration',
  'status.audit': () => 'audit',
  'status.heartbeat': () => 'heartbeat',
  'status.controller': (controller) => controller.name,
}

/** Kinds that outlive the process; `ledger/records.ts` says how each is kept. None of them may hold a secret. */
export const PERSISTED = [
  'ledger.cursor',
  'ledger.audits',
  ...ORDER_RESOURCES,
  'registry.node',
  'registry.self',
  'registry.own',
  'policy',
  'transaction.sent',
] as const satisfies readonly Kind[]

/** All kinds, sorted. */
export const ALL_KINDS: readonly Kind[] = (Object.keys(IDENTIFY) as Kind[]).sort()

/** One function for several kinds. */
function sameForAll<K extends string, F>(kinds: readonly K[], identify: F): Record<K, F> {
  return Object.fromEntries(kinds.map((kind) => [kind, identify])) as Record<K, F>
}
