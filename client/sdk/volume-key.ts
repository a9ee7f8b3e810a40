/**
 * Volume keys out of the tenant's wallet (docs/design/0001, section 5): nothing needs a backup but the wallet.
 *
 * One EIP-712 signature a grid, which wallets make deterministically (RFC 6979), gives the tenant's root; the key of a volume
 * is derived from it and a number. The number is the count of orders on the ledger when the volume was ordered, and
 * is found again by comparing with the key's commitment in the volume's spec, so that it is kept nowhere.
 */
import { createHash } from 'node:crypto'
import type { Signer } from 'ethers'
import { bytesEqual, fromHex } from '../../agent/base/bytes.ts'
import { derive } from '../../agent/base/derive.ts'
import { NodeError } from '../../agent/base/errors.ts'
import type { Account } from '../../agent/base/ids.ts'
import { VOLUME_KEY_BYTES, volumeKeyCommitment } from '../../agent/base/volume-keys.ts'

const TYPES = {
  VolumeKeys: [
    { name: 'purpose', type: 'string' },
    { name: 'warning', type: 'string' },
  ],
}
const MESSAGE = {
  purpose: 'Derive the keys of my volumes on this grid.',
  warning: 'Whoever has this signature can read my volumes. Sign it only in software you trust.',
}

/** Candidates tried at most: one takes some microseconds, so this is a second. */
const CANDIDATES_MAX = 100_000
/** Orders placed between reading the count and being mined; a volume's own number is just above its candidate. */
const RACE_MAX = 64

/** The secret that all volume keys of one account on one grid come from. */
export type KeyRoot = Uint8Array & { readonly __keyRoot?: never }

/**
 * Asks the account for its root.
 *
 * @param signer - The tenant's account; a hardware wallet asks its owner.
 * @param grid - Chain and address.
 * @returns 32 bytes, the same every time; secret.
 */
export async function deriveKeyRoot(
  signer: Signer,
  grid: { readonly chainId: number; readonly grid: Account },
): Promise<KeyRoot> {
  const domain = {
    name: 'Varve',
    version: '1',
    chainId: grid.chainId,
    verifyingContract: grid.grid,
  }
  const signature = await signer.signTypedData(domain, TYPES, MESSAGE)
  const secret = createHash('sha256').update(fromHex(signature)).digest()
  return derive(secret, 'varve/volume-root/1', VOLUME_KEY_BYTES)
}

/**
 * Derives a volume key.
 *
 * @param root - The account's root.
 * @param index - Number of the key, `>= 0`.
 * @returns 32 bytes; secret.
 */
export function volumeKey(root: KeyRoot, index: number): Uint8Array {
  return derive(root, `varve/volume-key/1/${index}`, VOLUME_KEY_BYTES)
}

/**
 * Finds the key of a volume again.
 *
 * @param root - Root of the account that ordered it.
 * @param volume - Number and spec of the volume.
 * @returns 32 bytes; secret.
 * @throws NodeError `VOLUME_KEY_UNKNOWN` if the account did not make the key.
 */
export function findVolumeKey(
  root: KeyRoot,
  volume: { readonly id: number; readonly keyCommitment: Uint8Array },
): Uint8Array {
  // The count was read before the order was placed, so the number is below the order's, and near it.
  const last = Math.max(0, volume.id - CANDIDATES_MAX)
  for (let index = volume.id + RACE_MAX; index >= last; index--) {
    const key = volumeKey(root, index)
    if (bytesEqual(volumeKeyCommitment(key), volume.keyCommitment)) return key
  }
  throw new NodeError('VOLUME_KEY_UNKNOWN', `the key of volume ${volume.id} is not of this account`)
}
