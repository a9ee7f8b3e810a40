/**
 * secp256k1 keys: one key is a node's account on the ledger, its peer identity on the links and the signer of its commits.
 *
 * Curve arithmetic is done natively where OpenSSL offers it; recovery of a signer from a signature, which it does not
 * offer, is done by ethers.
 */
import { createECDH, ECDH } from 'node:crypto'
import { keccak256, Signature, SigningKey } from 'ethers/crypto'
import { concatBytes, toHex } from './bytes.ts'
import { type ErrorCatalogue, NodeError } from './errors.ts'
import { type Account, account } from './ids.ts'

/** Bytes of a private key, of a digest to sign, and of a signature (r, s, recovery bit). */
export const LEDGER_PRIVATE_KEY_BYTES = 32
export const DIGEST_BYTES = 32
export const SIGNATURE_BYTES = 65

/** Failures of keys and signatures. */
export type LedgerKeyErrorCode = 'KEY_INVALID' | 'SIGNATURE_INVALID'

/** What each means and what to do. */
export const LEDGER_KEY_ERRORS: ErrorCatalogue<LedgerKeyErrorCode> = {
  KEY_INVALID: {
    means: 'The bytes are not a key of the expected kind.',
    hint: 'Check where the key comes from; a key is never typed by hand.',
  },
  SIGNATURE_INVALID: {
    means: 'The bytes are not a signature that any key could have made.',
    hint: 'Whoever sent this is faulty or lying; ask another.',
  },
}

/** A private key with everything that follows from it. */
export interface LedgerKey {
  readonly account: Account
  /** 32 bytes; secret. */
  readonly privateKey: Uint8Array
  /** 64 bytes, x then y: the form the registry holds. */
  readonly publicKey: Uint8Array
  /** 33 bytes: the form that peer identities and unit configurations hold. */
  readonly publicKeyCompressed: Uint8Array
}

/**
 * Derives account and public keys from a private key.
 *
 * @param privateKey - 32 bytes, from 1 to the curve's order less one; copied.
 * @returns The key in all its forms.
 * @throws NodeError `KEY_INVALID` if `privateKey` is out of range.
 * @example
 * ledgerKeyFrom(fromHex(config.privateKey)).account
 */
export function ledgerKeyFrom(privateKey: Uint8Array): LedgerKey {
  if (privateKey.byteLength !== LEDGER_PRIVATE_KEY_BYTES) {
    throw new NodeError('KEY_INVALID', 'a secp256k1 private key has 32 bytes', {
      details: { bytes: privateKey.byteLength },
    })
  }
  const curve = createECDH('secp256k1')
  let uncompressed: Uint8Array
  let compressed: Uint8Array
  try {
    curve.setPrivateKey(privateKey)
    uncompressed = curve.getPublicKey()
    compressed = curve.getPublicKey(null, 'compressed')
  } catch {
    // The cause is dropped on purpose: nothing about a private key goes into a log.
    throw new NodeError(
      'KEY_INVALID',
      'the private key is zero or not below the order of the curve',
    )
  }
  const publicKey = new Uint8Array(uncompressed.subarray(1))
  return {
    account: accountOfPublicKey(publicKey),
    privateKey: new Uint8Array(privateKey),
    publicKey,
    publicKeyCompressed: new Uint8Array(compressed),
  }
}

/**
 * The ledger account that a public key controls: the last 20 bytes of the Keccak-256 of its coordinates.
 *
 * @param publicKey - 33 bytes (compressed), 64 (x, y) or 65 (0x04, x, y).
 * @returns The account.
 * @throws NodeError `KEY_INVALID` if the bytes are no point of the curve.
 * @example
 * accountOfPublicKey(peer.publicKey.raw)
 */
export function accountOfPublicKey(publicKey: Uint8Array): Account {
  const point = toUncompressed(publicKey)
  return account(`0x${keccak256(point.subarray(1)).slice(-40)}`)
}

/**
 * Compresses a public key.
 *
 * @param publicKey - 33, 64 or 65 bytes, as for {@link accountOfPublicKey}.
 * @returns 33 bytes.
 * @throws NodeError `KEY_INVALID` if the bytes are no point of the curve.
 * @example
 * toHex(compressPublicKey(node.publicKey))
 */
export function compressPublicKey(publicKey: Uint8Array): Uint8Array {
  return convert(toUncompressed(publicKey), 'compressed')
}

/**
 * The key as libp2p keeps it: a protobuf of key type (2, secp256k1) and raw bytes.
 *
 * @param key - The node's key.
 * @returns 36 bytes; secret.
 * @see https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md#keys
 * @example
 * privateKeyFromProtobuf(libp2pPrivateKey(key))
 */
export function libp2pPrivateKey(key: LedgerKey): Uint8Array {
  const KEY_TYPE_SECP256K1 = Uint8Array.of(0x08, 0x02)
  const DATA_OF_32_BYTES = Uint8Array.of(0x12, 0x20)
  return concatBytes([KEY_TYPE_SECP256K1, DATA_OF_32_BYTES, key.privateKey])
}

/**
 * Signs a digest, deterministically (RFC 6979), with `s` in the lower half.
 *
 * @param key - The signer; only its `privateKey` is used.
 * @param digest - 32 bytes that already bind what is signed and where it counts.
 * @returns 65 bytes: r, s, and the recovery bit (0 or 1).
 * @throws NodeError `SIGNATURE_INVALID` if `digest` has another length.
 * @example
 * signDigest(key, createHash('sha256').update(record).digest())
 */
export function signDigest(key: Pick<LedgerKey, 'privateKey'>, digest: Uint8Array): Uint8Array {
  requireDigest(digest)
  const { r, s, yParity } = new SigningKey(key.privateKey).sign(digest)
  return new Uint8Array(Buffer.from(`${r.slice(2)}${s.slice(2)}0${yParity}`, 'hex'))
}

/**
 * The account whose key made a signature. That some account comes out proves nothing: compare it with whom you expect.
 *
 * @param digest - 32 bytes that were signed.
 * @param signature - 65 bytes, as {@link signDigest} returns them.
 * @returns The signer.
 * @throws NodeError `SIGNATURE_INVALID` if no key can have made it, or if `s` is not the lower of the two possible
 *   values, so that nobody can turn one signature into another.
 * @example
 * writers.has(recoverSigner(digest, signature))
 */
export function recoverSigner(digest: Uint8Array, signature: Uint8Array): Account {
  requireDigest(digest)
  const recovery = signature[SIGNATURE_BYTES - 1]
  if (signature.byteLength !== SIGNATURE_BYTES || (recovery !== 0 && recovery !== 1)) {
    throw new NodeError('SIGNATURE_INVALID', 'a signature is r, s and a recovery bit, 65 bytes')
  }
  try {
    const hex = toHex(signature)
    const r = `0x${hex.slice(0, 64)}`
    const s = `0x${hex.slice(64, 128)}`
    // Signature.from refuses an `s` in the upper half.
    const publicKey = SigningKey.recoverPublicKey(
      digest,
      Signature.from({ r, s, yParity: recovery }),
    )
    return accountOfPublicKey(Buffer.from(publicKey.slice(2), 'hex'))
  } catch (cause) {
    throw new NodeError('SIGNATURE_INVALID', 'no key can have made this signature', { cause })
  }
}

function requireDigest(digest: Uint8Array): void {
  if (digest.byteLength === DIGEST_BYTES) return
  throw new NodeError('SIGNATURE_INVALID', 'only digests of 32 bytes are signed')
}

function toUncompressed(publicKey: Uint8Array): Uint8Array {
  const bare = publicKey.byteLength === 64
  return convert(bare ? concatBytes([Uint8Array.of(0x04), publicKey]) : publicKey, 'uncompressed')
}

function convert(publicKey: Uint8Array, form: 'compressed' | 'uncompressed'): Uint8Array {
  try {
    const converted = ECDH.convertKey(publicKey, 'secp256k1', undefined, undefined, form)
    if (typeof converted === 'string') throw new TypeError('expected bytes')
    return new Uint8Array(converted)
  } catch (cause) {
    throw new NodeError('KEY_INVALID', 'the public key is not a point of secp256k1', { cause })
  }
}
