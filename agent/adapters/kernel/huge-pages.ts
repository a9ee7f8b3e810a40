/**
 * madvise(2), which asks the kernel for huge pages: memory that is read all over costs a walk of the page tables at most
 * reads, and 2 MiB a page spare most of them.
 */
import type { HugePages } from '../../base/ports.ts'
import { addressOf } from './buffer-address.ts'
import { optionalLibc } from './optional-libc.ts'

const MADV_DONTNEED = 4
const MADV_HUGEPAGE = 14
const PAGE_BYTES = 4096
/** Less has no huge page of its own wherever it lies. */
const BYTES_MIN = 1024 * 1024

/**
 * Loads the call.
 *
 * @returns It, or undefined where there is none; a system that has no huge pages ignores what is wanted.
 */
export function hugePages(): HugePages | undefined {
  return optionalLibc((libc) => {
    const madvise = libc.func('madvise', 'int', ['uintptr_t', 'size_t', 'int'])
    return {
      want(memory) {
        if (memory.byteLength < BYTES_MIN) return
        const address = addressOf(new Uint8Array(memory))
        // Whole pages around it: neighbours that were asked for, too, may then share a huge page.
        const start = pageBefore(address)
        madvise(start, pageAfter(address + memory.byteLength) - start, MADV_HUGEPAGE)
      },
      drop(part) {
        const address = addressOf(part)
        const start = pageAfter(address)
        const lengthBytes = pageBefore(address + part.byteLength) - start
        if (lengthBytes > 0) madvise(start, lengthBytes, MADV_DONTNEED)
      },
    }
  })
}

function pageBefore(address: number): number {
  return Math.floor(address / PAGE_BYTES) * PAGE_BYTES
}

function pageAfter(address: number): number {
  return Math.ceil(address / PAGE_BYTES) * PAGE_BYTES
}
