/** What the ledger reader and sender need from outside: one JSON-RPC endpoint. Adapter: `adapters/chain`; in tests `test/support/fake-ledger`. */
import type { BlockRef } from './types.ts'

/** A log entry of a contract. */
export interface LogEntry {
  readonly blockNumber: number
  readonly blockHash: string
  readonly topics: readonly string[]
  readonly data: string
}

/** Which logs. */
export interface LogFilter {
  readonly address: string
  readonly fromBlock: number
  readonly toBlock: number
  /** Wanted topics by position; null accepts any. */
  readonly topics?: readonly (string | null)[]
}

/** One endpoint, which may be slow, wrong or lying. Every method throws NodeError `LEDGER_*` of what went wrong. */
export interface LedgerSource {
  /** Host and port, without credentials: for logs and status. */
  readonly name: string
  chainId(signal: AbortSignal): Promise<number>
  /** @returns The block, or undefined if the endpoint has none. */
  block(which: 'latest' | 'finalized' | number, signal: AbortSignal): Promise<BlockRef | undefined>
  /**
   * Calls a contract in the state after the block of that hash, or after the newest, of which nobody can say which it was.
   *
   * @returns The returned bytes as hexadecimal with `0x`.
   */
  call(to: string, data: string, block: string | 'latest', signal: AbortSignal): Promise<string>
  code(address: string, blockHash: string, signal: AbortSignal): Promise<string>
  /** Logs of one contract, both blocks included, in the order of the chain. */
  logs(filter: LogFilter, signal: AbortSignal): Promise<readonly LogEntry[]>
}

/** What became of a transaction. */
export interface Receipt {
  readonly blockNumber: number
  readonly succeeded: boolean
}

/** The sending side of an endpoint. */
export interface LedgerGate {
  readonly name: string
  chainId(signal: AbortSignal): Promise<number>
  /** Number of the account's transactions that are mined. */
  nonce(account: string, signal: AbortSignal): Promise<number>
  balance(account: string, signal: AbortSignal): Promise<bigint>
  /** @throws NodeError `TRANSACTION_REVERTED` with `details.data` (the revert data) if the call fails. */
  estimateGas(
    call: { readonly from: string; readonly to: string; readonly data: string },
    signal: AbortSignal,
  ): Promise<bigint>
  /** Base fee of the newest block (undefined before EIP-1559) and what miners ask on top. */
  fees(signal: AbortSignal): Promise<{ baseFee: bigint | undefined; priorityFee: bigint }>
  /** Hands over a signed transaction; one that is known already is fine. @throws NodeError `TRANSACTION_REFUSED`. */
  send(signed: string, signal: AbortSignal): Promise<void>
  receipt(hash: string, signal: AbortSignal): Promise<Receipt | undefined>
}
