/**
 * Source of the checksum kernel: shortens a long byte string without changing its CRC-32C, by loads and XORs alone, and
 * brings what is left to an end by tables.
 *
 * A CRC is the remainder of a polynomial. Where `1 = y^-a + y^-b + y^-c` modulo the generator, with `y = x^8`, a byte has the
 * same effect as its copies a, b and c bytes later: so every byte but the last c can be moved there. Sixteen bytes are moved at once,
 * at more than twice the speed of the crc32 instruction in one chain, and WebAssembly has no such instruction anyway. The
 * generator has the factor x + 1, so all such relations have an even number of terms; the shortest with four (with
 * distances long enough that what is loaded has left the store buffer) reaches back 5424 bytes, and one with six 290 bytes.
 *
 * The end takes 16 bytes at a time with a table for each, so that only one look-up in sixteen waits for the one before.
 */
import {
  assembleModule,
  type Code,
  doWhile,
  type FunctionSource,
  fillMemory,
  get,
  giveBack,
  I32,
  i32,
  set,
  v128,
} from './assembler.ts'

/** Distances in bytes, ascending, over which a byte may be moved: one relation for long strings, one for what is left. */
export const FAR_DISTANCES = [1278, 1565, 5424] as const
export const NEAR_DISTANCES = [154, 177, 183, 258, 290] as const

/** Tables of the last kernel, and the bytes it takes at a time. */
const END_TABLES = 16
/** Bytes of one: 256 words. */
const TABLE_BYTES = 1024

/** Bytes of a vector. */
const LANE_BYTES = 16
/** Bytes moved between two tests of the loop's end, a power of two; what is left is shorter than the reach and this. */
const STEP_BYTES = 64

/**
 * Assembles the kernel.
 *
 * @returns The module: `foldFar` and `foldNear`, each `(data, lengthBytes, state, scratch, out) -> lengthBytes` of what is left,
 *   written to `out`: at least the reach of the relation and less than 64 bytes more. `lengthBytes` is at least the
 *   reach and 64; `state` is XORed into the first four bytes. At `scratch` are zeros as long as the reach, then room for
 *   `lengthBytes` and 64 more; up to 15 bytes after the data are read, and after `out` written, and do not matter.
 *   `finish(data, end, state) -> state` takes a multiple of 16 bytes, at least 16; at address 0 are {@link END_TABLES} tables of 256
 *   words, table `n` with the register after a byte and `n` zeros.
 */
export function checksumFoldModule(): Uint8Array<ArrayBuffer> {
  return assembleModule([
    fold('foldFar', FAR_DISTANCES),
    fold('foldNear', NEAR_DISTANCES),
    finish(),
  ])
}

function finish(): FunctionSource {
  const [data, end, state, word] = [0, 1, 2, 3] as const
  const words = Array.from({ length: END_TABLES / 4 }, (_, number) => number)
  return {
    name: 'finish',
    parameters: [I32, I32, I32],
    results: [I32],
    locals: [I32],
    body: [
      doWhile(
        i32.lessUnsigned(get(data), get(end)),
        // The register goes into the first word only.
        set(word, i32.xor(i32.load(get(data)), get(state))),
        set(state, lookUp(word, 0)),
        ...words
          .slice(1)
          .flatMap((number) => [
            set(word, i32.load(get(data), 4 * number)),
            set(state, i32.xor(get(state), lookUp(word, number))),
          ]),
        set(data, i32.add(get(data), i32.const(END_TABLES))),
      ),
      giveBack(get(state)),
    ],
  }
}

/** What the four bytes of a word, the `number`th of 16 bytes, leave in the register after the last. */
function lookUp(word: number, number: number): Code {
  const one = (byte: number): Code => {
    const entry =
      byte === 0
        ? i32.shl(get(word), i32.const(2))
        : i32.shiftRightUnsigned(get(word), i32.const(8 * byte - 2))
    const table = END_TABLES - 1 - (4 * number + byte)
    return i32.load(i32.and(entry, i32.const(0xff << 2)), table * TABLE_BYTES)
  }
  return [1, 2, 3].reduce((code, byte) => i32.xor(code, one(byte)), one(0))
}

function fold(name: string, distances: readonly number[]): FunctionSource {
  const [data, lengthBytes, state, scratch, out] = [0, 1, 2, 3, 4] as const
  const [end, left, moved] = [5, 6, 7] as const
  const reach = Math.max(...distances)
  /** Sixteen bytes with all that was moved to them; `moved` lags by the reach, so that no offset is negative. */
  const sum = (offset: number): Code =>
    distances.reduce(
      (code, distance) => v128.xor(code, v128.load(get(moved), reach - distance + offset)),
      v128.load(get(data), offset),
    )
  const advance = (local: number, bytes: number) =>
    set(local, i32.add(get(local), i32.const(bytes)))
  const lanes = Array.from({ length: STEP_BYTES / LANE_BYTES }, (_, lane) => lane * LANE_BYTES)
  return {
    name,
    parameters: [I32, I32, I32, I32, I32],
    results: [I32],
    locals: [I32, I32, I32],
    body: [
      set(
        end,
        i32.add(
          get(data),
          i32.and(i32.sub(get(lengthBytes), i32.const(reach)), i32.const(-STEP_BYTES)),
        ),
      ),
      set(left, i32.sub(i32.add(get(data), get(lengthBytes)), get(end))),
      set(moved, get(scratch)),
      // Only the first step over the whole reach looks here, at the place of the first bytes.
      i32.store(get(scratch), get(state)),
      doWhile(
        i32.lessUnsigned(get(data), get(end)),
        ...lanes.map((offset) => v128.store(get(moved), sum(offset), reach + offset)),
        advance(data, STEP_BYTES),
        advance(moved, STEP_BYTES),
      ),
      i32.store(get(scratch), i32.const(0)),
      // Nothing is moved from the rest to the rest.
      fillMemory(
        i32.add(get(moved), i32.const(reach)),
        i32.const(0),
        i32.add(get(left), i32.const(LANE_BYTES)),
      ),
      set(end, i32.add(get(end), get(left))),
      doWhile(
        i32.lessUnsigned(get(data), get(end)),
        v128.store(get(out), sum(0)),
        advance(data, LANE_BYTES),
        advance(moved, LANE_BYTES),
        advance(out, LANE_BYTES),
      ),
      giveBack(get(left)),
    ],
  }
}
