/** Orders, nodes and policy as the ledger gives them, for tests of planners; only tests have defaults. */
import { toHex } from '../../agent/base/bytes.ts'
import { type Identity, identityFromSeed } from '../../agent/base/identity.ts'
import { account, farmId, nodeId, orderId } from '../../agent/base/ids.ts'
import { seal } from '../../agent/base/sealing.ts'
import { volumeKeyCommitment, volumeKeyContext } from '../../agent/base/volume-keys.ts'
import type {
  LedgerCursor,
  LedgerNode,
  MountOrder,
  OrderSlot,
  Policy,
  StoreOrder,
  VolumeOrder,
} from '../../agent/ledger/types.ts'

export const CHAIN_ID = 31_337
export const GRID = `0x${'9'.repeat(40)}`
export const NOW = 1_000_000
export const VOLUME_KEY = new Uint8Array(32).fill(7)

const identities = new Map<number, Identity>()

/** Identity of node `n`; made once, because its keys take a millisecond. */
export function identityOf(n: number): Identity {
  const identity = identities.get(n) ?? identityFromSeed(new Uint8Array(32).fill(n))
  identities.set(n, identity)
  return identity
}

/** Node `n`, of farm `n`, alive. */
export function aNode(n: number, more: Partial<LedgerNode> = {}): LedgerNode {
  const identity = identityOf(n)
  return {
    id: nodeId(n),
    farm: farmId(n),
    account: identity.account,
    state: 'active',
    capacityBytes: 1000,
    usedBytes: 0,
    pricePerGibSecond: 10n,
    stake: 0n,
    registeredAt: 1,
    lastHeartbeat: NOW - 1,
    publicKey: `0x${toHex(identity.publicKey)}`,
    sealingKey: `0x${toHex(identity.sealingKey)}`,
    addresses: [`/ip4/127.0.0.1/tcp/${4000 + n}`],
    ...more,
  }
}

/** A slot on node `n`, seen a second ago. */
export function aSlot(n: number, more: Partial<OrderSlot> = {}): OrderSlot {
  return {
    node: nodeId(n),
    sizeBytes: 100,
    assignedAt: 1,
    lastSeen: NOW - 1,
    generation: 0,
    ...more,
  }
}

const common = (id: number) => ({
  id: orderId(id),
  state: 'live' as const,
  tenant: identityOf(99).account,
  placedAt: 1,
  paidUntil: NOW + 1000,
  endedAt: 0,
  deletableAt: 0,
  ratePerSecond: 1n,
  releases: [],
})

/** Store order `id` on node 1, writable by account of node 2, readable by that of node 3. */
export function aStore(id: number, more: Partial<StoreOrder> = {}): StoreOrder {
  return {
    ...common(id),
    kind: 'store',
    slots: [aSlot(1)],
    mode: 'user',
    worm: false,
    writers: [identityOf(2).account],
    readers: [identityOf(3).account],
    ...more,
  }
}

/** Volume order `id`: 1+1 data slots and 1 metadata slot on nodes 1, 2, 3. */
export function aVolume(id: number, more: Partial<VolumeOrder> = {}): VolumeOrder {
  return {
    ...common(id),
    kind: 'volume',
    slots: [aSlot(1), aSlot(2), aSlot(3)],
    dataShards: 1,
    parityShards: 1,
    metaStores: 1,
    sameFarmAllowed: false,
    sizeBytes: 50,
    keyCommitment: `0x${toHex(volumeKeyCommitment(VOLUME_KEY))}`,
    writerEpoch: 1,
    mounts: [],
    ...more,
  }
}

/** Mount order `id` of `volume` on `node`, its key sealed to that node. */
export function aMount(
  id: number,
  volume: number,
  node: number,
  more: Partial<MountOrder> = {},
): MountOrder {
  const { account, sealingKey } = identityOf(node)
  const context = volumeKeyContext({ chainId: CHAIN_ID, grid: GRID, volume, account })
  return {
    ...common(id),
    kind: 'mount',
    slots: [aSlot(node)],
    volume: orderId(volume),
    readOnly: false,
    name: `m${id}`,
    sealedKey: `0x${toHex(seal(sealingKey, VOLUME_KEY, context))}`,
    ...more,
  }
}

/** Where the reading of the ledger stands: at block 5, with one block before it. */
export function aCursor(more: Partial<LedgerCursor> = {}): LedgerCursor {
  const contract = account(GRID)
  const hash = (n: number) => `0x${String(n).repeat(64)}`
  return {
    pin: {
      chainId: CHAIN_ID,
      ...{ grid: contract, policy: contract, nodes: contract, orders: contract },
      ...{ escrow: contract, token: contract },
      deployedAtBlock: 1,
      codeDigest: '7'.repeat(64),
    },
    block: { number: 5, hash: hash(5), parentHash: hash(4), timestamp: NOW },
    ...{ sequence: 3, registryVersion: 2, nodesReadAt: NOW, finalNumber: 5, sweptAt: NOW },
    trail: [{ number: 4, hash: hash(4), timestamp: NOW - 1 }],
    time: { provenSeconds: NOW, frozenUntil: 0, adoptedAtMs: 1000 * NOW },
    ...more,
  }
}

/** The policy of a small grid: heartbeat 10 s, lost after 30 s, grace 100 s. */
export function aPolicy(more: Partial<Policy['values']> = {}): Policy {
  return {
    version: 1,
    values: {
      finalityDepth: 0,
      heartbeatSeconds: 10,
      lostSeconds: 30,
      graceSeconds: 100,
      stakePerGib: 0n,
      maxPricePerGibSecond: 1000n,
      workloadsAllowed: 14,
      maxSlots: 20,
      minSeconds: 1,
      maxSeconds: 1000,
      dispersalAgeSeconds: 5,
      scrubSeconds: 60,
      auditEpochSeconds: 0,
      auditWindowSeconds: 60,
      auditWindowBlocks: 1,
      auditSamples: 64,
      auditOpenOdds: 0,
      auditAnswerSeconds: 60,
      auditBond: 0n,
      auditMissSlash: 100,
      auditFraudSlash: 2000,
      auditReporterShare: 1000,
      votesPerGib: 0n,
      capacityVotesPercent: 20,
      maxPricePerCoreSecond: 1000n,
      maxPricePerMemoryGibSecond: 1000n,
      maxPricePerEgressGib: 1000n,
      minNodeStake: 0n,
      stakeSeconds: 0,
      nodeFeePerDay: 0n,
      noticeSeconds: 100,
      ...more,
    },
  }
}
