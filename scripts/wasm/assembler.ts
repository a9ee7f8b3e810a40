/**
 * A WebAssembly assembler of the size that three kernels need: expressions are nested calls that read like folded WAT and
 * give bytes, and `module` wraps functions over one imported memory.
 *
 * A tool chain (wabt, AssemblyScript, emscripten) would be a dependency a hundred times the size of the kernels, and
 * none unrolls over the number of outputs, which the erasure kernel wants; TypeScript is the macro language here.
 */

/** Encoded instructions; an expression leaves one value on the stack, a statement none. */
export type Code = readonly number[]

/** Types of values, as the binary format writes them. */
export const I32 = 0x7f
export const I64 = 0x7e
export const V128 = 0x7b

const operation =
  (...opcode: number[]) =>
  (...operands: Code[]): Code => [...operands.flat(), ...opcode]
const access =
  (opcode: readonly number[], alignLog2: number) =>
  (address: Code, offset = 0): Code => [...address, ...opcode, alignLog2, ...uleb(offset)]
const vector = (opcode: number) => operation(0xfd, ...uleb(opcode))

/** Instructions on 32-bit integers; addresses are 32-bit integers too. */
export const i32 = {
  const: (value: number): Code => [0x41, ...sleb(BigInt(value | 0))],
  load: access([0x28], 2),
  load8: access([0x2d], 0),
  store: (address: Code, value: Code, offset = 0): Code => [
    ...address,
    ...value,
    0x36,
    2,
    ...uleb(offset),
  ],
  add: operation(0x6a),
  sub: operation(0x6b),
  and: operation(0x71),
  xor: operation(0x73),
  shl: operation(0x74),
  shiftRightUnsigned: operation(0x76),
  lessUnsigned: operation(0x49),
  greaterUnsigned: operation(0x4b),
}

/** Instructions on 64-bit integers. */
export const i64 = {
  const: (value: bigint): Code => [0x42, ...sleb(BigInt.asIntN(64, value))],
  load: access([0x29], 3),
  add: operation(0x7c),
  shl: operation(0x86),
  lessUnsigned: operation(0x54),
}

/** Instructions on vectors of 16 bytes. */
export const v128 = {
  load: access([0xfd, ...uleb(0x00)], 4),
  store: (address: Code, value: Code, offset = 0): Code => [
    ...address,
    ...value,
    0xfd,
    ...uleb(0x0b),
    4,
    ...uleb(offset),
  ],
  splatByte: (value: number): Code => [0xfd, ...uleb(0x0c), ...Array<number>(16).fill(value)],
  and: vector(0x4e),
  xor: vector(0x51),
  shiftRight16: vector(0x8d),
  swizzle: vector(0x0e),
  relaxedSwizzle: vector(0x100),
}

/** Fills `bytes` of memory from `address` on with a byte. */
export const fillMemory = (address: Code, byte: Code, bytes: Code): Code => [
  ...address,
  ...byte,
  ...bytes,
  ...[0xfc, 0x0b, 0x00],
]

/** Value of a local. */
export const get = (local: number): Code => [0x20, ...uleb(local)]
/** Sets a local. */
export const set = (local: number, value: Code): Code => [...value, 0x21, ...uleb(local)]
/** Gives back `value` from the function. */
export const giveBack = (value: Code): Code => [...value, 0x0f]
/** Repeats `body` as long as `again` holds at its end. */
export const doWhile = (again: Code, ...body: Code[]): Code => [
  0x03,
  0x40,
  ...body.flat(),
  ...again,
  ...[0x0d, 0x00],
  0x0b,
]
/** Runs `body` if `condition` is not zero. */
export const when = (condition: Code, ...body: Code[]): Code => [
  ...condition,
  0x04,
  0x40,
  ...body.flat(),
  0x0b,
]

/** One exported function of a module. */
export interface FunctionSource {
  readonly name: string
  readonly parameters: readonly number[]
  readonly results: readonly number[]
  /** Types of the locals that follow the parameters. */
  readonly locals: readonly number[]
  readonly body: readonly Code[]
}

/**
 * Assembles a module that imports its memory as `env.memory` and exports every function by name.
 *
 * @param functions - `[n]` functions, names unique.
 * @returns The module in the binary format.
 * @throws TypeError if the engine that runs the build does not accept it.
 */
export function assembleModule(functions: readonly FunctionSource[]): Uint8Array<ArrayBuffer> {
  const types = functions.map((f) => [
    0x60,
    ...bytesVector(f.parameters),
    ...bytesVector(f.results),
  ])
  const exports = functions.map((f, index) => [...name(f.name), 0x00, ...uleb(index)])
  const bodies = functions.map((f) => {
    const locals = f.locals.map((type) => [0x01, type])
    const code = [...itemsVector(locals), ...f.body.flat(), 0x0b]
    return [...uleb(code.length), ...code]
  })
  const memory = [...name('env'), ...name('memory'), 0x02, 0x00, 0x01]
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, itemsVector(types)),
    ...section(2, itemsVector([memory])),
    ...section(3, bytesVector(functions.map((_, index) => index))),
    ...section(7, itemsVector(exports)),
    ...section(10, itemsVector(bodies)),
  ])
}

function section(id: number, content: Code): number[] {
  return [id, ...uleb(content.length), ...content]
}

function itemsVector(items: readonly Code[]): number[] {
  return [...uleb(items.length), ...items.flat()]
}

function bytesVector(bytes: Code): number[] {
  return [...uleb(bytes.length), ...bytes]
}

function name(text: string): number[] {
  return bytesVector([...Buffer.from(text)]) as number[]
}

function uleb(value: number): number[] {
  const out: number[] = []
  let rest = value
  do {
    const low = rest & 0x7f
    rest >>>= 7
    out.push(rest === 0 ? low : low | 0x80)
  } while (rest !== 0)
  return out
}

function sleb(value: bigint): number[] {
  const out: number[] = []
  let rest = value
  for (;;) {
    const low = Number(rest & 0x7fn)
    rest >>= 7n
    const done = (rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0)
    out.push(done ? low : low | 0x80)
    if (done) return out
  }
}
