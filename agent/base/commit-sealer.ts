/**
 * Seals commits of a volume: encrypted under a key of the volume, signed by the node that wrote them.
 *
 * A commit lies on stores that owe its reader nothing, so it carries its own proof: the tag says that somebody with the
 * volume's key made it, the signature says that a node which the ledger allowed to write did. Satisfies `CommitSealer`
 * of `engines/files/ports.ts`.
 *
 * Each commit has a cipher key of its own, made from a salt which in turn is made from its place and content. So a
 * writer that crashes and seals another commit under the same sequence cannot reuse a key, and the same input gives the
 * same bytes, which the simulation relies on.
 *
 * Bytes: version u8 = 1, epoch u64, sequence u64, salt 32, ciphertext, tag 16, signature 65; numbers big-endian.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createSecretKey,
  type KeyObject,
} from 'node:crypto'
import { assert } from './assert.ts'
import { concatBytes, fromHex } from './bytes.ts'
import { type ErrorCatalogue, NodeError } from './errors.ts'
import type { Account } from './ids.ts'
import { ledgerKeyFrom, recoverSigner, SIGNATURE_BYTES, signDigest } from './ledger-key.ts'
import { type VolumeKeys, type VolumeName, volumeKeysFrom } from './volume-keys.ts'

/** First byte of every sealed commit; another value is another format. */
export const COMMIT_VERSION = 1

const SALT_BYTES = 32
const TAG_BYTES = 16
const HEADER_BYTES = 1 + 8 + 8 + SALT_BYTES

/** Bytes that sealing adds to a commit. */
export const COMMIT_OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES + SIGNATURE_BYTES

/** A commit covers at most some 64 MiB of data, so its metadata stay far below this; a larger one is a lie. */
export const COMMIT_BYTES_MAX = 64 * 1024 * 1024

/** Every commit has its own cipher key, so the nonce may stay zero. */
const NONCE = new Uint8Array(12)

/** Failures of sealed commits. */
export type CommitSealErrorCode = 'COMMIT_INVALID' | 'COMMIT_TOO_LARGE'

/** What each means and what to do. */
export const COMMIT_SEAL_ERRORS: ErrorCatalogue<CommitSealErrorCode> = {
  COMMIT_INVALID: {
    means: 'A stored commit was changed, belongs elsewhere, or was signed by nobody who may write.',
    hint: 'Read it from another metadata store; the one that gave it is faulty or lying.',
  },
  COMMIT_TOO_LARGE: {
    means: 'A commit is larger than commits may be.',
    hint: 'This is a bug of the writer: it must commit more often.',
  },
}

/** What a sealer needs to know. */
export interface CommitSealerInit extends VolumeName {
  /** 32 bytes; secret. */
  readonly volumeKey: Uint8Array
  /** secp256k1 key of this node, 32 bytes; secret. */
  readonly privateKey: Uint8Array
  /** Accounts whose signatures are believed: all nodes that the ledger ever gave the volume to write. */
  readonly writers: readonly Account[]
  /** Writer epoch under which this node seals, `>= 0`. */
  readonly epoch: number
}

/** What a sealed commit says about itself, proven once {@link VolumeCommitSealer.openSigned} returned it. */
export interface SignedCommit {
  readonly plain: Uint8Array
  /** Epoch in which it was written; of two valid commits of one sequence the higher epoch counts. */
  readonly epoch: number
  readonly writer: Account
}

/** Seals and opens the commits of one volume. */
export interface VolumeCommitSealer {
  /**
   * Encrypts and signs a commit.
   *
   * @param sequence - Its place in the log, `>= 1`.
   * @param plain - Its content; not kept.
   * @returns `plain.byteLength + COMMIT_OVERHEAD_BYTES` bytes; the same for the same input.
   * @throws NodeError `COMMIT_TOO_LARGE`.
   */
  seal(sequence: number, plain: Uint8Array): Uint8Array
  /**
   * Checks and decrypts a commit.
   *
   * @throws NodeError `COMMIT_INVALID` if the tag, the sequence, the volume or the signature is wrong.
   */
  open(sequence: number, sealed: Uint8Array): Uint8Array
  /** Takes over the accounts whose signatures are believed: the ledger may have given the volume to another node. */
  setWriters(accounts: readonly Account[]): void
  /** As `open`, and tells who wrote it and in which epoch. */
  openSigned(sequence: number, sealed: Uint8Array): SignedCommit
}

/**
 * Makes the sealer of one volume.
 *
 * @param init - Keys, the volume's name, and who may write.
 * @returns The sealer.
 * @throws NodeError `KEY_INVALID` if a key is none; `HEX_INVALID` if `grid` is no address.
 * @example
 * const sealer = commitSealer({ volumeKey, privateKey, writers, volume: 7, epoch: 1, grid, chainId })
 * sealer.open(1, sealer.seal(1, commit))
 */
export function commitSealer(init: CommitSealerInit): VolumeCommitSealer {
  const keys = volumeKeysFrom(init.volumeKey)
  const signer = ledgerKeyFrom(init.privateKey)
  let writers: ReadonlySet<Account> = new Set(init.writers)
  const domain = domainOf(init)

  function openSigned(sequence: number, sealed: Uint8Array): SignedCommit {
    const epoch = checkHeader(sequence, sealed)
    const signedBytes = sealed.byteLength - SIGNATURE_BYTES
    const signed = sealed.subarray(0, signedBytes)
    const writer = signerOf(digestOf(domain, signed), sealed.subarray(signedBytes))
    if (!writers.has(writer)) {
      throw new NodeError('COMMIT_INVALID', 'the commit is signed by nobody who may write', {
        details: { sequence, epoch, writer },
      })
    }
    return { plain: decrypt(keys, domain, signed), epoch, writer }
  }

  return {
    setWriters(accounts) {
      writers = new Set(accounts)
    },
    seal(sequence, plain) {
      assert(Number.isSafeInteger(sequence) && sequence >= 0, 'a sequence is a whole number')
      if (plain.byteLength > COMMIT_BYTES_MAX) {
        throw new NodeError('COMMIT_TOO_LARGE', 'the commit is larger than commits may be', {
          details: { bytes: plain.byteLength, bytesMax: COMMIT_BYTES_MAX },
        })
      }
      const signed = encrypt(keys, domain, placeOf(init.epoch, sequence), plain)
      return concatBytes([signed, signDigest(signer, digestOf(domain, signed))])
    },
    open: (sequence, sealed) => openSigned(sequence, sealed).plain,
    openSigned,
  }
}

/** What every signature and tag binds beside the bytes themselves: a commit moved to another volume is no commit. */
function domainOf(name: VolumeName): Uint8Array {
  const grid = fromHex(name.grid)
  assert(grid.byteLength === 20, 'a grid is named by an address of 20 bytes')
  return concatBytes([
    Buffer.from('varve/commit/1', 'utf8'),
    u64(name.chainId),
    grid,
    u64(name.volume),
  ])
}

function placeOf(epoch: number, sequence: number): Uint8Array {
  return concatBytes([Uint8Array.of(COMMIT_VERSION), u64(epoch), u64(sequence)])
}

function encrypt(
  keys: VolumeKeys,
  domain: Uint8Array,
  place: Uint8Array,
  plain: Uint8Array,
): Uint8Array {
  const contentHash = createHash('sha256').update(plain).digest()
  const salt = createHmac('sha256', keys.commitSalt)
    .update(domain)
    .update(place)
    .update(contentHash)
    .digest()
  const header = concatBytes([place, salt])
  const cipher = createCipheriv('aes-256-gcm', cipherKey(keys, domain, header), NONCE)
  return concatBytes([header, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

function decrypt(keys: VolumeKeys, domain: Uint8Array, signed: Uint8Array): Uint8Array {
  const header = signed.subarray(0, HEADER_BYTES)
  const tagAt = signed.byteLength - TAG_BYTES
  const decipher = createDecipheriv('aes-256-gcm', cipherKey(keys, domain, header), NONCE)
  decipher.setAuthTag(signed.subarray(tagAt))
  try {
    const body = signed.subarray(HEADER_BYTES, tagAt)
    return concatBytes([decipher.update(body), decipher.final()])
  } catch {
    throw new NodeError('COMMIT_INVALID', 'the commit does not decrypt under the key of the volume')
  }
}

/** The header enters the key itself, so the tag covers it without being told. */
function cipherKey(keys: VolumeKeys, domain: Uint8Array, header: Uint8Array): KeyObject {
  return createSecretKey(
    createHmac('sha256', keys.commitKey).update(domain).update(header).digest(),
  )
}

function digestOf(domain: Uint8Array, signed: Uint8Array): Uint8Array {
  return createHash('sha256').update(domain).update(signed).digest()
}

/** Checks all that needs no key. @returns The epoch that the commit claims. */
function checkHeader(sequence: number, sealed: Uint8Array): number {
  const bytes = sealed.byteLength
  if (
    bytes < COMMIT_OVERHEAD_BYTES ||
    bytes > COMMIT_BYTES_MAX + COMMIT_OVERHEAD_BYTES ||
    sealed[0] !== COMMIT_VERSION
  ) {
    throw new NodeError('COMMIT_INVALID', 'the commit has an unknown version or length', {
      details: { sequence, bytes, version: sealed[0] },
    })
  }
  const view = new DataView(sealed.buffer, sealed.byteOffset, sealed.byteLength)
  const epoch = Number(view.getBigUint64(1))
  const claimed = Number(view.getBigUint64(9))
  if (claimed !== sequence || !Number.isSafeInteger(epoch)) {
    throw new NodeError('COMMIT_INVALID', 'the commit belongs to another place in the log', {
      details: { sequence, claimed },
    })
  }
  return epoch
}

function signerOf(digest: Uint8Array, signature: Uint8Array): Account {
  try {
    return recoverSigner(digest, signature)
  } catch (cause) {
    throw new NodeError('COMMIT_INVALID', 'the commit carries no valid signature', { cause })
  }
}

function u64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}
