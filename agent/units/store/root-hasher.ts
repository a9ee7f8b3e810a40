/** Hashes records on a thread of its own, which starts with the first job, so that a store without provable namespaces has none. */
import { Worker } from 'node:worker_threads'
import { NodeError } from '../../base/errors.ts'
import type { RootBatch, RootHasher } from '../../engines/store/index.ts'

/** A hasher with its thread. */
export interface ThreadedRootHasher extends RootHasher {
  /** Ends the thread; jobs that run fail. */
  close(): Promise<void>
}

/**
 * Makes a hasher.
 *
 * @param root - Root of the store's disk, absolute.
 * @returns The port.
 * @example
 * const rootHasher = threadedRootHasher('/srv/store')
 */
export function threadedRootHasher(root: string): ThreadedRootHasher {
  const waiting = new Map<number, PromiseWithResolvers<RootBatch>>()
  let worker: Worker | undefined
  let lastId = 0

  function start(): Worker {
    const started = new Worker(new URL('./root-worker.ts', import.meta.url), { workerData: root })
    started.on('message', (message: { id: number; batch?: RootBatch; problem?: string }) => {
      const pending = waiting.get(message.id)
      waiting.delete(message.id)
      if (message.batch) pending?.resolve(message.batch)
      else pending?.reject(new NodeError('STORE_HASHER_FAILED', message.problem ?? 'no reason'))
      if (waiting.size === 0) started.unref()
    })
    const fail = (cause: unknown) => {
      worker = undefined
      for (const one of waiting.values()) {
        one.reject(new NodeError('STORE_HASHER_FAILED', 'the hashing thread ended', { cause }))
      }
      waiting.clear()
    }
    started.on('error', fail)
    started.on('exit', fail)
    return started
  }

  return {
    roots(job) {
      worker ??= start()
      worker.ref()
      const id = ++lastId
      const pending = Promise.withResolvers<RootBatch>()
      waiting.set(id, pending)
      worker.postMessage({ id, job })
      return pending.promise
    },
    async close() {
      await worker?.terminate()
    },
  }
}
