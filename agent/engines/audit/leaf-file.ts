/**
 * The leaves of a slot's tree in a file, so that a restarted node need not hash all its shards again.
 *
 * Only a cache: every leaf has a checksum, what is torn or missing is made anew from the shards, and a leaf that is wrong in
 * spite of it can make no proof that anybody believes.
 */
import { crc32c } from '@node-rs/crc32'
import type { Disk, DiskFile } from '../../base/disk.ts'
import { NODE_BYTES } from '../../base/hash-blocks.ts'

const MAGIC = Buffer.from('VALF')
const VERSION = 1
/** Magic, version, zeros. */
const HEAD_BYTES = 64
/** Root, name, length (8), checksum. */
const LEAF_BYTES = 64
const NAME_AT = NODE_BYTES
const LENGTH_AT = NAME_AT + 20
const CRC_AT = LEAF_BYTES - 4
/** Bytes of the hash of a shard's key that tell it from its neighbours. */
export const NAME_BYTES = 20

/** A shard whose bytes were hashed. */
export interface ShardLeaf {
  /** Root of its bytes, 32 bytes. */
  readonly root: Uint8Array
  /** First {@link NAME_BYTES} of the SHA-256 of its key. */
  readonly name: Uint8Array
  readonly lengthBytes: number
}

/** The leaves of one slot. */
export class LeafFile {
  readonly #file: DiskFile
  #count: number

  /**
   * Opens or makes a file.
   *
   * @param disk - Where it is.
   * @param path - Its name.
   * @throws NodeError `DISK_*`.
   */
  constructor(disk: Disk, path: string) {
    this.#file = disk.open(path, 'create')
    this.#count = this.#isOurs() ? Math.floor((this.#file.sizeBytes - HEAD_BYTES) / LEAF_BYTES) : 0
  }

  /**
   * Reads leaves.
   *
   * @param from - Which is the first, `>= 0`.
   * @param limit - How many at most.
   * @returns Those that are intact, up to the first that is not.
   */
  read(from: number, limit: number): ShardLeaf[] {
    const count = Math.min(limit, this.#count - from)
    if (count <= 0) return []
    const bytes = Buffer.alloc(count * LEAF_BYTES)
    const read = this.#file.read(bytes, HEAD_BYTES + from * LEAF_BYTES)
    const leaves: ShardLeaf[] = []
    for (let at = 0; at + LEAF_BYTES <= read; at += LEAF_BYTES) {
      const leaf = readLeaf(bytes.subarray(at, at + LEAF_BYTES))
      if (!leaf) break
      leaves.push(leaf)
    }
    return leaves
  }

  /** Keeps the first `count` leaves and forgets the others. */
  keep(count: number): void {
    const head = Buffer.alloc(HEAD_BYTES)
    head.set(MAGIC)
    head[MAGIC.byteLength] = VERSION
    this.#file.truncate(count === 0 ? 0 : HEAD_BYTES + count * LEAF_BYTES)
    this.#file.write([head], 0)
    this.#count = count
  }

  /** Adds leaves; not durable before the next {@link LeafFile.sync}, nor need they be. */
  append(leaves: readonly ShardLeaf[]): void {
    this.#file.write(leaves.map(writeLeaf), HEAD_BYTES + this.#count * LEAF_BYTES)
    this.#count += leaves.length
  }

  /** Makes all leaves durable. */
  sync(): Promise<void> {
    return this.#file.sync()
  }

  close(): void {
    this.#file.close()
  }

  #isOurs(): boolean {
    const head = Buffer.alloc(HEAD_BYTES)
    if (this.#file.read(head, 0) < HEAD_BYTES) return false
    return head.subarray(0, MAGIC.byteLength).equals(MAGIC) && head[MAGIC.byteLength] === VERSION
  }
}

function writeLeaf(leaf: ShardLeaf): Uint8Array {
  const bytes = Buffer.alloc(LEAF_BYTES)
  bytes.set(leaf.root)
  bytes.set(leaf.name, NAME_AT)
  bytes.writeBigUInt64LE(BigInt(leaf.lengthBytes), LENGTH_AT)
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, CRC_AT)), CRC_AT)
  return bytes
}

/** A leaf, copied; undefined if it is not intact. */
function readLeaf(bytes: Buffer): ShardLeaf | undefined {
  if (crc32c(bytes.subarray(0, CRC_AT)) !== bytes.readUInt32LE(CRC_AT)) return undefined
  return {
    root: new Uint8Array(bytes.subarray(0, NAME_AT)),
    name: new Uint8Array(bytes.subarray(NAME_AT, NAME_AT + NAME_BYTES)),
    lengthBytes: Number(bytes.readBigUInt64LE(LENGTH_AT)),
  }
}
