/**
 * Keys of a volume: everything that encrypts or names its bytes comes from its one key, by purpose
 * (docs/design/0001, section 5).
 */
import { createHash, createSecretKey, type KeyObject } from 'node:crypto'
import { derive } from './derive.ts'
import { NodeError } from './errors.ts'
import type { Account } from './ids.ts'

/** Bytes of a volume key. */
export const VOLUME_KEY_BYTES = 32

/** Names one volume among all volumes of all chains. */
export interface VolumeName {
  /** Chain that carries the order, `>= 1`. */
  readonly chainId: number
  /** Address of the grid contract. */
  readonly grid: string
  /** Number of the volume's order, `>= 1`. */
  readonly volume: number
}

/** The keys of one volume, as key objects: they do not print themselves, and ciphers take them four times faster. */
export interface VolumeKeys {
  /** HMAC key of the names that chunks are deduplicated by. */
  readonly chunkId: KeyObject
  /** HMAC key that makes a chunk's cipher key out of its content hash. */
  readonly chunkKey: KeyObject
  /** HMAC key that makes a commit's cipher key out of its salt. */
  readonly commitKey: KeyObject
  /** HMAC key that makes a commit's salt out of its place and content. */
  readonly commitSalt: KeyObject
}

/**
 * Derives the keys of a volume.
 *
 * @param volumeKey - 32 bytes; secret.
 * @returns The same keys every time, one a purpose.
 * @throws NodeError `KEY_INVALID` if `volumeKey` has another length.
 * @example
 * const { chunkKey } = volumeKeysFrom(volumeKey)
 */
export function volumeKeysFrom(volumeKey: Uint8Array): VolumeKeys {
  if (volumeKey.byteLength !== VOLUME_KEY_BYTES) {
    throw new NodeError('KEY_INVALID', `a volume key has ${VOLUME_KEY_BYTES} bytes`, {
      details: { bytes: volumeKey.byteLength },
    })
  }
  const keyFor = (purpose: string) =>
    createSecretKey(derive(volumeKey, `varve/volume/${purpose}/1`, 32))
  return {
    chunkId: keyFor('chunk-id'),
    chunkKey: keyFor('chunk-key'),
    commitKey: keyFor('commit-key'),
    commitSalt: keyFor('commit-salt'),
  }
}

/**
 * What the ledger keeps of a volume key, so that a mount notices a wrong key before it writes a byte.
 *
 * @param volumeKey - 32 bytes.
 * @returns SHA-256 of it: `keyCommitment` of the volume's spec.
 * @example
 * bytesEqual(volumeKeyCommitment(key), spec.keyCommitment)
 */
export function volumeKeyCommitment(volumeKey: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(volumeKey).digest())
}

/**
 * The context under which a volume key is sealed to a mounting node; tenant and node must say the same.
 *
 * @param name - The volume, and the account of the node that will mount it.
 * @returns Text for `seal` and `open`.
 * @example
 * seal(node.sealingKey, volumeKey, volumeKeyContext({ chainId, grid, volume, account: node.account }))
 */
export function volumeKeyContext(name: VolumeName & { readonly account: Account }): string {
  const { chainId, grid, volume, account } = name
  return `varve/volume-key/1 chain ${chainId} grid ${grid.toLowerCase()} volume ${volume} node ${account}`
}
