/**
 * Source of the cutting kernel: a 64-bit gear hash over the bytes, a cut where it falls below a limit.
 *
 * The hash is one shift, one add and one table load a byte, a chain of about one cycle, so the loop runs at memory speed
 * without vectors; four bytes a round take the loop's own cost out of it.
 */
import type { Code, FunctionSource } from './assembler.ts'
import {
  assembleModule,
  doWhile,
  get,
  giveBack,
  I32,
  I64,
  i32,
  i64,
  set,
  when,
} from './assembler.ts'

/** Bytes hashed between two tests of the loop's end. */
const UNROLL = 4

/**
 * Assembles the kernel.
 *
 * @returns The module: `findCut(table, warmFrom, from, normal, end, strictLimit, looseLimit)` hashes the bytes of
 *   `[warmFrom, from)` (at least one), then gives the address after the first byte in `[from, normal)` whose hash is below
 *   `strictLimit`, else after the first in `[normal, end)` below `looseLimit`, else `end`. `table` is the address of 256
 *   64-bit words; `warmFrom < from <= normal <= end`.
 */
export function gearModule(): Uint8Array<ArrayBuffer> {
  return assembleModule([findCut()])
}

function findCut(): FunctionSource {
  const [table, warmFrom, from, normal, end, strictLimit, looseLimit] = [
    0, 1, 2, 3, 4, 5, 6,
  ] as const
  const [position, hash, stop, limit] = [7, 8, 9, 10] as const
  const eat = (offset: number): Code =>
    set(
      hash,
      i64.add(
        i64.shl(get(hash), i64.const(1n)),
        i64.load(i32.add(get(table), i32.shl(i32.load8(get(position), offset), i32.const(3)))),
      ),
    )
  const advance = (bytes: number) => set(position, i32.add(get(position), i32.const(bytes)))
  const test = (offset: number): Code[] => [
    eat(offset),
    when(
      i64.lessUnsigned(get(hash), get(limit)),
      giveBack(i32.add(get(position), i32.const(offset + 1))),
    ),
  ]
  const rounds = Array.from({ length: UNROLL }, (_, offset) => offset)
  const search: Code[] = [
    // Rounds of four while four are left, then one by one.
    when(
      i32.greaterUnsigned(i32.sub(get(stop), get(position)), i32.const(UNROLL - 1)),
      doWhile(
        i32.greaterUnsigned(i32.sub(get(stop), get(position)), i32.const(UNROLL - 1)),
        ...rounds.flatMap(test),
        advance(UNROLL),
      ),
    ),
    when(
      i32.lessUnsigned(get(position), get(stop)),
      doWhile(i32.lessUnsigned(get(position), get(stop)), ...test(0), advance(1)),
    ),
  ]
  return {
    name: 'findCut',
    parameters: [I32, I32, I32, I32, I32, I64, I64],
    results: [I32],
    locals: [I32, I64, I32, I64],
    body: [
      set(position, get(warmFrom)),
      set(hash, i64.const(0n)),
      doWhile(i32.lessUnsigned(get(position), get(from)), eat(0), advance(1)),
      set(stop, get(normal)),
      set(limit, get(strictLimit)),
      ...search,
      set(stop, get(end)),
      set(limit, get(looseLimit)),
      ...search,
      get(end),
    ],
  }
}
