/**
 * The kinds of resources that the agent's state is made of, and which of them outlive the process.
 *
 * Each kind has one writer (checked when the agent starts). What the ledger says is persisted, so that a restarted agent
 * goes on before the ledger answers; what follows from it, and what holds secrets, is derived again and never written.
 */
import type { NodeId, OrderId } from '../base/ids.ts'
import type {
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
import type { MountUnitConfig, OverlayUnitConfig, StoreUnitConfig } from './unit-config.ts'

/** Kinds of units. */
export type UnitKind = 'store' | 'overlay' | 'mount'

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
  readonly state: 'starting' | 'running' | 'backing-off' | 'stopping' | 'stopped'
  readonly pid: number | undefined
  /** True once the unit has taken over its newest configuration. */
  readonly configured: boolean
  readonly adopted: boolean
  /** Starts after the first. */
  readonly restarts: number
  readonly code: string | undefined
  readonly message: string | undefined
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

/** Type of each kind. */
export interface Kinds {
  'ledger.cursor': LedgerCursor
  'ledger.status': LedgerStatus
  'order.store': StoreOrder
  'order.volume': VolumeOrder
  'order.mount': MountOrder
  'order.unreadable': UnreadableOrder
  'registry.node': LedgerNode
  'registry.self': Registration
  policy: Policy
  'unit.store': UnitWanted<StoreUnitConfig>
  'unit.overlay': UnitWanted<OverlayUnitConfig>
  'unit.mount': UnitWanted<MountUnitConfig>
  'transaction.registration': WantedTransaction
  'transaction.heartbeat': WantedTransaction
  'transaction.repair': WantedTransaction
  'transaction.sent': SentTransaction
  'status.unit': UnitStatus
  'status.store': OrderStatus
  'status.slot': SlotStatus
  'status.mount': OrderStatus
  'status.repair': RepairStatus
  'status.registration': RegistrationStatus
  'status.controller': ControllerStatus
}

/** A kind of resource. */
export type Kind = keyof Kinds

/** How each kind is told apart: the resource's name, unique within its kind. */
export const IDENTIFY: { readonly [K in Kind]: (resource: Kinds[K]) => string } = {
  'ledger.cursor': () => 'cursor',
  'ledger.status': () => 'status',
  'order.store': (order) => String(order.id),
  'order.volume': (order) => String(order.id),
  'order.mount': (order) => String(order.id),
  'order.unreadable': (order) => String(order.id),
  'registry.node': (node) => String(node.id),
  'registry.self': () => 'self',
  policy: () => 'policy',
  'unit.store': (unit) => unit.name,
  'unit.overlay': (unit) => unit.name,
  'unit.mount': (unit) => unit.name,
  'transaction.registration': (wanted) => wanted.id,
  'transaction.heartbeat': (wanted) => wanted.id,
  'transaction.repair': (wanted) => wanted.id,
  'transaction.sent': (sent) => sent.id,
  'status.unit': (unit) => unit.name,
  'status.store': (status) => String(status.order),
  'status.slot': (slot) => slot.namespace,
  'status.mount': (status) => String(status.order),
  'status.repair': (repair) => `${repair.order}.${repair.slot}`,
  'status.registration': () => 'registration',
  'status.controller': (controller) => controller.name,
}

/** Kinds that outlive the process. None of them may hold a secret. */
export const PERSISTED: ReadonlySet<Kind> = new Set<Kind>([
  'ledger.cursor',
  'order.store',
  'order.volume',
  'order.mount',
  'order.unreadable',
  'registry.node',
  'registry.self',
  'policy',
  'transaction.sent',
])

/** All kinds, sorted. */
export const ALL_KINDS: readonly Kind[] = (Object.keys(IDENTIFY) as Kind[]).sort()
