/**
 * Chooses the nodes of a volume. Pure.
 *
 * Data and parity slots stand on distinct farms, and so do metadata slots; one node may hold one of each. A node is the
 * more likely the more it has free and the less it asks.
 */
import { required } from '../../agent/base/assert.ts'
import { isNodeError, NodeError } from '../../agent/base/errors.ts'
import type { NodeId } from '../../agent/base/ids.ts'
import { chooseNodes, type PlacementCandidate } from '../../agent/base/placement.ts'
import type { GridNode } from './nodes.ts'
import { slotSizes, type VolumeShape } from './slot-sizes.ts'

/** One slot and the node it is to be on. */
export interface PlacedSlot {
  readonly node: NodeId
  readonly sizeBytes: number
}

/** What a choice depends on. */
export interface PlaceSlotsRequest {
  readonly nodes: readonly GridNode[]
  readonly shape: VolumeShape
  /** Any text; the same text and nodes give the same choice. */
  readonly seed: string
  readonly sameFarmAllowed: boolean
  /** Policy's cap; dearer nodes are not asked. */
  readonly maxPricePerGibSecond: bigint
  /** Numbers of nodes that must not be chosen. */
  readonly avoid?: readonly number[] | undefined
}

/**
 * Chooses nodes for all slots of a volume.
 *
 * @param request - See {@link PlaceSlotsRequest}.
 * @returns k + m data slots, then the metadata slots.
 * @throws NodeError `NODES_TOO_FEW`.
 */
export function placeSlots(request: PlaceSlotsRequest): PlacedSlot[] {
  const { shape, seed, sameFarmAllowed } = request
  const { dataBytes, metaBytes } = slotSizes(shape)
  const takers = takersOf(request)
  const data = choose(
    takers.map((node) => candidateOf(node, 0)),
    {
      what: 'data',
      seed,
      count: shape.dataShards + shape.parityShards,
      sizeBytes: dataBytes,
      sameFarmAllowed,
    },
  )
  const taken = new Set(data)
  const metadata = choose(
    takers.map((node) => candidateOf(node, taken.has(node.id) ? dataBytes : 0)),
    { what: 'metadata', seed, count: shape.metaStores, sizeBytes: metaBytes, sameFarmAllowed },
  )
  return [
    ...data.map((node) => ({ node, sizeBytes: dataBytes })),
    ...metadata.map((node) => ({ node, sizeBytes: metaBytes })),
  ]
}

/**
 * Chooses the node of a store.
 *
 * @param request - What is known, without the shape of a volume.
 * @param sizeBytes - Bytes of the store.
 * @returns The slot.
 * @throws NodeError `NODES_TOO_FEW`.
 */
export function placeStore(
  request: Omit<PlaceSlotsRequest, 'shape' | 'sameFarmAllowed'>,
  sizeBytes: number,
): PlacedSlot {
  const candidates = takersOf(request).map((node) => candidateOf(node, 0))
  const { seed } = request
  const [node] = choose(candidates, {
    ...{ what: 'store', seed, count: 1, sizeBytes, sameFarmAllowed: true },
  })
  return { node: required(node, 'one node was asked for'), sizeBytes }
}

function takersOf(
  request: Pick<PlaceSlotsRequest, 'nodes' | 'maxPricePerGibSecond' | 'avoid'>,
): GridNode[] {
  return request.nodes.filter(
    (node) =>
      node.isAlive &&
      node.pricePerGibSecond <= request.maxPricePerGibSecond &&
      !request.avoid?.includes(node.id),
  )
}

function candidateOf(node: GridNode, takenBytes: number): PlacementCandidate {
  const freeBytes = Math.max(0, node.freeBytes - takenBytes)
  const price = Number(node.pricePerGibSecond)
  return { node: node.id, farm: node.farm, freeBytes, weight: (freeBytes + 1) / (price + 1) }
}

interface Group {
  readonly what: 'data' | 'metadata' | 'store'
  readonly seed: string
  readonly count: number
  readonly sizeBytes: number
  readonly sameFarmAllowed: boolean
}

function choose(candidates: readonly PlacementCandidate[], group: Group): NodeId[] {
  const { what, count, sizeBytes, sameFarmAllowed } = group
  try {
    const seed = `${group.seed}/${what}`
    return chooseNodes({ candidates, seed, count, sizeBytes, sameFarmAllowed })
  } catch (cause) {
    if (!isNodeError(cause, 'PLACEMENT_TOO_FEW')) throw cause
    const farms = sameFarmAllowed ? '' : ' of distinct farms'
    throw new NodeError(
      'NODES_TOO_FEW',
      `${count} ${what} slots need ${count} nodes${farms} with ${sizeBytes} bytes free; ${cause.details['found']} fit`,
      { cause, details: cause.details },
    )
  }
}
