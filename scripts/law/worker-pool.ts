/**
 * Runs tasks in a few long-lived processes. A process that takes too long, or dies, is replaced; its task is answered by
 * that.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { root } from '../run/step.ts'
import type { Answer, Task } from './mutant-worker.ts'

const WORKER = fileURLToPath(new URL('./mutant-worker.ts', import.meta.url))
/** Longer than all tests take on a busy machine while they are recorded; a mutant that loops for ever ends here. */
const TASK_MS_MAX = 900_000

/** One process and what it does. */
export class Worker {
  readonly #environment: Readonly<Record<string, string>>
  #child: ChildProcess | undefined

  constructor(environment: Readonly<Record<string, string>>) {
    this.#environment = environment
  }

  /**
   * Has one task done.
   *
   * @param task - What.
   * @returns The worker's answer; `died` if it ended over it, `late` if it had to be stopped.
   */
  async do(task: Task): Promise<Answer & { died?: boolean; late?: boolean }> {
    const child = this.#started()
    return new Promise((resolve) => {
      const finish = (answer: Answer & { died?: boolean; late?: boolean }) => {
        clearTimeout(timer)
        child.removeAllListeners()
        resolve(answer)
      }
      const timer = setTimeout(() => {
        this.stop()
        finish({ failed: `stopped after ${TASK_MS_MAX / 1000} s`, late: true })
      }, TASK_MS_MAX)
      child.once('message', (answer: Answer) => finish(answer))
      child.once('exit', () => {
        this.#child = undefined
        finish({ died: true })
      })
      child.send(task)
    })
  }

  /** Ends the process, if one runs. */
  stop(): void {
    this.#child?.kill('SIGKILL')
    this.#child = undefined
  }

  #started(): ChildProcess {
    this.#child ??= fork(WORKER, {
      ...{ cwd: root, env: { ...process.env, ...this.#environment } },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    return this.#child
  }
}

/**
 * Has a list of jobs done by several workers, each taking the next when it is free.
 *
 * @param workers - As many jobs go on at once.
 * @param jobs - In the order they are begun.
 * @param work - Does one.
 */
export async function share<Job>(
  workers: readonly Worker[],
  jobs: readonly Job[],
  work: (worker: Worker, job: Job) => Promise<void>,
): Promise<void> {
  const left = jobs[Symbol.iterator]()
  await Promise.all(
    workers.map(async (worker) => {
      for (const job of left) await work(worker, job)
    }),
  )
}
