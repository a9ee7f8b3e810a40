/**
 * What the agent tells its units over their control sockets (`configure`): the whole desired configuration, every time.
 *
 * Bytes are hexadecimal strings, because the control protocol is JSON.
 */
import type { Account } from '../base/ids.ts'
import type { AuditFacts } from '../ledger/types.ts'

/** One namespace that orders opened on this node. */
export interface NamespaceConfig {
  /** `o<order>.<slot>`. */
  readonly name: string
  readonly mode: 'user' | 'seq'
  readonly worm: boolean
  /** Real bytes on disk at most. */
  readonly maxBytes: number
  /** `suspended`: kept but neither read nor written. */
  readonly state: 'live' | 'suspended'
  readonly writers: readonly Account[]
  readonly readers: readonly Account[]
  /** Seconds since 1970: what is replaced or deleted from then on stays for audits; 0: nothing does; absent: as it is. */
  readonly keptSince?: number
}

/** Desired state of `unit store`. A namespace that is not listed is left alone; only `ended` removes. */
export interface StoreUnitConfig {
  readonly namespaces: readonly NamespaceConfig[]
  /** Names whose order ended at a final block and whose grace passed: delete. */
  readonly ended: readonly string[]
}

/** A peer that may connect and may be dialled. */
export interface PeerConfig {
  readonly account: Account
  /** Compressed secp256k1 key, 33 bytes, hexadecimal. */
  readonly publicKey: string
  /** Multiaddrs without the peer id; empty if it only dials. */
  readonly addresses: readonly string[]
}

/** Desired state of `unit links`. Who is not in `peers` is refused at the handshake. */
export interface LinksUnitConfig {
  /** Grid address: part of the protocol names. */
  readonly grid: string
  /** secp256k1 private key, 32 bytes, hexadecimal. */
  readonly privateKey: string
  readonly listen: readonly string[]
  readonly peers: readonly PeerConfig[]
  /** Accounts without a registration that orders on this node name. */
  readonly guests: readonly Account[]
}

/** A slot of this node, and who may sign for what is in it. */
export interface AuditSlotConfig {
  readonly order: number
  readonly slot: number
  readonly generation: number
  readonly namespace: string
  readonly sizeBytes: number
  /** The tenant, and for a store the writers of its spec: they sign for themselves. */
  readonly writers: readonly Account[]
  /** Writable mounts of the volume, and the account of each one's node. */
  readonly mounts: readonly { readonly mount: number; readonly account: Account }[]
}

/** Desired state of `unit audit`: what the ledger says at its newest final block, and this node's slots. */
export interface AuditUnitConfig {
  readonly node: number
  /** secp256k1 private key of the node, to countersign; 32 bytes, hexadecimal. */
  readonly privateKey: string
  readonly chainId: number
  readonly epochSeconds: number
  /** The newest block that a majority has seen: what is late there is late, whatever is final. */
  readonly head: { readonly time: number; readonly number: number }
  readonly facts: AuditFacts
  readonly slots: readonly AuditSlotConfig[]
}

/** Where a mount commits what it wrote. */
export interface MountAuditConfig {
  readonly chainId: number
  readonly audits: Account
  /** Newest epoch; 0 before the first. */
  readonly epoch: number
  /** Number of each slot's node, by the slot's position. */
  readonly nodes: readonly number[]
}

/** One slot of the mounted volume. */
export interface SlotConfig {
  readonly index: number
  readonly generation: number
  readonly account: Account
  /** Namespace on that node. */
  readonly namespace: string
  /** Accounts of the nodes that had the slot before, newest first: they may hold what the present one lacks. */
  readonly formers?: readonly Account[]
}

/** Desired state of `unit mount`. */
export interface MountUnitConfig {
  readonly order: number
  readonly volume: number
  /** Absolute path of the mount point. */
  readonly path: string
  readonly readOnly: boolean
  readonly sizeBytes: number
  readonly dataShards: number
  readonly parityShards: number
  readonly writerEpoch: number
  /** Volume key, 32 bytes, hexadecimal. */
  readonly volumeKey: string
  /** secp256k1 private key of the node, to sign commits. */
  readonly privateKey: string
  readonly grid: string
  readonly chainId: number
  /** Accounts whose signatures on commits are believed: every node that the ledger ever gave the volume to write. */
  readonly writers: readonly Account[]
  readonly slots: readonly SlotConfig[]
  readonly dispersalAgeMs: number
  /** Time in which every shard is to be read and verified once. */
  readonly scrubMs: number
  readonly cacheBytes: number
  /** Epoch of the writer that this one replaces, while its order lives: it is given time to disperse what it has. */
  readonly outgoingEpoch?: number
  /** Absent while policy has audits switched off. */
  readonly audits?: MountAuditConfig
}
