/**
 * Loads WebAssembly kernels that work on one memory of fixed size.
 *
 * A memory that never grows keeps every view of it valid, which is what lets kernels work in place on bytes that sockets and
 * hashes read at the same time. Node's types leave `WebAssembly` to the DOM library, so the few names used are declared here.
 */
import { assert, required } from './assert.ts'

declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>)
  }
  class Memory {
    constructor(limits: { initial: number; maximum: number })
    readonly buffer: ArrayBuffer
  }
  class Instance {
    constructor(module: Module, imports: { env: { memory: Memory } })
    readonly exports: Readonly<Record<string, unknown>>
  }
  function validate(bytes: Uint8Array<ArrayBuffer>): boolean
}

const PAGE_BYTES = 65536

/** A compiled kernel; instances share its code. */
export interface Kernel {
  /** Which of the variants the engine accepted first. */
  readonly variant: number
  /**
   * Makes an instance with its own memory.
   *
   * @param memoryBytes - Bytes of memory needed; rounded up to 64 KiB.
   */
  instantiate(memoryBytes: number): KernelInstance
}

/** A kernel and its memory. */
export interface KernelInstance {
  readonly memory: ArrayBuffer
  /**
   * An exported function.
   *
   * @typeParam F - Its type; the caller knows the kernel's source.
   * @throws AssertionError if the kernel has none of that name.
   */
  entry<F>(name: string): F
}

/**
 * Compiles the first variant of a kernel that this engine accepts.
 *
 * @param variants - `[n]` modules, base64, best first; each imports `env.memory`.
 * @returns The kernel.
 * @throws AssertionError if none is accepted: the last must be plain enough for every supported engine.
 * @example
 * const { memory, entry } = compileKernel([RELAXED, PLAIN]).instantiate(65536)
 */
export function compileKernel(variants: readonly string[]): Kernel {
  const modules = variants.map((base64) => new Uint8Array(Buffer.from(base64, 'base64')))
  const variant = modules.findIndex((bytes) => WebAssembly.validate(bytes))
  const compiled = new WebAssembly.Module(required(modules[variant], 'some variant is accepted'))
  return {
    variant,
    instantiate(memoryBytes) {
      const pages = Math.ceil(memoryBytes / PAGE_BYTES)
      const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
      const { exports } = new WebAssembly.Instance(compiled, { env: { memory } })
      return {
        memory: memory.buffer,
        entry<F>(name: string): F {
          const found = exports[name]
          assert(typeof found === 'function', `the kernel exports ${name}`)
          return found as F
        },
      }
    },
  }
}
