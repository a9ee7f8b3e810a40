/** A client of `npm run bench -- store`, as the benchmark sees it: a process that does one job after another. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { NodeError } from '../../agent/base/errors.ts'
import type { LoadJob, LoadResult, LoadShape } from './store-load-worker.ts'

/** A client that waits for jobs. */
export interface Load {
  run(job: LoadJob): Promise<LoadResult>
  /** Ends its connections and itself. */
  stop(): Promise<void>
}

/**
 * Starts a client.
 *
 * @param shape - Whom it speaks to and how.
 * @returns It; it connects with its first job.
 */
export function startLoad(shape: LoadShape): Load {
  const file = fileURLToPath(new URL('./store-load-worker.ts', import.meta.url))
  const child = spawn(process.execPath, [file, JSON.stringify(shape)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  // What is written to one that ended shows as the end of its results.
  child.stdin.on('error', () => undefined)
  const results = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async run(job) {
      child.stdin.write(`${JSON.stringify(job)}\n`)
      const { value, done } = await results.next()
      if (done) throw new NodeError('BENCH_PEER', 'the load ended before its job was done')
      return JSON.parse(value) as LoadResult
    },
    async stop() {
      child.stdin.end()
      await exited
    },
  }
}
