/**
 * Plans the namespaces of this node's store: from orders to what is wanted, kept or deletable, and who may enter.
 *
 * Pure. Absence is never an order: a namespace is named `ended` only if the ledger says at a final block that its order
 * ended, or that the slot of a store went to another node, and the grace since then has passed by the ledger's own clock.
 * A slot of a volume that went to another node is never let go by time alone: its successor may be empty still, so it stays
 * a source that the volume's mounts read, until the volume itself ends.
 *
 * @see docs/design/0001-first-slice.md, section 4
 */
import type { Account, NodeId } from '../base/ids.ts'
import type {
  LedgerNode,
  MountOrder,
  Order,
  OrderSlot,
  StoreOrder,
  UnreadableOrder,
  VolumeOrder,
} from '../ledger/types.ts'
import type { AuditHold, OrderStatus, SlotStatus } from '../state/kinds.ts'
import type { NamespaceConfig, StoreUnitConfig } from '../state/unit-config.ts'

/** What the planner looks at. */
export interface StoresWorld {
  readonly self: NodeId | undefined
  /** The ledger's time up to which two independent times agree, seconds; 0 while nothing may be deleted. */
  readonly now: number
  readonly graceSeconds: number
  readonly stores: readonly StoreOrder[]
  readonly volumes: readonly VolumeOrder[]
  readonly mounts: readonly MountOrder[]
  readonly unreadable: readonly UnreadableOrder[]
  readonly nodes: readonly LedgerNode[]
  /**
   * What must stay because this node is audited for it; `off` while policy has audits switched off, which is the same as nothing;
   * `unknown` while nobody has said, and then nothing is removed.
   */
  readonly holds: readonly AuditHold[] | 'off' | 'unknown'
}

/** The plan. */
export interface StoresPlan {
  readonly config: StoreUnitConfig
  readonly slots: readonly SlotStatus[]
  readonly orders: readonly OrderStatus[]
}

/**
 * Computes the configuration of the store unit.
 *
 * @param world - Orders that concern this node, ids unique, any order.
 * @returns Namespaces sorted by order and slot; each name is either in `namespaces` or in `ended`, never in both.
 * @example
 * planStores({ self, now, graceSeconds, stores: [order], volumes: [], mounts: [], unreadable: [], nodes }).config
 */
export function planStores(world: StoresWorld): StoresPlan {
  const { self } = world
  const orders = [...world.stores, ...world.volumes].sort((a, b) => a.id - b.id)
  const places = self === undefined ? [] : orders.flatMap((order) => placesOf(order, self, world))
  const mayGo = endedOf(places, world.holds)
  return {
    config: {
      namespaces: places.flatMap(({ namespace, slot }) =>
        mayGo.has(slot.namespace) ? [] : [{ ...namespace, ...keptOf(slot.namespace, world.holds) }],
      ),
      ended: [...mayGo],
    },
    slots: places.map(({ slot }) => slot),
    orders: [
      ...orders
        .filter((order) => order.slots.some(({ node }) => node === self))
        .map((order) => statusOf(order)),
      ...world.unreadable.map(refusalOf),
    ],
  }
}

/**
 * Name of a slot's namespace.
 *
 * @example
 * namespaceName(7, 2) // 'o7.2'
 */
export function namespaceName(order: number, slot: number): string {
  return `o${order}.${slot}`
}

/**
 * The mount that may write a volume: its newest that is live and not read-only.
 *
 * @param volume - Number of the volume.
 * @param mounts - Known mounts, of any volume.
 * @returns The mount, or undefined if none may write now.
 */
export function writingMount(
  volume: number,
  mounts: readonly MountOrder[],
): MountOrder | undefined {
  return liveMounts(volume, mounts)
    .filter(({ readOnly }) => !readOnly)
    .at(-1)
}

/**
 * Ledger seconds for which the writer that a newer one replaced may still store what it had not dispersed. The newer one claims the
 * metadata stores before it reads them, so this can never let both be acknowledged.
 */
const HANDOVER_SECONDS = 60

/** The writing mount that the newest one replaced, if its order still lives: it disperses what it has before the other begins. */
export function outgoingMount(
  volume: number,
  mounts: readonly MountOrder[],
): MountOrder | undefined {
  return liveMounts(volume, mounts)
    .filter(({ readOnly }) => !readOnly)
    .at(-2)
}

function liveMounts(volume: number, mounts: readonly MountOrder[]): MountOrder[] {
  return mounts
    .filter((mount) => mount.volume === volume && mount.state === 'live')
    .sort((a, b) => a.id - b.id)
}

interface Place {
  readonly slot: SlotStatus
  readonly namespace: NamespaceConfig
  /** True if the ledger lets the data go. */
  readonly isDeletable: boolean
}

/** What the ledger lets go and no audit can ask for. */
function endedOf(places: readonly Place[], holds: StoresWorld['holds']): ReadonlySet<string> {
  if (holds === 'unknown') return new Set()
  const needed = holds === 'off' ? [] : holds.filter(({ isNeeded }) => isNeeded)
  const held = new Set(needed.map(({ namespace }) => namespace))
  return new Set(
    places.flatMap(({ namespace, isDeletable }) =>
      isDeletable && !held.has(namespace.name) ? [namespace.name] : [],
    ),
  )
}

/** What the store is told of what dies in a namespace; nothing while nobody has said. */
function keptOf(name: string, holds: StoresWorld['holds']): Pick<NamespaceConfig, 'keptSince'> {
  if (holds === 'unknown') return {}
  const hold = holds === 'off' ? undefined : holds.find(({ namespace }) => namespace === name)
  return { keptSince: hold?.keptSince ?? 0 }
}

/** The slots of an order that this node has, or had and must keep for the grace. */
function placesOf(order: StoreOrder | VolumeOrder, self: NodeId, world: StoresWorld): Place[] {
  const held = order.slots.flatMap((slot, index) => {
    if (slot.node !== self) return []
    const isDeletable =
      order.state === 'ended' && order.deletableAt > 0 && order.deletableAt <= world.now
    return [place(order, index, slot, isDeletable ? 'ended' : order.state, isDeletable, world)]
  })
  const lost = new Map<number, number>()
  for (const { slot, node, at } of order.releases) if (node === self) lost.set(slot, at)
  const released = [...lost].flatMap(([index, at]) => {
    const slot = order.slots[index]
    if (!slot || slot.node === self) return []
    return [place(order, index, slot, 'released', mayForget(order, at, world), world)]
  })
  return [...held, ...released].sort((a, b) => a.slot.slot - b.slot.slot)
}

/** Whether the data of a slot that moved away may go. @param at - When it moved. */
function mayForget(order: StoreOrder | VolumeOrder, at: number, world: StoresWorld): boolean {
  if (order.kind === 'store') return at + world.graceSeconds <= world.now
  return order.state === 'ended' && order.deletableAt > 0 && order.deletableAt <= world.now
}

function place(
  order: StoreOrder | VolumeOrder,
  index: number,
  slot: OrderSlot,
  state: SlotStatus['state'],
  isDeletable: boolean,
  world: StoresWorld,
): Place {
  const name = namespaceName(order.id, index)
  const isSource = state === 'released' && order.kind === 'volume' && order.state === 'live'
  const none = { writers: [], readers: [] }
  const rights =
    state === 'live' ? rightsOf(order, world) : isSource ? sourceRights(order, world) : none
  const namespace: NamespaceConfig = {
    name,
    mode: order.kind === 'store' ? order.mode : 'user',
    worm: order.kind === 'store' && order.worm,
    maxBytes: slot.sizeBytes,
    state: state === 'live' || isSource ? 'live' : 'suspended',
    ...rights,
  }
  return {
    slot: { namespace: name, order: order.id, slot: index, sizeBytes: slot.sizeBytes, state },
    ...{ namespace, isDeletable },
  }
}

/** Who may enter: for a store, whom its spec names; for a volume, the nodes that mount it. */
function rightsOf(
  order: StoreOrder | VolumeOrder,
  world: StoresWorld,
): { writers: Account[]; readers: Account[] } {
  if (order.kind === 'store') {
    const readers = order.readers.filter((reader) => !order.writers.includes(reader))
    return { writers: [...order.writers], readers }
  }
  const accounts = new Map(world.nodes.map((node) => [node.id, node.account]))
  const accountOf = (mount: MountOrder | undefined) => {
    const node = mount?.slots[0]?.node
    const found = node === undefined ? undefined : accounts.get(node)
    return found === undefined ? [] : [found]
  }
  const writing = writingMount(order.id, world.mounts)
  const isHandedOver = (writing?.placedAt ?? 0) + HANDOVER_SECONDS <= world.now
  const outgoing = isHandedOver ? undefined : outgoingMount(order.id, world.mounts)
  const writers = [...new Set([writing, outgoing].flatMap(accountOf))]
  const mounting = liveMounts(order.id, world.mounts).flatMap(accountOf)
  const readers = [...new Set(mounting)].filter((account) => !writers.includes(account))
  return { writers, readers }
}

/** What a slot held before it moved is read by every mount and written by none. */
function sourceRights(
  order: VolumeOrder,
  world: StoresWorld,
): { writers: Account[]; readers: Account[] } {
  const { writers, readers } = rightsOf(order, world)
  return { writers: [], readers: [...writers, ...readers] }
}

function statusOf(order: Order): OrderStatus {
  const state = order.state === 'live' ? 'provisioned' : order.state
  return { order: order.id, kind: order.kind, state, code: undefined, message: undefined }
}

function refusalOf(order: UnreadableOrder): OrderStatus {
  const { id, code, message } = order
  return { order: id, kind: 'unreadable', state: 'refused', code, message }
}
