/** A thread that hashes records: jobs in, roots out. Started by `root-hasher.ts`. */
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { nodeDisk } from '../../adapters/disk/node-disk.ts'
import { describeError } from '../../base/errors.ts'
import { computeRoots, type RootJob } from '../../engines/store/index.ts'

/** Lowest: hashing takes what serving leaves over, and catches up when there is time. */
const NICENESS = 19
stepBack()

const disk = nodeDisk(String(workerData))

parentPort?.on('message', ({ id, job }: { id: number; job: RootJob }) => {
  try {
    const batch = computeRoots(disk, job)
    parentPort?.postMessage({ id, batch })
  } catch (caught) {
    parentPort?.postMessage({ id, problem: describeError(caught) })
  }
})

/** Lowers the priority of this thread alone, which on Linux has a number of its own. */
function stepBack(): void {
  try {
    const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1))
    if (Number.isInteger(thread)) setPriority(thread, NICENESS)
  } catch {
    // Elsewhere it runs as any other thread.
  }
}
