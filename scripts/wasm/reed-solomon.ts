/**
 * Source of the erasure-code kernel: matrix times shards over GF(2^8), one to four output shards a pass.
 *
 * A product with a constant is two table look-ups of 16 bytes (low and high nibble), which a byte shuffle does for 16
 * bytes at once. Four outputs over 32 bytes need 8 accumulators, 4 indices, the mask and a scratch register: just what
 * 16 vector registers hold; one and two outputs take 64 bytes a step for the same reason.
 */
import type { Code, FunctionSource } from './assembler.ts'
import { assembleModule, doWhile, get, I32, i32, set, V128, v128 } from './assembler.ts'

/** Outputs that one pass can compute. */
const OUTPUTS_MAX = 4
/** Bytes of the two nibble tables of one coefficient. */
const TABLES_BYTES = 32

/**
 * Assembles the kernel.
 *
 * @param relaxed - Use `i8x16.relaxed_swizzle` (one instruction on x86; indices are below 16, where it is exact).
 * @returns The module: `multiply1` to `multiply4`, each
 *   `(inputs, inputsEnd, outputs, tables, from, to)`: addresses of the input shards' addresses (u32 each), of the output
 *   shards' addresses, of the tables (input by input, output by output, low then high), and the byte range
 *   `[from, to)` of the shards to compute, a multiple of 64 bytes.
 */
export function reedSolomonModule(relaxed: boolean): Uint8Array<ArrayBuffer> {
  const swizzle = relaxed ? v128.relaxedSwizzle : v128.swizzle
  return assembleModule(
    Array.from({ length: OUTPUTS_MAX }, (_, index) => multiply(index + 1, swizzle)),
  )
}

function multiply(outputs: number, swizzle: (...operands: Code[]) => Code): FunctionSource {
  const lanes = outputs <= 2 ? 4 : 2
  const [inputs, inputsEnd, outputTable, tables, from, to] = [0, 1, 2, 3, 4, 5] as const
  const [input, table, source, mask] = [6, 7, 8, 9] as const
  const low = (lane: number) => 10 + lane
  const high = (lane: number) => 10 + lanes + lane
  const sum = (output: number, lane: number) => 10 + 2 * lanes + output * lanes + lane
  const destination = (output: number) => 10 + 2 * lanes + outputs * lanes + output

  const lanesOf = Array.from({ length: lanes }, (_, lane) => lane)
  const outputsOf = Array.from({ length: outputs }, (_, output) => output)
  const zero = v128.splatByte(0)

  const oneInput: Code[] = [
    set(source, i32.add(i32.load(get(input)), get(from))),
    ...lanesOf.flatMap((lane) => [
      set(low(lane), v128.load(get(source), lane * 16)),
      set(high(lane), v128.and(v128.shiftRight16(get(low(lane)), i32.const(4)), get(mask))),
      set(low(lane), v128.and(get(low(lane)), get(mask))),
    ]),
    ...outputsOf.flatMap((output) => {
      const product = (lane: number) =>
        v128.xor(
          swizzle(v128.load(get(table), output * TABLES_BYTES), get(low(lane))),
          swizzle(v128.load(get(table), output * TABLES_BYTES + 16), get(high(lane))),
        )
      return lanesOf.map((lane) =>
        set(sum(output, lane), v128.xor(get(sum(output, lane)), product(lane))),
      )
    }),
    set(table, i32.add(get(table), i32.const(outputs * TABLES_BYTES))),
    set(input, i32.add(get(input), i32.const(4))),
  ]
  const oneStep: Code[] = [
    set(input, get(inputs)),
    set(table, get(tables)),
    ...outputsOf.flatMap((output) => lanesOf.map((lane) => set(sum(output, lane), zero))),
    doWhile(i32.lessUnsigned(get(input), get(inputsEnd)), ...oneInput),
    ...outputsOf.flatMap((output) =>
      lanesOf.map((lane) =>
        v128.store(i32.add(get(destination(output)), get(from)), get(sum(output, lane)), lane * 16),
      ),
    ),
    set(from, i32.add(get(from), i32.const(lanes * 16))),
  ]
  return {
    name: `multiply${outputs}`,
    parameters: [I32, I32, I32, I32, I32, I32],
    results: [],
    locals: [
      ...[I32, I32, I32, V128],
      ...Array<number>(2 * lanes + outputs * lanes).fill(V128),
      ...Array<number>(outputs).fill(I32),
    ],
    body: [
      set(mask, v128.splatByte(0x0f)),
      ...outputsOf.map((output) =>
        set(destination(output), i32.load(get(outputTable), output * 4)),
      ),
      doWhile(i32.lessUnsigned(get(from), get(to)), ...oneStep),
    ],
  }
}
