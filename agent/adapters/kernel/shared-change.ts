/** Memory that outlives the process, as long as somebody holds its descriptor: where a mount notes its last change. */
import { closeSync, ftruncateSync } from 'node:fs'
import koffi from 'koffi'
import type { LastChange } from '../../engines/fuse/ports.ts'
import { loadRingCalls } from './io-ring-calls.ts'

const MFD_CLOEXEC = 1
const BYTES = 4096
const [UNIQUE, POSITION] = [0, 1]

/** The note, and the descriptor that keeps it. */
export interface SharedChange extends LastChange {
  readonly fd: number
  close(): void
}

/** Makes an empty note. @returns It, or undefined if there is no such memory. */
export function newSharedChange(): SharedChange | undefined {
  const memfd = koffi.load('libc.so.6').func('memfd_create', 'int', ['str', 'uint'])
  const fd: number = memfd('varve-change', MFD_CLOEXEC)
  if (fd < 0) return undefined
  ftruncateSync(fd, BYTES)
  return openSharedChange(fd)
}

/** Opens a note that was handed over. @param fd - Closed by `close`. @returns It, or undefined if it cannot be mapped. */
export function openSharedChange(fd: number): SharedChange | undefined {
  const calls = loadRingCalls()
  const memory = calls.map(fd, BYTES, 0)
  if (!memory) {
    closeSync(fd)
    return undefined
  }
  const words = new Float64Array(calls.view(memory), 0, 2)
  return {
    fd,
    get unique() {
      return words[UNIQUE] ?? 0
    },
    get position() {
      return words[POSITION] ?? 0
    },
    note(unique, position) {
      // In this order: a kill between leaves the number of a request that was answered.
      words[POSITION] = position
      words[UNIQUE] = unique
    },
    // The mapping stays: unmapping what a view still shows would be a fault of the process, and there is one a mount.
    close: () => closeSync(fd),
  }
}
