/**
 * One pack's shards in the memory of a WebAssembly kernel, where they are encoded and decoded in place.
 *
 * A stripe owns its memory and never grows it, so views of shards stay valid while stores send them, and a pack costs one
 * copy in and none out. Stripes are reused, because first touch of fresh memory is slower than the disk.
 */
import { assert, required } from '../../base/assert.ts'
import { compileKernel, type Kernel } from '../../base/kernel.ts'
import {
  COEFFICIENT_TABLES_BYTES,
  type CodingPlan,
  type ErasureCode,
  OUTPUTS_PER_PASS,
} from './erasure-code.ts'
import { REED_SOLOMON_PLAIN, REED_SOLOMON_RELAXED } from './kernel/reed-solomon-wasm.ts'

/** Shards are padded to this, the longest step of the kernel. */
export const SHARD_ALIGN_BYTES = 64

/** Bytes of every shard worked on before the next pass: k inputs of this stay in the second-level cache. */
const TILE_BYTES = 8192

/** Distance between shards beyond whole pages, so that equal offsets do not all fall into one cache set. */
const SKEW_BYTES = 192

const PAGE_BYTES = 4096

type Multiply = (
  inputs: number,
  inputsEnd: number,
  outputs: number,
  tables: number,
  from: number,
  to: number,
) => void

/**
 * Bytes of one shard of a pack.
 *
 * @param packBytes - `>= 1`.
 * @param dataShards - k, `>= 1`.
 * @returns The least multiple of 64 of which k hold the pack.
 * @example
 * shardBytesOf(4 * MIB, 16) // 262144
 */
export function shardBytesOf(packBytes: number, dataShards: number): number {
  const share = Math.ceil(packBytes / dataShards)
  return Math.ceil(share / SHARD_ALIGN_BYTES) * SHARD_ALIGN_BYTES
}

/** Memory for the k + m shards of one pack, and the kernel over it. */
export class Stripe {
  readonly #code: ErasureCode
  readonly #shardBytesMax: number
  readonly #memory: Uint8Array<ArrayBuffer>
  readonly #words: Uint32Array
  readonly #multiply: readonly Multiply[]
  readonly #pointersAt = 0
  readonly #tablesAt: number
  readonly #shardsAt: number
  readonly #strideBytes: number

  /**
   * @param code - The volume's code.
   * @param shardBytesMax - Longest shard, a multiple of 64.
   * @param kernel - `plain` is for tests and benches on engines that have better.
   */
  constructor(code: ErasureCode, shardBytesMax: number, kernel: 'best' | 'plain' = 'best') {
    assert(shardBytesMax % SHARD_ALIGN_BYTES === 0, 'shards are whole steps of the kernel')
    this.#code = code
    this.#shardBytesMax = shardBytesMax
    const { dataShards, parityShards, totalShards } = code
    this.#tablesAt = PAGE_BYTES
    const tablesBytes = dataShards * parityShards * COEFFICIENT_TABLES_BYTES
    this.#shardsAt = roundUp(this.#tablesAt + tablesBytes, PAGE_BYTES)
    this.#strideBytes = roundUp(shardBytesMax, PAGE_BYTES) + SKEW_BYTES
    const sizeBytes = this.#shardsAt + totalShards * this.#strideBytes
    const { memory, entry } = compiledKernel(kernel).instantiate(sizeBytes)
    this.#memory = new Uint8Array(memory)
    this.#words = new Uint32Array(memory)
    this.#multiply = [1, 2, 3, 4].map((count) => entry<Multiply>(`multiply${count}`))
  }

  /**
   * A shard's bytes, in place.
   *
   * @param shard - `0..k+m-1`.
   * @param lengthBytes - `<=` the longest shard.
   * @returns A view; its content changes when the stripe is used for another pack.
   */
  shard(shard: number, lengthBytes: number): Uint8Array<ArrayBuffer> {
    assert(lengthBytes <= this.#shardBytesMax, 'a shard fits its place')
    const at = this.#shardAt(shard)
    return this.#memory.subarray(at, at + lengthBytes)
  }

  /**
   * Copies a pack into the data shards and computes the parity.
   *
   * @param pack - `1..k * longest shard` bytes.
   * @returns Bytes of each shard.
   */
  encode(pack: Uint8Array): number {
    const { dataShards } = this.#code
    const shardBytes = shardBytesOf(pack.byteLength, dataShards)
    for (let shard = 0; shard < dataShards; shard++) {
      const part = pack.subarray(shard * shardBytes, (shard + 1) * shardBytes)
      const place = this.shard(shard, shardBytes)
      place.set(part)
      place.fill(0, part.byteLength)
    }
    this.parity(shardBytes)
    return shardBytes
  }

  /** Computes the parity of data shards that are in place. @param shardBytes - Bytes of each. */
  parity(shardBytes: number): void {
    this.#run(this.#code.encoding, shardBytes)
  }

  /**
   * Computes shards out of k others that are in place.
   *
   * @param inputs - `[k]` shards whose bytes are in place.
   * @param outputs - Shards to compute, at most m, none of them in `inputs`.
   * @param lengthBytes - Bytes of each to compute; rounded up to 64.
   */
  decode(inputs: readonly number[], outputs: readonly number[], lengthBytes: number): void {
    assert(outputs.length <= this.#code.parityShards, 'no more than m shards can be computed')
    this.#run(
      this.#code.decoding(inputs, outputs),
      Math.min(roundUp(lengthBytes, SHARD_ALIGN_BYTES), this.#shardBytesMax),
    )
  }

  #run(plan: CodingPlan, lengthBytes: number): void {
    if (plan.outputs.length === 0 || lengthBytes === 0) return
    const { inputs, outputs, tables } = plan
    this.#memory.set(tables, this.#tablesAt)
    inputs.forEach((shard, index) => {
      this.#words[this.#pointersAt / 4 + index] = this.#shardAt(shard)
    })
    const outputsAt = this.#pointersAt + inputs.length * 4
    outputs.forEach((shard, index) => {
      this.#words[outputsAt / 4 + index] = this.#shardAt(shard)
    })
    for (let from = 0; from < lengthBytes; from += TILE_BYTES) {
      const to = Math.min(from + TILE_BYTES, lengthBytes)
      let tablesAt = this.#tablesAt
      for (let first = 0; first < outputs.length; first += OUTPUTS_PER_PASS) {
        const count = Math.min(OUTPUTS_PER_PASS, outputs.length - first)
        const multiply = required(this.#multiply[count - 1], 'a kernel for every pass')
        multiply(this.#pointersAt, outputsAt, outputsAt + first * 4, tablesAt, from, to)
        tablesAt += count * inputs.length * COEFFICIENT_TABLES_BYTES
      }
    }
  }

  #shardAt(shard: number): number {
    assert(shard >= 0 && shard < this.#code.totalShards, 'the shard exists')
    return this.#shardsAt + shard * this.#strideBytes
  }
}

/** Compiled when the first stripe is made. */
const kernels = new Map<string, Kernel>()

/** Which instructions the kernel uses. */
export type KernelVariant = 'relaxed' | 'plain'

/**
 * The best kernel that this engine runs.
 *
 * @returns `relaxed` where the engine has relaxed SIMD, else `plain`.
 */
export function kernelVariant(): KernelVariant {
  return compiledKernel('best').variant === 0 ? 'relaxed' : 'plain'
}

function compiledKernel(wanted: 'best' | 'plain'): Kernel {
  const known = kernels.get(wanted)
  if (known !== undefined) return known
  const variants = [REED_SOLOMON_RELAXED, REED_SOLOMON_PLAIN]
  const kernel = compileKernel(wanted === 'best' ? variants : variants.slice(1))
  kernels.set(wanted, kernel)
  return kernel
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple
}
