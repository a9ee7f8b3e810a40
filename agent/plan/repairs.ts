/**
 * Plans the repair of volumes that this node writes: a slot whose node went silent, or drains, moves to another node.
 *
 * Pure. Silence is judged by the ledger's clock at a final block, and only by a node that is itself alive there: when
 * everybody looks dead, it is the view that is wrong, or the chain that slept, and nothing is moved.
 *
 * @see docs/design/0001-first-slice.md, section 8
 */
import { isNodeError } from '../base/errors.ts'
import type { FarmId, NodeId } from '../base/ids.ts'
import { chooseNodes } from '../base/placement.ts'
import { slotRate } from '../base/slot-rate.ts'
import type {
  LedgerNode,
  MountOrder,
  OrderSlot,
  Policy,
  VolumeOrder,
  WantedTransaction,
} from '../ledger/types.ts'
import type { RepairStatus } from '../state/kinds.ts'
import { writingMount } from './stores.ts'

/** Two missed heartbeats make a node late (`Policy.lateSeconds`). */
const LATE_HEARTBEATS = 2
/** A repairer may spend at most this multiple of the lost node's price (`Orders.MAX_REPLACEMENT_FACTOR`). */
const PRICE_FACTOR_MAX = 2n

/** What the planner looks at. */
export interface RepairsWorld {
  readonly self: NodeId | undefined
  /** The ledger's time at the final block, seconds. */
  readonly now: number
  /** The ledger's time at which `nodes` were read. */
  readonly nodesReadAt: number
  readonly volumes: readonly VolumeOrder[]
  readonly mounts: readonly MountOrder[]
  /** This node as it is at the final block, undefined while it is not registered. */
  readonly own: LedgerNode | undefined
  /** The registry as it was at `nodesReadAt`. */
  readonly nodes: readonly LedgerNode[]
  readonly policy: Pick<Policy, 'values'>
}

/** The plan. */
export interface RepairsPlan {
  readonly transactions: readonly WantedTransaction[]
  readonly repairs: readonly RepairStatus[]
}

/**
 * Computes which slots are to be moved, and where.
 *
 * @param world - What the ledger says.
 * @returns One repair for each lost slot, by order and slot; a transaction for each that has a candidate.
 * @example
 * planRepairs(world).transactions.length
 */
export function planRepairs(world: RepairsWorld): RepairsPlan {
  const { own } = world
  if (!own || !isAlive(own, world.now, world)) return { transactions: [], repairs: [] }
  const volumes = world.volumes
    .filter((volume) => volume.state === 'live' && isWriter(volume, world))
    .sort((a, b) => a.id - b.id)
  const repairs = volumes.flatMap((volume) => repairsOf(volume, world))
  return { transactions: repairs.flatMap(transactionFor), repairs }
}

function isAlive(node: LedgerNode, now: number, world: RepairsWorld): boolean {
  return now - node.lastHeartbeat <= LATE_HEARTBEATS * world.policy.values.heartbeatSeconds
}

function isWriter(volume: VolumeOrder, world: RepairsWorld): boolean {
  const mount = writingMount(volume.id, world.mounts)
  return mount?.slots[0]?.node === world.self
}

type Repair = RepairStatus & {
  readonly generation: number
  /** What the new node asks for the slot. */
  readonly ratePerSecond: bigint
}

/** Slots are looked at one after another, so that two of them never go to one farm. */
function repairsOf(volume: VolumeOrder, world: RepairsWorld): Repair[] {
  const nodes = new Map(world.nodes.map((node) => [node.id, node]))
  const dataSlots = volume.dataShards + volume.parityShards
  const taken = volume.slots.map(({ node }) => node)
  const repairs: Repair[] = []
  for (const [index, slot] of volume.slots.entries()) {
    if (!isLost(slot, nodes.get(slot.node), world)) continue
    const group = taken.filter(
      (_, other) => other !== index && other < dataSlots === index < dataSlots,
    )
    const to = choose(volume, index, slot, group, world)
    if (to !== undefined) taken[index] = to
    repairs.push({
      order: volume.id,
      slot: index,
      node: slot.node,
      state: to === undefined ? 'no-candidate' : 'replacing',
      to,
      generation: slot.generation,
      ratePerSecond: slotRate(slot.sizeBytes, nodes.get(to ?? slot.node)?.pricePerGibSecond ?? 0n),
    })
  }
  return repairs
}

function isLost(slot: OrderSlot, node: LedgerNode | undefined, world: RepairsWorld): boolean {
  const isSilent = world.now - slot.lastSeen > world.policy.values.lostSeconds
  return isSilent || node?.state === 'draining' || node?.state === 'exited'
}

function choose(
  volume: VolumeOrder,
  index: number,
  slot: OrderSlot,
  group: readonly NodeId[],
  world: RepairsWorld,
): NodeId | undefined {
  const farmOf = new Map(world.nodes.map(({ id, farm }) => [id, farm]))
  const farms = new Set<FarmId>()
  for (const node of group) {
    const farm = farmOf.get(node)
    if (farm !== undefined) farms.add(farm)
  }
  const lost = world.nodes.find(({ id }) => id === slot.node)
  const isAffordable = (node: LedgerNode) =>
    !lost || node.pricePerGibSecond <= PRICE_FACTOR_MAX * lost.pricePerGibSecond
  const candidates = world.nodes
    .filter((node) => node.state === 'active' && isAlive(node, world.nodesReadAt, world))
    .filter(isAffordable)
    .map((node) => ({
      node: node.id,
      farm: node.farm,
      freeBytes: node.capacityBytes - node.usedBytes,
      weight: 1,
    }))
  try {
    const [chosen] = chooseNodes({
      candidates,
      seed: `${volume.id}.${index}.${slot.generation + 1}`,
      count: 1,
      sizeBytes: slot.sizeBytes,
      avoidFarms: volume.sameFarmAllowed ? new Set() : farms,
      avoidNodes: new Set([...group, slot.node]),
    })
    return chosen
  } catch (caught) {
    if (isNodeError(caught, 'PLACEMENT_TOO_FEW')) return undefined
    throw caught
  }
}

function transactionFor(repair: Repair): WantedTransaction[] {
  const { order, slot, to, generation, node, ratePerSecond } = repair
  if (to === undefined) return []
  return [
    {
      id: `replace/${order}/${slot}/${generation}/${to}`,
      call: { method: 'replace', order, slot, node: to, maxRatePerSecond: ratePerSecond },
      why: `slot ${slot} of volume ${order} moves from node ${node} to node ${to}`,
    },
  ]
}
