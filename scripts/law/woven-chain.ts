/**
 * The chains that a process of woven contracts opens: each is told which mutant is on before anything is deployed on it,
 * and again whenever it goes back to an older state; and what its contracts report is handed on.
 */
import type { HardhatHooks } from 'hardhat/types/hooks'
import { RECORDING, SELECTOR_ACCOUNT } from './probe.ts'

/** As much of a connection as is needed here. */
interface Chain {
  readonly provider: { request(call: { method: string; params: unknown[] }): Promise<unknown> }
  close(): Promise<void>
}

/** One for the whole process: Hardhat's configuration and the worker share it. */
class WovenChain {
  /** Which mutant is on; 0 is none. Takes effect on new chains and on those that return to a snapshot. */
  mutant = 0
  /** Gets every mark that contracts report, in processes that record. */
  onMarks: ((marks: readonly number[]) => void) | undefined
  readonly #open = new Set<Chain>()

  /** Closes all but some of what is open, so that a process of thousands of runs keeps its size. */
  async closeAllBut(kept: ReadonlySet<object>): Promise<void> {
    const closing = [...this.#open].filter((chain) => !kept.has(chain))
    for (const chain of closing) this.#open.delete(chain)
    await Promise.all(closing.map((chain) => chain.close()))
  }

  /** Turns recording on for chains opened from now on. */
  record(onMarks: (marks: readonly number[]) => void): void {
    this.mutant = RECORDING
    this.onMarks = onMarks
  }

  /** What Hardhat calls. */
  get hooks(): Partial<HardhatHooks['network']> {
    return {
      newConnection: async (context, next) => {
        const connection = await next(context)
        await connection.provider.request(this.#choice())
        this.#open.add(connection)
        return connection
      },
      onRequest: async (context, connection, request, next) => {
        const response = await next(context, connection, request)
        if (request.method === 'evm_revert') {
          await next(context, connection, { ...request, ...this.#choice() })
        }
        return response
      },
      ...(process.env['VARVE_RECORD'] === undefined
        ? {}
        : { onCoverageData: async (_context, tags) => this.#tell(tags) }),
    }
  }

  #choice() {
    const balance = `0x${this.mutant.toString(16)}`
    return { method: 'hardhat_setBalance', params: [SELECTOR_ACCOUNT, balance] }
  }

  #tell(tags: readonly string[]): void {
    this.onMarks?.(tags.map((tag) => Number.parseInt(tag.slice(-MARK_DIGITS), 16)))
  }
}

/** Marks are words, of which the last 32 bits are used. */
const MARK_DIGITS = 8

/** The chains of this process. */
export const wovenChain = new WovenChain()
