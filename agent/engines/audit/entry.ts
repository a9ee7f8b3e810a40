/** A slot in an accumulator, as contracts and watchers are shown it. */
import { bytesEqual } from '../../base/bytes.ts'
import { hashPair } from '../../base/hash-blocks.ts'
import type { Account } from '../../base/ids.ts'
import { type AuditDomain, commitmentSigner, type SlotCommitment } from './commitment.ts'
import { slotKey } from './slot-name.ts'
import { climb } from './tree/climb.ts'
import { type SumNode, sumLeaf } from './tree/sum-node.ts'

/** A commitment that a writer signed. */
export interface SignedCommitment {
  readonly commitment: SlotCommitment
  /** For a volume: the writable mount whose node signed; 0 where the tenant or a store's writer did. */
  readonly mount: number
  /** The writer's, 65 bytes. */
  readonly signature: Uint8Array
}

/** A commitment and its place. */
export interface Entry extends SignedCommitment {
  /** Sum path from the slot up to the accumulator's root. */
  readonly path: Uint8Array
}

/** What a node stands for. */
export interface Accumulator {
  /** 32 bytes; zeros if it holds nothing. */
  readonly root: Uint8Array
  readonly units: number
}

/**
 * Whether an account may sign for a slot, as the ledger says: the tenant, a writer of the store, or the node of the
 * writable mount that is named. A tenant that is a contract has writers: what a contract says may change later.
 */
export type IsWriter = (signed: SignedCommitment, signer: Account) => boolean | Promise<boolean>

/**
 * The leaf of a slot in an accumulator.
 *
 * @param commitment - What is in the slot.
 * @returns The leaf.
 * @example
 * tree.append([entryLeaf(commitment)])
 */
export function entryLeaf(commitment: SlotCommitment): SumNode {
  return sumLeaf(hashPair(slotKey(commitment), commitment.root), commitment.units)
}

/**
 * Where in an accumulator an entry is.
 *
 * @param entry - The entry; not trusted.
 * @param accumulator - What its node committed.
 * @returns Units left of it, or undefined if its path does not lead to the accumulator.
 * @example
 * unitsBefore(entry, accumulator)
 */
export function unitsBefore(entry: Entry, accumulator: Accumulator): number | undefined {
  const climbed = climb(entryLeaf(entry.commitment), entry.path)
  const isThere =
    climbed?.root.sum === accumulator.units && bytesEqual(climbed.root.hash, accumulator.root)
  return isThere ? climbed.before : undefined
}

/**
 * Tells whether a writer of the slot signed a commitment.
 *
 * @param domain - Chain and contract.
 * @param signed - The commitment; not trusted.
 * @param isWriter - Who may sign.
 * @returns True if one did.
 * @example
 * await isSignedByWriter(domain, entry, isWriter)
 */
export async function isSignedByWriter(
  domain: AuditDomain,
  signed: SignedCommitment,
  isWriter: IsWriter,
): Promise<boolean> {
  const signer = commitmentSigner(domain, signed.commitment, signed.signature)
  return signer !== undefined && isWriter(signed, signer)
}
