/**
 * What the ledger says, in this program's words: orders, nodes and policy as they are at one final block.
 *
 * Plain data without methods, so that it can be persisted, compared and made up in tests. Times are seconds since 1970 by
 * the ledger's clock; money is `bigint`; bytes are hexadecimal strings with `0x`.
 */
import type { Account, FarmId, NodeId, OrderId } from '../base/ids.ts'
import type { DISPUTE_STATES, NODE_STATES, PARAMETERS } from './abi.ts'

/** A block, by number and hash. */
export interface BlockRef {
  readonly number: number
  readonly hash: string
  readonly parentHash: string
  readonly timestamp: number
}

/** State of an order. */
export type OrderState = 'live' | 'suspended' | 'ended'

/** A slot as it is now, and who had it before. */
export interface OrderSlot {
  readonly node: NodeId
  readonly sizeBytes: number
  readonly assignedAt: number
  /** The node's last heartbeat. */
  readonly lastSeen: number
  readonly generation: number
}

/** A node that lost a slot to another. */
export interface SlotRelease {
  readonly slot: number
  readonly node: NodeId
  /** Time of the final block at which the release was read: never before it happened. */
  readonly at: number
}

/** What all orders have. */
export interface OrderCommon {
  readonly id: OrderId
  readonly state: OrderState
  readonly tenant: Account
  readonly placedAt: number
  readonly paidUntil: number
  /** 0 while live or suspended. */
  readonly endedAt: number
  /** 0 while live or suspended. */
  readonly deletableAt: number
  readonly ratePerSecond: bigint
  readonly slots: readonly OrderSlot[]
  /** Every move of a slot, oldest first. */
  readonly releases: readonly SlotRelease[]
}

/** One namespace on one node. */
export interface StoreOrder extends OrderCommon {
  readonly kind: 'store'
  readonly mode: 'user' | 'seq'
  readonly worm: boolean
  readonly writers: readonly Account[]
  readonly readers: readonly Account[]
}

/** k+m data slots, then metadata slots. */
export interface VolumeOrder extends OrderCommon {
  readonly kind: 'volume'
  readonly dataShards: number
  readonly parityShards: number
  readonly metaStores: number
  readonly sameFarmAllowed: boolean
  readonly sizeBytes: number
  /** SHA-256 of the volume key. */
  readonly keyCommitment: string
  readonly writerEpoch: number
  /** Its mounts, live or not. */
  readonly mounts: readonly OrderId[]
}

/** A volume shown as a directory of a node. */
export interface MountOrder extends OrderCommon {
  readonly kind: 'mount'
  readonly volume: OrderId
  readonly readOnly: boolean
  readonly name: string
  readonly sealedKey: string
}

/** An order that this agent does not understand: refused, never guessed at, and never a reason to remove anything. */
export interface UnreadableOrder extends OrderCommon {
  readonly kind: 'unreadable'
  /** The kind's number on the ledger. */
  readonly kindNumber: number
  readonly parent: number
  readonly mounts: readonly OrderId[]
  readonly code: OrderRefusalCode
  readonly message: string
}

export type Order = StoreOrder | VolumeOrder | MountOrder | UnreadableOrder

/** Why an order cannot be read. */
export type OrderRefusalCode =
  | 'ORDER_KIND_UNSUPPORTED'
  | 'ORDER_SPEC_UNDECODABLE'
  | 'ORDER_SPEC_VERSION_UNSUPPORTED'
  | 'ORDER_SPEC_INVALID'

/** Life of a node. */
export type NodeState = (typeof NODE_STATES)[number]

/** A node of the registry. */
export interface LedgerNode {
  readonly id: NodeId
  readonly farm: FarmId
  readonly account: Account
  readonly state: NodeState
  readonly capacityBytes: number
  readonly usedBytes: number
  readonly pricePerGibSecond: bigint
  readonly stake: bigint
  readonly registeredAt: number
  readonly lastHeartbeat: number
  /** Uncompressed secp256k1 key, x and y, 64 bytes. */
  readonly publicKey: string
  readonly sealingKey: string
  readonly addresses: readonly string[]
}

/** What the DAO set. */
export interface Policy {
  /** Rises with every change. */
  readonly version: number
  /** All parameters; a number beyond 2^53 reads as 2^53 - 1. */
  readonly values: PolicyValues
}

type ParameterName = (typeof PARAMETERS)[number]
/** Parameters in units of the token, or of votes. */
export type MoneyName =
  | 'stakePerGib'
  | 'maxPricePerGibSecond'
  | 'auditBond'
  | 'votesPerGib'
  | 'maxPricePerCoreSecond'
  | 'maxPricePerMemoryGibSecond'
  | 'maxPricePerEgressGib'
  | 'minNodeStake'
  | 'nodeFeePerDay'

/** A value for each parameter: seconds, blocks, counts, a bit set of order kinds, or token units (`bigint`). */
export type PolicyValues = Readonly<
  Record<Exclude<ParameterName, MoneyName>, number> & Record<MoneyName, bigint>
>

/** Where the contracts are: pinned at first start. */
export interface GridPin {
  readonly chainId: number
  readonly grid: Account
  readonly policy: Account
  readonly nodes: Account
  readonly orders: Account
  readonly escrow: Account
  readonly token: Account
  readonly deployedAtBlock: number
  /** SHA-256 over the code at the addresses above: another chain with the same number does not pass for ours. */
  readonly codeDigest: string
}

/** A final block that was read before the cursor's, kept to find the way back if the cursor turns out wrong. */
export interface TrailBlock {
  readonly number: number
  readonly hash: string
  readonly timestamp: number
}

/** What is known of the ledger's time at a cursor, beside what its block says. */
export interface LedgerTime {
  /**
   * Ledger time up to which two independent times agree that it passed, seconds: two endpoints, or the only one and this
   * machine's clock. 0 while nothing may be deleted. Only by it may data go.
   */
  readonly provenSeconds: number
  /** Until then `provenSeconds` stays 0, because a final block was reverted: seconds; 0 if none was. */
  readonly frozenUntil: number
  /** When the block was adopted, milliseconds since 1970 by this machine's clock. */
  readonly adoptedAtMs: number
}

/** Up to where the ledger was read. */
export interface LedgerCursor {
  readonly pin: GridPin
  readonly block: BlockRef
  /** Number of the last event of `Orders` that was read. */
  readonly sequence: number
  readonly registryVersion: number
  /** Ledger time at which the list of nodes was read whole: their heartbeats are as old. */
  readonly nodesReadAt: number
  /** Ledger time at which all orders were last read again; absent in what an older version kept. */
  readonly sweptAt?: number
  /** Highest number of the `finalized` tag that a majority ever gave. */
  readonly finalNumber: number
  /** Blocks that were cursors before, newest first, the older the sparser; absent in what an older version kept. */
  readonly trail?: readonly TrailBlock[]
  /** Absent in what an older version kept: then nothing is proven. */
  readonly time?: LedgerTime
}

/** The agent's own standing in the registry. */
export interface Registration {
  readonly account: Account
  readonly node: NodeId | undefined
  /** Farm that sponsors the account, if one does and it is not registered yet. */
  readonly sponsor: FarmId | undefined
  readonly sponsoredStake: bigint
}

/** What a node stands for: root of its accumulator, 32 bytes, zeros if it holds nothing; and its units. */
export interface LedgerAccumulator {
  readonly root: string
  readonly units: number
}

/** An epoch of audits, as it was drawn. */
export interface AuditEpoch {
  /** From 1. */
  readonly number: number
  /** 112 bits, decimal. */
  readonly seed: string
  readonly drawnAt: number
  readonly dueAt: number
  readonly dueBlock: number
  readonly samples: number
  readonly openOdds: number
}

/** A dispute about this node that waits for it. */
export interface AuditDispute {
  readonly id: number
  readonly state: (typeof DISPUTE_STATES)[number]
  readonly epoch: number
  /** From 1; 0 for a demand. */
  readonly sample: number
  readonly deadline: number
  /** Which slot is demanded. */
  readonly slot:
    | { readonly order: OrderId; readonly slot: number; readonly generation: number }
    | undefined
}

/** What the ledger says of the audits of this node. */
export interface AuditFacts {
  readonly audits: Account
  /** The newest; undefined before the first. */
  readonly epoch: AuditEpoch | undefined
  /** What this node is audited for in it. */
  readonly audited: LedgerAccumulator
  /** What it was audited for in the epoch before: disputes about that may go on. */
  readonly auditedBefore: LedgerAccumulator
  /** What it committed last, and in which epoch; undefined if it never did. */
  readonly committed: (LedgerAccumulator & { readonly epoch: number }) | undefined
  /** What was posted for it in the newest epoch: 28 bytes; undefined if nothing. */
  readonly claim: string | undefined
  /** True if all that it had to post in the newest epoch is there. */
  readonly isProven: boolean
  /** True if it must post something in the newest epoch and has not. */
  readonly owes: boolean
  /** True if it had posted all in the epoch before. */
  readonly wasProven: boolean
  /** Epoch that it was last marked, and last slashed, for; 0 for never. */
  readonly missedEpoch: number
  readonly slashedEpoch: number
  /** Disputes up to this number were read. */
  readonly disputesRead: number
  /** Those that wait for this node, oldest first. */
  readonly disputes: readonly AuditDispute[]
  /** Those about this node that it answered, and whose bonds its farm may have. */
  readonly answered: readonly number[]
  /** What this node sees of others as a keeper; absent if it is none. */
  readonly others?: KeeperFacts
}

/** What a keeper knows of the audits of others. */
export interface KeeperFacts {
  /** The epoch that is judged: the one before the newest. */
  readonly epoch: number
  /** Nodes up to this number were looked at. */
  readonly scannedTo: number
  /** Nodes that owed a proof of that epoch, gave none, and are neither excused nor marked. */
  readonly suspects: readonly NodeId[]
  /** Nodes as those, of which the next heartbeat tells whether they lived through it: before that a mark does nothing. */
  readonly undecided: readonly NodeId[]
  /** Disputes about others that wait for them, oldest first. */
  readonly waiting: readonly { readonly id: number; readonly deadline: number }[]
}

/** Everything known of the ledger at one final block. */
export interface LedgerView {
  readonly cursor: LedgerCursor
  readonly registration: Registration
  /** This node as it is at the block, undefined while it is not registered. */
  readonly own: LedgerNode | undefined
  readonly policy: Policy
  /** The registry as it was at `cursor.nodesReadAt`; who is in it, with which keys and addresses, as it is now. */
  readonly nodes: readonly LedgerNode[]
  /** Orders that concern this node: on its slots, now or once; volumes that it mounts; mounts of volumes that it holds. */
  readonly orders: readonly Order[]
  /** Absent while policy has audits switched off, or this node is not registered. */
  readonly audits?: AuditFacts
}

/** One endpoint, as it was at the last poll. */
export interface SourceStatus {
  readonly name: string
  readonly headNumber: number | undefined
  readonly finalNumber: number | undefined
  /** Why the endpoint was not believed, if it was not. */
  readonly code: string | undefined
  readonly message: string | undefined
}

/** How the reading of the ledger goes. */
export interface LedgerStatus {
  readonly state: 'following' | 'waiting'
  /** A `LEDGER_*` code while waiting. */
  readonly code: string | undefined
  readonly message: string | undefined
  readonly hint: string | undefined
  /** Since when it is waited for, milliseconds since 1970; undefined while it is followed. */
  readonly waitingSinceMs: number | undefined
  /** Newest block that a majority has seen; not final. */
  readonly headNumber: number | undefined
  /** The ledger's time there: for what may be early but never late, such as heartbeats. */
  readonly headTime: number | undefined
  readonly finalNumber: number | undefined
  readonly sources: readonly SourceStatus[]
}

/** What one poll gave. */
export interface LedgerPoll {
  readonly status: LedgerStatus
  /** A newer view, if the ledger moved on and a majority agrees on it. */
  readonly view: LedgerView | undefined
  /** Milliseconds after which the next poll is worth while, `> 0`. */
  readonly nextMs: number
}

/** What an agent may ask of the contracts; nothing else can be sent. */
export type WantedCall =
  | {
      readonly method: 'register'
      readonly publicKey: string
      readonly sealingKey: string
      readonly offer: NodeOffer
      readonly addresses: readonly string[]
    }
  | { readonly method: 'setOffer'; readonly offer: NodeOffer }
  | { readonly method: 'setAddresses'; readonly addresses: readonly string[] }
  | { readonly method: 'heartbeat' }
  | {
      readonly method: 'replace'
      readonly order: OrderId
      readonly slot: number
      readonly node: NodeId
      /** Smallest token units a second; refused if the node asks more for the slot by then. */
      readonly maxRatePerSecond: bigint
    }
  | {
      readonly method: 'audit'
      readonly audits: Account
      /** A call of one of `AUDIT_ACTS`, encoded: hexadecimal with `0x`. */
      readonly act: string
    }

/** What a node offers. */
export interface NodeOffer {
  readonly capacityBytes: number
  readonly pricePerGibSecond: bigint
}

/** A transaction that a planner wants to have happened. */
export interface WantedTransaction {
  /** Names the need, not the attempt: the same need has the same id, a new need a new one. */
  readonly id: string
  readonly call: WantedCall
  /** For people: what it is for. */
  readonly why: string
}

/** A transaction that was signed, kept so that a restarted agent neither forgets nor repeats it. */
export interface SentTransaction {
  readonly id: string
  readonly to: Account
  readonly data: string
  readonly why: string
  readonly state: 'pending' | 'mined' | 'failed'
  readonly nonce: number
  /** Newest signed form; empty once mined or failed. */
  readonly signed: string
  /** Hashes of all signed forms, oldest first: any of them may be the one that is mined. */
  readonly hashes: readonly string[]
  readonly gasLimit: bigint
  readonly maxFee: bigint
  readonly priorityFee: bigint
  /** Milliseconds since 1970 by this machine's clock. */
  readonly signedAtMs: number
  readonly blockNumber: number | undefined
  /** Attempts of this need so far, counting failed ones. */
  readonly attempts: number
  /** Failed: when to try again. */
  readonly retryAtMs: number
  readonly code: string | undefined
  readonly message: string | undefined
}
