/**
 * Who a node is: 32 random bytes, and the keys that follow from them.
 *
 * One seed is all there is to keep, so a node that keeps its seed keeps its account, its peers' trust and the secrets
 * sealed to it (docs/design/0001, section 2).
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { concatBytes } from './bytes.ts'
import { derive } from './derive.ts'
import { NodeError } from './errors.ts'
import { LEDGER_PRIVATE_KEY_BYTES, type LedgerKey, ledgerKeyFrom } from './ledger-key.ts'

/** Bytes of a node's seed. */
export const IDENTITY_SEED_BYTES = 32

/** Bytes of the public sealing key: X25519, then ML-KEM-768. */
export const X25519_PUBLIC_BYTES = 32
export const MLKEM768_PUBLIC_BYTES = 1184
export const SEALING_KEY_BYTES = X25519_PUBLIC_BYTES + MLKEM768_PUBLIC_BYTES

/** Everything a node is, secrets included: never log it, never put it into a message. */
export interface Identity extends LedgerKey {
  /** 1216 bytes, public: others seal secrets for this node to it. */
  readonly sealingKey: Uint8Array
  /** The private halves of `sealingKey`; key objects, because they do not print themselves. */
  readonly sealingPrivateKeys: { readonly x25519: KeyObject; readonly mlkem768: KeyObject }
}

/**
 * Derives a node's keys from its seed.
 *
 * @param seed - 32 bytes nobody else knows.
 * @returns The same identity every time.
 * @throws NodeError `KEY_INVALID` if `seed` has another length.
 * @example
 * const identity = identityFromSeed(randomBytes(IDENTITY_SEED_BYTES))
 * identity.account // '0x...'
 */
export function identityFromSeed(seed: Uint8Array): Identity {
  if (seed.byteLength !== IDENTITY_SEED_BYTES) {
    throw new NodeError('KEY_INVALID', 'the seed of an identity has 32 bytes', {
      details: { bytes: seed.byteLength },
    })
  }
  const ledger = ledgerKeyFrom(derive(seed, 'varve/ledger/1', LEDGER_PRIVATE_KEY_BYTES))
  const x25519 = createPrivateKey({
    key: Buffer.from(derive(seed, 'varve/seal-x25519/1', 32)),
    format: 'raw-private',
    asymmetricKeyType: 'x25519',
  })
  const mlkem768 = createPrivateKey({
    key: Buffer.from(derive(seed, 'varve/seal-mlkem768/1', 64)),
    format: 'raw-seed',
    asymmetricKeyType: 'ml-kem-768',
  })
  return {
    ...ledger,
    sealingKey: concatBytes([publicBytesOf(x25519), publicBytesOf(mlkem768)]),
    sealingPrivateKeys: { x25519, mlkem768 },
  }
}

function publicBytesOf(privateKey: KeyObject): Uint8Array {
  return createPublicKey(privateKey).export({ format: 'raw-public' })
}
