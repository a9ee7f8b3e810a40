/**
 * Plans the mounts of this node: from mount orders to what each mount unit is told, or to a refusal with a code.
 *
 * Pure. A mount unit is stopped only if its order says so (ended, suspended, refused); its local data goes only once the
 * ledger says that its order ended and the grace passed.
 */
import { bytesEqual, fromHex, toHex } from '../base/bytes.ts'
import { codeOf, isNodeError } from '../base/errors.ts'
import type { Identity } from '../base/identity.ts'
import type { Account, NodeId } from '../base/ids.ts'
import { open } from '../base/sealing.ts'
import { SECOND_MS } from '../base/units.ts'
import { volumeKeyCommitment, volumeKeyContext } from '../base/volume-keys.ts'
import type { AuditFacts, LedgerNode, MountOrder, Policy, VolumeOrder } from '../ledger/types.ts'
import type { OrderStatus, UnitWanted } from '../state/kinds.ts'
import type { MountUnitConfig, SlotConfig } from '../state/unit-config.ts'
import type { MountRefusalCode } from './errors.ts'
import { namespaceName, outgoingMount, writingMount } from './stores.ts'

/** What the planner looks at. */
export interface MountsWorld {
  readonly self: NodeId | undefined
  /** The ledger's time up to which two independent times agree, seconds; 0 while nothing may be deleted. */
  readonly now: number
  readonly mounts: readonly MountOrder[]
  readonly volumes: readonly VolumeOrder[]
  readonly nodes: readonly LedgerNode[]
  readonly policy: Pick<Policy, 'values'>
  readonly chainId: number
  readonly grid: Account
  readonly identity: Pick<Identity, 'account' | 'privateKey' | 'sealingKey' | 'sealingPrivateKeys'>
  /** Absolute path below which mounts appear. */
  readonly mountRoot: string
  /** Bytes of local chunk cache of one mount. */
  readonly cacheBytes: number
  /** Undefined while policy has audits switched off. */
  readonly audits?: Pick<AuditFacts, 'audits' | 'epoch'> | undefined
}

/** Earlier holders of one slot that a mount reads from: those before were left for these, and each costs a connection. */
const FORMERS_MAX = 4

/** The plan. */
export interface MountsPlan {
  readonly units: readonly UnitWanted<MountUnitConfig>[]
  readonly orders: readonly OrderStatus[]
}

type Verdict =
  | { readonly volume: VolumeOrder; readonly volumeKey: Uint8Array; readonly path: string }
  | { readonly code: MountRefusalCode; readonly message: string }

/**
 * Computes one unit for each mount order of this node.
 *
 * @param world - Orders that concern this node, ids unique, any order.
 * @returns Units and statuses by ascending order number.
 * @example
 * planMounts(world).units.filter((unit) => unit.run).length
 */
export function planMounts(world: MountsWorld): MountsPlan {
  const own = world.mounts
    .filter((mount) => mount.slots.some(({ node }) => node === world.self))
    .sort((a, b) => a.id - b.id)
  const paths = new Map<string, MountOrder>()
  const plans = own.map((mount) => planOne(mount, world, paths))
  return { units: plans.map(({ unit }) => unit), orders: plans.map(({ order }) => order) }
}

/**
 * Name of the unit of a mount order.
 *
 * @example
 * mountUnitName(7) // 'mount-7'
 */
export function mountUnitName(order: number): string {
  return `mount-${order}`
}

function planOne(
  mount: MountOrder,
  world: MountsWorld,
  paths: Map<string, MountOrder>,
): { unit: UnitWanted<MountUnitConfig>; order: OrderStatus } {
  const name = mountUnitName(mount.id)
  const status = { order: mount.id, kind: 'mount', code: undefined, message: undefined } as const
  if (mount.state !== 'live') {
    const discard =
      mount.state === 'ended' && mount.deletableAt > 0 && mount.deletableAt <= world.now
    return { unit: { name, run: false, discard }, order: { ...status, state: mount.state } }
  }
  const verdict = judge(mount, world, paths)
  if ('code' in verdict) {
    const { code, message } = verdict
    const isPassing = code === 'MOUNT_VOLUME_SUSPENDED' || code === 'MOUNT_VOLUME_MISSING'
    return {
      unit: { name, run: false, discard: false },
      order: { ...status, state: isPassing ? 'waiting' : 'refused', code, message },
    }
  }
  paths.set(verdict.path, mount)
  const slots = slotsOf(verdict.volume, world.nodes)
  if (!slots) {
    const message = 'a slot of the volume is on a node that the registry does not have'
    return {
      unit: { name, run: false, discard: false },
      order: { ...status, state: 'waiting', code: 'MOUNT_SLOT_UNKNOWN', message },
    }
  }
  const config = configOf(mount, verdict, slots, world)
  return { unit: { name, run: true, config }, order: { ...status, state: 'provisioned' } }
}

function judge(mount: MountOrder, world: MountsWorld, paths: Map<string, MountOrder>): Verdict {
  const path = mountPath(world.mountRoot, mount.name)
  if (path === undefined) {
    return refusal('MOUNT_NAME_INVALID', `"${mount.name.slice(0, 80)}" is no path below the root`)
  }
  for (const [other, { id }] of paths) {
    if (other === path) return refusal('MOUNT_DUPLICATE', `order ${id} is mounted at this path`)
    const isNested = path.startsWith(`${other}/`) || other.startsWith(`${path}/`)
    if (isNested) return refusal('MOUNT_NESTED', `order ${id} is mounted above or below this path`)
  }
  const volume = world.volumes.find(({ id }) => id === mount.volume)
  if (!volume) return refusal('MOUNT_VOLUME_MISSING', `volume ${mount.volume} is not readable`)
  if (volume.state === 'ended') {
    return refusal('MOUNT_VOLUME_ENDED', `volume ${volume.id} has ended`)
  }
  if (volume.state === 'suspended') {
    return refusal('MOUNT_VOLUME_SUSPENDED', `volume ${volume.id} is not paid for`)
  }
  const volumeKey = openKey(mount, world)
  if (!volumeKey)
    return refusal('MOUNT_KEY_UNREADABLE', 'the volume key is not sealed to this node')
  if (!bytesEqual(volumeKeyCommitment(volumeKey), fromHex(volume.keyCommitment))) {
    return refusal('MOUNT_KEY_WRONG', 'the sealed key is not the key of the volume')
  }
  return { volume, volumeKey, path }
}

function refusal(code: MountRefusalCode, message: string): Verdict {
  return { code, message }
}

/**
 * The path of a mount.
 *
 * @param root - Absolute path of the mount root.
 * @param name - Segments of letters, digits, `.`, `_`, `-`, joined by `/`.
 * @returns The absolute path strictly below the root, or undefined if the name leads anywhere else.
 * @example
 * mountPath('/data/mnt', 'geth/ancient') // '/data/mnt/geth/ancient'
 */
export function mountPath(root: string, name: string): string | undefined {
  const SEGMENT = /^[A-Za-z0-9._-]{1,255}$/
  const segments = name.split('/')
  const isSafe = segments.every(
    (segment) => SEGMENT.test(segment) && segment !== '.' && segment !== '..',
  )
  return isSafe ? `${root.replace(/\/+$/, '')}/${segments.join('/')}` : undefined
}

function openKey(mount: MountOrder, world: MountsWorld): Uint8Array | undefined {
  const { chainId, grid, identity } = world
  const name = { chainId, grid, volume: mount.volume, account: identity.account }
  try {
    return open(identity, fromHex(mount.sealedKey), volumeKeyContext(name))
  } catch (caught) {
    if (isNodeError(caught) && codeOf(caught)?.startsWith('SEAL_')) return undefined
    throw caught
  }
}

function slotsOf(
  volume: VolumeOrder,
  nodes: readonly LedgerNode[],
): readonly SlotConfig[] | undefined {
  const accounts = new Map(nodes.map((node) => [node.id, node.account]))
  const slots = volume.slots.flatMap((slot, index): SlotConfig[] => {
    const account = accounts.get(slot.node)
    const namespace = namespaceName(volume.id, index)
    if (!account) return []
    const before = volume.releases.filter((one) => one.slot === index && one.node !== slot.node)
    const formers = [...new Set(before.flatMap(({ node }) => accounts.get(node) ?? []).reverse())]
    const own = { index, generation: slot.generation, account, namespace }
    return [formers.length > 0 ? { ...own, formers: formers.slice(0, FORMERS_MAX) } : own]
  })
  return slots.length === volume.slots.length ? slots : undefined
}

function configOf(
  mount: MountOrder,
  verdict: { readonly volume: VolumeOrder; readonly volumeKey: Uint8Array; readonly path: string },
  slots: readonly SlotConfig[],
  world: MountsWorld,
): MountUnitConfig {
  const { volume, volumeKey, path } = verdict
  const isWriter = writingMount(volume.id, world.mounts)?.id === mount.id
  return {
    order: mount.id,
    volume: volume.id,
    path,
    // A writer that a newer one replaced goes on as a reader.
    readOnly: mount.readOnly || !isWriter,
    sizeBytes: volume.sizeBytes,
    dataShards: volume.dataShards,
    parityShards: volume.parityShards,
    writerEpoch: volume.writerEpoch,
    volumeKey: toHex(volumeKey),
    privateKey: toHex(world.identity.privateKey),
    grid: world.grid,
    chainId: world.chainId,
    writers: writersEver(volume, world),
    slots,
    dispersalAgeMs: world.policy.values.dispersalAgeSeconds * SECOND_MS,
    scrubMs: world.policy.values.scrubSeconds * SECOND_MS,
    cacheBytes: world.cacheBytes,
    ...(isWriter &&
      outgoingMount(volume.id, world.mounts) && { outgoingEpoch: volume.writerEpoch - 1 }),
    ...(world.audits && {
      audits: {
        chainId: world.chainId,
        audits: world.audits.audits,
        epoch: world.audits.epoch?.number ?? 0,
        nodes: volume.slots.map(({ node }) => node),
      },
    }),
  }
}

/** Accounts of all nodes that ever had a writable mount of the volume, whatever became of it. */
function writersEver(volume: VolumeOrder, world: MountsWorld): readonly Account[] {
  const accounts = new Map(world.nodes.map((node) => [node.id, node.account]))
  const writing = world.mounts.filter((mount) => mount.volume === volume.id && !mount.readOnly)
  const nodes = writing.flatMap(({ slots, releases }) => [...slots, ...releases])
  const found = nodes.flatMap(({ node }) => accounts.get(node) ?? [])
  return [...new Set(found)].sort()
}
