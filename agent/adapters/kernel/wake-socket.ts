/**
 * Lets Node's event loop watch an eventfd, which it has no call for.
 *
 * A socket made of a pipe's end is watched like any other; before it is, the descriptor of that end becomes another
 * name of the eventfd. Reading it resets the counter, which is what a wake-up needs.
 */
import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import type { RingCalls } from './io-ring-calls.ts'

/** The counter of an eventfd. */
const COUNTER_BYTES = 8

/**
 * Makes the socket.
 *
 * @param calls - System calls.
 * @param eventfd - Non-blocking; still the caller's.
 * @returns A paused socket that emits `wake` when the counter is not zero, or undefined where the system gives no more
 *   descriptors.
 */
export function wakeSocket(calls: RingCalls, eventfd: number): Socket | undefined {
  const pipe = calls.pipe()
  if (!pipe) return undefined
  closeSync(pipe.writeFd)
  const buffer = Buffer.alloc(COUNTER_BYTES)
  const options = {
    fd: pipe.readFd,
    readable: true,
    writable: false,
    manualStart: true,
    onread: {
      buffer,
      callback() {
        socket.emit('wake')
        return true
      },
    },
  }
  // `manualStart` is what node:net itself passes here; it is missing in the types only.
  const socket: Socket = new Socket(options as ConstructorParameters<typeof Socket>[0])
  if (calls.duplicate(eventfd, pipe.readFd) < 0) {
    socket.destroy()
    return undefined
  }
  return socket
}
