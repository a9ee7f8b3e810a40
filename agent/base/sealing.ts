/**
 * Sealing: a secret for one node's eyes, put where everybody can read it (the ledger).
 *
 * Hybrid: the key comes out of an X25519 and an ML-KEM-768 exchange together, so that both must be broken to open it,
 * and whoever records ledgers today for tomorrow's quantum computer gains nothing.
 */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  decapsulate,
  diffieHellman,
  encapsulate,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { concatBytes } from './bytes.ts'
import { derive } from './derive.ts'
import { type ErrorCatalogue, NodeError } from './errors.ts'
import {
  type Identity,
  MLKEM768_PUBLIC_BYTES,
  SEALING_KEY_BYTES,
  X25519_PUBLIC_BYTES,
} from './identity.ts'

/** First byte of everything sealed; another value is another format. */
export const SEAL_VERSION = 1

/** A sealed secret must fit into an order's spec of 24 KiB beside the other fields. */
export const SEALED_PLAIN_BYTES_MAX = 16 * 1024

/** A context names what the secret is for; a sentence is plenty. */
export const SEAL_CONTEXT_BYTES_MAX = 256

const MLKEM768_CIPHERTEXT_BYTES = 1088
const HEADER_BYTES = 1 + X25519_PUBLIC_BYTES + MLKEM768_CIPHERTEXT_BYTES
const TAG_BYTES = 16
const KEY_BYTES = 32

/** Bytes that sealing adds. */
export const SEAL_OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES

/** Every key seals one secret only, because each seal has fresh exchanges; so the nonce may stay zero. */
const NONCE = new Uint8Array(12)

/** Failures of sealing. */
export type SealErrorCode = 'SEAL_KEY_INVALID' | 'SEAL_INVALID' | 'SEAL_TOO_LARGE'

/** What each means and what to do. */
export const SEAL_ERRORS: ErrorCatalogue<SealErrorCode> = {
  SEAL_KEY_INVALID: {
    means: 'The public sealing key is not one that a node can have.',
    hint: 'Read the key from the registry again; if it stays, order from another node.',
  },
  SEAL_INVALID: {
    means: 'The sealed bytes were made for another node or purpose, or were changed.',
    hint: 'Seal the secret again for this node and this order.',
  },
  SEAL_TOO_LARGE: {
    means: 'The secret or its context is longer than what may be sealed.',
    hint: 'Seal a key of 32 bytes, and encrypt the rest with it.',
  },
}

/**
 * Seals a secret to a node.
 *
 * @param sealingKey - The node's public sealing key, 1216 bytes, from the registry.
 * @param plain - The secret, `0..SEALED_PLAIN_BYTES_MAX` bytes.
 * @param context - What the secret is for, at most 256 bytes of UTF-8; it is not secret and is not carried along.
 * @returns `plain.byteLength + SEAL_OVERHEAD_BYTES` bytes, different every time.
 * @throws NodeError `SEAL_KEY_INVALID`, `SEAL_TOO_LARGE`.
 * @example
 * const sealed = seal(node.sealingKey, volumeKey, `varve/mount/${grid}/${volume}`)
 */
export function seal(sealingKey: Uint8Array, plain: Uint8Array, context: string): Uint8Array {
  if (plain.byteLength > SEALED_PLAIN_BYTES_MAX) {
    throw new NodeError('SEAL_TOO_LARGE', 'the secret is longer than may be sealed', {
      details: { bytes: plain.byteLength, bytesMax: SEALED_PLAIN_BYTES_MAX },
    })
  }
  const recipient = publicKeysFrom(sealingKey)
  const ephemeral = createPrivateKey({
    key: randomBytes(32),
    format: 'raw-private',
    asymmetricKeyType: 'x25519',
  })
  const ephemeralPublic = createPublicKey(ephemeral).export({ format: 'raw-public' })
  const shared = agree(ephemeral, recipient.x25519, 'SEAL_KEY_INVALID')
  const { sharedKey, ciphertext } = encapsulate(recipient.mlkem768)
  const header = concatBytes([Uint8Array.of(SEAL_VERSION), ephemeralPublic, ciphertext])

  const key = sealKey([shared, sharedKey], header, sealingKey, context)
  const cipher = createCipheriv('aes-256-gcm', key, NONCE)
  cipher.setAAD(header)
  return concatBytes([header, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

/**
 * Opens what was sealed to this node.
 *
 * @param identity - The node.
 * @param sealed - What {@link seal} returned.
 * @param context - The same context that it was sealed with.
 * @returns The secret.
 * @throws NodeError `SEAL_INVALID` if anything about it is wrong; what exactly is not told.
 * @example
 * const volumeKey = open(identity, spec.sealedKey, `varve/mount/${grid}/${volume}`)
 */
export function open(
  identity: Pick<Identity, 'sealingKey' | 'sealingPrivateKeys'>,
  sealed: Uint8Array,
  context: string,
): Uint8Array {
  const plainBytes = sealed.byteLength - SEAL_OVERHEAD_BYTES
  if (sealed[0] !== SEAL_VERSION || plainBytes < 0 || plainBytes > SEALED_PLAIN_BYTES_MAX) {
    throw new NodeError('SEAL_INVALID', 'the sealed bytes have an unknown version or length', {
      details: { version: sealed[0], bytes: sealed.byteLength },
    })
  }
  const header = sealed.subarray(0, HEADER_BYTES)
  const ephemeralPublic = header.subarray(1, 1 + X25519_PUBLIC_BYTES)
  const ciphertext = header.subarray(1 + X25519_PUBLIC_BYTES)
  const { x25519, mlkem768 } = identity.sealingPrivateKeys
  const shared = agree(x25519, x25519PublicKey(ephemeralPublic, 'SEAL_INVALID'), 'SEAL_INVALID')
  // A wrong ciphertext gives a wrong key, not an error (implicit rejection): the tag below decides.
  const sharedKey = decapsulate(mlkem768, ciphertext)

  const key = sealKey([shared, sharedKey], header, identity.sealingKey, context)
  const decipher = createDecipheriv('aes-256-gcm', key, NONCE)
  decipher.setAAD(header)
  decipher.setAuthTag(sealed.subarray(HEADER_BYTES + plainBytes))
  try {
    const body = sealed.subarray(HEADER_BYTES, HEADER_BYTES + plainBytes)
    return concatBytes([decipher.update(body), decipher.final()])
  } catch {
    throw new NodeError(
      'SEAL_INVALID',
      'the sealed bytes are for another node or purpose, or were changed',
    )
  }
}

/** Both public keys and both messages go into the key, so that none of them can be swapped for another. */
function sealKey(
  sharedSecrets: readonly Uint8Array[],
  header: Uint8Array,
  sealingKey: Uint8Array,
  context: string,
): KeyObject {
  const contextBytes = Buffer.from(context, 'utf8')
  if (contextBytes.byteLength > SEAL_CONTEXT_BYTES_MAX) {
    throw new NodeError('SEAL_TOO_LARGE', 'the context of a seal is too long', {
      details: { bytes: contextBytes.byteLength, bytesMax: SEAL_CONTEXT_BYTES_MAX },
    })
  }
  // HKDF's info is limited to 1 KiB in OpenSSL, so the transcript enters as its salt, which is hashed without limit.
  // Every part but the last has a fixed length: no two transcripts have the same bytes.
  const transcript = concatBytes([
    Buffer.from('varve/seal/1', 'utf8'),
    header,
    sealingKey,
    contextBytes,
  ])
  const secret = concatBytes(sharedSecrets)
  return createSecretKey(derive(secret, 'varve/seal-key/1', KEY_BYTES, transcript))
}

function agree(privateKey: KeyObject, publicKey: KeyObject, code: SealErrorCode): Uint8Array {
  try {
    return diffieHellman({ privateKey, publicKey })
  } catch (cause) {
    // OpenSSL refuses points of small order, whose shared secret anyone knows.
    throw new NodeError(code, 'the X25519 key is one that no honest party uses', { cause })
  }
}

function publicKeysFrom(sealingKey: Uint8Array): { x25519: KeyObject; mlkem768: KeyObject } {
  if (sealingKey.byteLength !== SEALING_KEY_BYTES) {
    throw new NodeError('SEAL_KEY_INVALID', `a sealing key has ${SEALING_KEY_BYTES} bytes`, {
      details: { bytes: sealingKey.byteLength },
    })
  }
  const mlkem = sealingKey.subarray(
    X25519_PUBLIC_BYTES,
    X25519_PUBLIC_BYTES + MLKEM768_PUBLIC_BYTES,
  )
  return {
    x25519: x25519PublicKey(sealingKey.subarray(0, X25519_PUBLIC_BYTES), 'SEAL_KEY_INVALID'),
    mlkem768: rawPublicKey(mlkem, 'ml-kem-768', 'SEAL_KEY_INVALID'),
  }
}

function x25519PublicKey(raw: Uint8Array, code: SealErrorCode): KeyObject {
  return rawPublicKey(raw, 'x25519', code)
}

function rawPublicKey(
  raw: Uint8Array,
  asymmetricKeyType: 'x25519' | 'ml-kem-768',
  code: SealErrorCode,
): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(raw), format: 'raw-public', asymmetricKeyType })
  } catch (cause) {
    throw new NodeError(code, `the bytes are no ${asymmetricKeyType} public key`, { cause })
  }
}
