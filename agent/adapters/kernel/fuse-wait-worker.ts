/**
 * Thread that waits for requests of the kernel while the main thread does something else.
 *
 * Node's event loop cannot watch `/dev/fuse`, so this blocks in poll(2) and wakes the main thread with a message; it reads
 * nothing itself. After a message it sleeps until it is asked to watch again.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '../../base/assert.ts'
import { ReadableWait } from './libc.ts'
import { WAIT_ARMED, WAIT_IDLE, WAIT_STOP, type WaitWorkerData } from './wait-state.ts'

/** How often the thread looks whether it should stop, if the kernel does not wake it. */
const WAIT_US = 1_000_000

assert(parentPort !== null, 'runs as a worker')
const { fd, state: shared } = workerData as WaitWorkerData
const state = new Int32Array(shared)
const readable = new ReadableWait(fd)

for (;;) {
  Atomics.wait(state, 0, WAIT_IDLE)
  if (Atomics.load(state, 0) === WAIT_STOP) break
  if (!readable.wait(WAIT_US)) continue
  if (Atomics.compareExchange(state, 0, WAIT_ARMED, WAIT_IDLE) === WAIT_STOP) break
  parentPort.postMessage(undefined)
}
