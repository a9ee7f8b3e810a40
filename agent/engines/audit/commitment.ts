/** What the writer of a slot and its node both sign: these are the bytes that the slot holds. EIP-712, as the contract has it. */
import { TypedDataEncoder } from 'ethers/hash'
import { fromHex } from '../../base/bytes.ts'
import { NodeError } from '../../base/errors.ts'
import type { Account, NodeId } from '../../base/ids.ts'
import { type LedgerKey, recoverSigner, signDigest } from '../../base/ledger-key.ts'
import { SIGNATURE_BYTES } from './constants.ts'
import type { SlotName } from './slot-name.ts'

/** Added to the recovery bit on chain. */
const V_OFFSET = 27
const DOMAIN = { name: 'Varve Audits', version: '1' }

/** The typed data of a commitment, for wallets that sign it. */
export const COMMITMENT_TYPES: {
  readonly SlotCommitment: { readonly name: string; readonly type: string }[]
} = {
  SlotCommitment: [
    { name: 'node', type: 'uint32' },
    { name: 'order', type: 'uint64' },
    { name: 'slot', type: 'uint16' },
    { name: 'generation', type: 'uint16' },
    { name: 'units', type: 'uint64' },
    { name: 'root', type: 'bytes32' },
    { name: 'epoch', type: 'uint32' },
  ],
}

/** The bytes that a slot holds. */
export interface SlotCommitment extends SlotName {
  readonly node: NodeId
  /** 32-byte units of its shards, `1..UNITS_MAX`. */
  readonly units: number
  /** Root of the slot's sum tree, 32 bytes. */
  readonly root: Uint8Array
  /** Newest epoch when it was signed. */
  readonly epoch: number
}

/** Where commitments count: one contract on one chain. */
export interface AuditDomain {
  readonly chainId: number
  readonly audits: Account
}

/**
 * The domain that wallets need beside {@link COMMITMENT_TYPES}.
 *
 * @param domain - Chain and contract.
 * @returns Typed data's domain.
 * @example
 * await wallet.signTypedData(typedDomain(domain), COMMITMENT_TYPES, commitment)
 */
export function typedDomain({ chainId, audits }: AuditDomain): {
  name: string
  version: string
  chainId: number
  verifyingContract: string
} {
  return { ...DOMAIN, chainId, verifyingContract: audits }
}

/**
 * What is signed of a commitment.
 *
 * @param domain - Chain and contract.
 * @param commitment - The commitment.
 * @returns 32 bytes: what `Audits.commitmentHash` gives.
 * @example
 * commitmentDigest(domain, commitment)
 */
export function commitmentDigest(domain: AuditDomain, commitment: SlotCommitment): Uint8Array {
  return fromHex(TypedDataEncoder.hash(typedDomain(domain), COMMITMENT_TYPES, commitment))
}

/**
 * Signs a commitment: as its writer, or as its node after {@link countersign} checked it.
 *
 * @param domain - Chain and contract.
 * @param commitment - The commitment.
 * @param key - The signer; only its `privateKey` is used.
 * @returns 65 bytes: r, s, v.
 * @example
 * signCommitment(domain, { node, order, slot, generation, ...tree.root(), epoch }, key)
 */
export function signCommitment(
  domain: AuditDomain,
  commitment: SlotCommitment,
  key: Pick<LedgerKey, 'privateKey'>,
): Uint8Array {
  const signature = signDigest(key, commitmentDigest(domain, commitment))
  const last = SIGNATURE_BYTES - 1
  signature[last] = (signature[last] ?? 0) + V_OFFSET
  return signature
}

/**
 * Who signed a commitment.
 *
 * @param domain - Chain and contract.
 * @param commitment - The commitment.
 * @param signature - 65 bytes: r, s, v.
 * @returns The signer, to be compared with whom you expect; undefined if no key can have made the signature.
 * @example
 * commitmentSigner(domain, commitment, signature) === node.account
 */
export function commitmentSigner(
  domain: AuditDomain,
  commitment: SlotCommitment,
  signature: Uint8Array,
): Account | undefined {
  const v = signature[SIGNATURE_BYTES - 1]
  if (signature.byteLength !== SIGNATURE_BYTES || v === undefined || v < V_OFFSET) return undefined
  const plain = signature.slice()
  plain[SIGNATURE_BYTES - 1] = v - V_OFFSET
  try {
    return recoverSigner(commitmentDigest(domain, commitment), plain)
  } catch (caught) {
    if (caught instanceof NodeError) return undefined
    throw caught
  }
}
