/**
 * Turns plain chunks into stored ones and back: hash, compress where it pays, encrypt; decrypt, decompress, compare.
 *
 * Keys derive from content, so equal chunks of one volume (or dataset) are equal when stored. A compressor's output is not
 * fixed by its input (another version may find another encoding), and two plaintexts under one key and nonce would break
 * GCM; so the nonce of a compressed chunk is a keyed hash of the compressed bytes and is stored before them. A raw chunk is
 * fixed by its hash: its nonce is zero and takes no room.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hash,
  type KeyObject,
} from 'node:crypto'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { bytesEqual } from '../../base/bytes.ts'

/** Bytes of a content hash. */
export const HASH_BYTES = 32
/** Bytes of the tag that ends a stored chunk. */
const TAG_BYTES = 16
const NONCE_BYTES = 12
const ID_BYTES = 16
/** What a stored chunk may be longer than the plain one. */
export const STORED_OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES

/** Compression has to save this part to be kept: below it, decompressing costs more than it gives. */
const SAVING_DIVISOR = 16
/** Shorter than this, zstd's frame eats the gain. */
const COMPRESS_BYTES_MIN = 128

const ZERO_NONCE = Buffer.alloc(NONCE_BYTES)
const ZSTD_FAST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

/** How a chunk is stored; a byte in the table. */
export const FLAG_ZSTD = 1
/** All flags that this version knows. */
export const FLAGS_KNOWN = FLAG_ZSTD

/** Keys that the volume key gives to chunks (docs/design/0001, section 5). */
export interface ChunkKeys {
  /** Names of chunks, places of cuts, nonces: keyed hashes. */
  readonly chunkId: KeyObject
  /** Keys of chunks. */
  readonly chunkKey: KeyObject
}

/** A chunk as it goes into a pack. */
export interface SealedChunk {
  /** Parts to write one after another. */
  readonly parts: readonly Uint8Array[]
  readonly storedBytes: number
  readonly flags: number
}

/** What the table says of a chunk. */
export interface ChunkDescription {
  readonly hash: Uint8Array
  readonly plainBytes: number
  readonly storedBytes: number
  readonly flags: number
}

/** SHA-256 of a plain chunk. */
export function contentHash(plain: Uint8Array): Uint8Array {
  return hash('sha256', plain, 'buffer')
}

/** Seals and opens the chunks of one volume. */
export class ChunkCipher {
  readonly #keys: ChunkKeys

  constructor(keys: ChunkKeys) {
    this.#keys = keys
  }

  /** Name of a chunk outside the signed table, 16 bytes: tells nothing about its content to who lacks the key. */
  idOf(contentHash: Uint8Array): Uint8Array {
    return createHmac('sha256', this.#keys.chunkId)
      .update(contentHash)
      .digest()
      .subarray(0, ID_BYTES)
  }

  /**
   * Compresses and encrypts.
   *
   * @param plain - `1..256 KiB`.
   * @param contentHash - Its hash.
   */
  seal(plain: Uint8Array, contentHash: Uint8Array): SealedChunk {
    const compressed = compress(plain)
    const payload = compressed ?? plain
    const nonce = compressed === undefined ? ZERO_NONCE : this.#nonceOf(compressed)
    const cipher = createCipheriv('aes-256-gcm', this.#keyOf(contentHash), nonce)
    const parts: Uint8Array[] = [cipher.update(payload), cipher.final(), cipher.getAuthTag()]
    if (compressed !== undefined) parts.unshift(nonce)
    return {
      parts,
      storedBytes: payload.byteLength + TAG_BYTES + (compressed === undefined ? 0 : NONCE_BYTES),
      flags: compressed === undefined ? 0 : FLAG_ZSTD,
    }
  }

  /**
   * Decrypts, decompresses and compares.
   *
   * @param stored - Bytes from a store or a cache: not trusted.
   * @param chunk - What the signed table says.
   * @returns The plain bytes, or undefined if they are not those that were written.
   */
  open(stored: Uint8Array, chunk: ChunkDescription): Uint8Array | undefined {
    if (stored.byteLength !== chunk.storedBytes) return undefined
    const plain = this.#decode(stored, chunk)
    if (plain === undefined || plain.byteLength !== chunk.plainBytes) return undefined
    return bytesEqual(contentHash(plain), chunk.hash) ? plain : undefined
  }

  #decode(stored: Uint8Array, chunk: ChunkDescription): Uint8Array | undefined {
    const isCompressed = (chunk.flags & FLAG_ZSTD) !== 0
    const nonceBytes = isCompressed ? NONCE_BYTES : 0
    if (stored.byteLength < nonceBytes + TAG_BYTES) return undefined
    const nonce = isCompressed ? stored.subarray(0, NONCE_BYTES) : ZERO_NONCE
    const decipher = createDecipheriv('aes-256-gcm', this.#keyOf(chunk.hash), nonce)
    decipher.setAuthTag(stored.subarray(-TAG_BYTES))
    try {
      const payload = decipher.update(stored.subarray(nonceBytes, -TAG_BYTES))
      decipher.final()
      return isCompressed ? decompress(payload, chunk.plainBytes) : payload
    } catch {
      // A wrong tag or a frame that is not zstd's: the caller asks elsewhere.
      return undefined
    }
  }

  #keyOf(contentHash: Uint8Array): KeyObject {
    return createSecretKey(createHmac('sha256', this.#keys.chunkKey).update(contentHash).digest())
  }

  #nonceOf(compressed: Uint8Array): Buffer {
    const digest = createHmac('sha256', this.#keys.chunkId)
      .update('nonce')
      .update(compressed)
      .digest()
    return digest.subarray(0, NONCE_BYTES)
  }
}

function compress(plain: Uint8Array): Uint8Array | undefined {
  if (plain.byteLength < COMPRESS_BYTES_MIN) return undefined
  const compressed = zstdCompressSync(plain, ZSTD_FAST)
  const limit = plain.byteLength - plain.byteLength / SAVING_DIVISOR - NONCE_BYTES
  return compressed.byteLength <= limit ? compressed : undefined
}

function decompress(payload: Uint8Array, plainBytes: number): Uint8Array {
  return zstdDecompressSync(payload, { maxOutputLength: plainBytes })
}
