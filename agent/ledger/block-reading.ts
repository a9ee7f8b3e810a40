/** Reads at one block of one endpoint: what all reading of the ledger is made of. */
import { NodeError } from '../base/errors.ts'
import type { ORDERS_ABI } from './abi.ts'
import { decodeReturn } from './decode.ts'
import type { LedgerSource, LogEntry } from './ports.ts'
import type { BlockRef, GridPin } from './types.ts'

/** Blocks of one log request: what the strictest public endpoints still serve. */
export const LOG_BLOCKS_MAX = 2_000
/** Calls that wait for one endpoint at once: what fits into one batch. */
const CALLS_AT_ONCE = 40

/** One endpoint at one block. */
export class BlockReading {
  readonly source: LedgerSource
  readonly pin: GridPin
  readonly block: BlockRef
  /** When what is first seen now happened at the latest, seconds. */
  readonly seenAt: number
  readonly #signal: AbortSignal

  constructor(
    source: LedgerSource,
    pin: GridPin,
    block: BlockRef,
    seenAt: number,
    signal: AbortSignal,
  ) {
    this.source = source
    this.pin = pin
    this.block = block
    this.seenAt = seenAt
    this.#signal = signal
  }

  call(to: string, data: string): Promise<string> {
    return this.source.call(to, data, this.block.hash, this.#signal)
  }

  /** A counter of a contract. */
  async count(
    to: string,
    abi: typeof ORDERS_ABI,
    name: 'sequence' | 'registryVersion' | 'orderCount' | 'nodeCount',
  ): Promise<number> {
    const [value] = decodeReturn(abi, name, await this.call(to, abi.encodeFunctionData(name)))
    return Number(value)
  }

  /**
   * Checks that this block can come after one that was read before, and that the endpoint still has.
   *
   * @throws NodeError `LEDGER_FORKED`, `LEDGER_TIME_IMPLAUSIBLE`.
   */
  checkSuccession(cursor: BlockRef): void {
    const { number, parentHash, timestamp } = this.block
    if (number === cursor.number + 1 && parentHash !== cursor.hash) {
      throw new NodeError('LEDGER_FORKED', `block ${cursor.number} is no parent of the next`)
    }
    if (timestamp >= cursor.timestamp) return
    const message = `block ${number} is older than block ${cursor.number} before it`
    throw new NodeError('LEDGER_TIME_IMPLAUSIBLE', message)
  }

  /** Logs of a contract from a block up to this one. */
  async logs(
    address: string,
    fromBlock: number,
    topics: readonly (string | null)[],
  ): Promise<LogEntry[]> {
    const all: LogEntry[] = []
    for (let from = fromBlock; from <= this.block.number; from += LOG_BLOCKS_MAX) {
      const toBlock = Math.min(from + LOG_BLOCKS_MAX - 1, this.block.number)
      const filter = { address, fromBlock: from, toBlock, topics }
      all.push(...(await this.source.logs(filter, this.#signal)))
    }
    return all
  }
}

/**
 * Runs a call for each group of ids, some at once.
 *
 * @param ids - `[n]` ids.
 * @param groupSize - Ids of one call.
 * @param call - Asks for one group.
 * @returns Results in the order of the groups.
 */
export async function inGroups<T>(
  ids: readonly number[],
  groupSize: number,
  call: (ids: number[]) => Promise<T>,
): Promise<T[]> {
  const groups: number[][] = []
  for (let at = 0; at < ids.length; at += groupSize) groups.push(ids.slice(at, at + groupSize))
  const results: T[] = []
  for (let at = 0; at < groups.length; at += CALLS_AT_ONCE) {
    results.push(...(await Promise.all(groups.slice(at, at + CALLS_AT_ONCE).map(call))))
  }
  return results
}

/** Whole numbers of a range, both ends included. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index)
}
