/**
 * Sending a transaction and following it until it is mined, and then until it is final: agents act only on what is final,
 * so this is what a person waits for.
 */
import type { Contract, Log, TransactionReceipt } from 'ethers'
import { NodeError } from '../../agent/base/errors.ts'
import { PARAMETERS } from '../../agent/ledger/abi.ts'
import { type Connection, reading, view } from './connection.ts'
import { explainFailure } from './contract-errors.ts'

const POLL_MS = 200
const MINED_MS_MAX = 10 * 60_000
/** Ethereum finalises in about 15 minutes; more than an hour means that it does not. */
const FINAL_MS_MAX = 60 * 60_000

/**
 * Gas on top of the estimate. Contracts that count time take another way a second later (a settlement writes a word that it
 * did not have to write in the estimate), and what is not used is not paid.
 */
const GAS_PERCENT = 130n
const GAS_EXTRA = 50_000n

/** How far to follow a transaction. */
export type Stage = 'sent' | 'mined' | 'final'

/** What is told while one is followed. */
export interface TransactionProgress {
  readonly stage: Stage
  /** What the transaction does, in a few words. */
  readonly what: string
  readonly hash: string
  /** Block it is in, from `mined` on. */
  readonly blockNumber: number | undefined
}

/** How to follow a transaction. */
export interface FollowOptions {
  /** `final` unless given. */
  readonly until?: Stage | undefined
  readonly onProgress?: ((progress: TransactionProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** A transaction that was sent, and mined if one waited for it. */
export interface Transaction {
  readonly hash: string
  readonly blockNumber: number | undefined
  readonly gasUsed: bigint
  /** Wei paid for the gas. */
  readonly feeWei: bigint
  readonly logs: readonly Log[]
}

/** What to send. */
export interface Call {
  /** What it does, in a few words. */
  readonly what: string
  readonly contract: Contract
  readonly name: string
  readonly args: readonly unknown[]
  /** Wei to send along. */
  readonly value?: bigint | undefined
}

/**
 * Sends a transaction and follows it.
 *
 * @param connection - Where, and who signs.
 * @param call - What to send.
 * @param options - How far to follow it.
 * @returns What became of it.
 * @throws NodeError with the code of the contract's refusal before anything is sent; `TRANSACTION_REVERTED`,
 *   `TRANSACTION_NOT_MINED`, `TRANSACTION_NOT_FINAL`, and what {@link explainFailure} says.
 */
export async function send(
  connection: Connection,
  call: Call,
  options: FollowOptions = {},
): Promise<Transaction> {
  const until = options.until ?? 'final'
  const tell = (stage: Stage, hash: string, blockNumber?: number) =>
    options.onProgress?.({ stage, what: call.what, hash, blockNumber })
  const hash = await submit(connection, call)
  tell('sent', hash)
  if (until === 'sent') {
    return { hash, blockNumber: undefined, gasUsed: 0n, feeWei: 0n, logs: [] }
  }
  let receipt = await untilMined(connection, hash, options.signal)
  tell('mined', hash, receipt.blockNumber)
  if (until === 'final') {
    receipt = await untilFinal(connection, hash, options.signal)
    tell('final', hash, receipt.blockNumber)
  }
  if (receipt.status !== 1) {
    throw new NodeError(
      'TRANSACTION_REVERTED',
      `${call.what}: undone in block ${receipt.blockNumber}`,
      {
        details: { hash },
      },
    )
  }
  const { blockNumber, gasUsed, fee: feeWei, logs } = receipt
  return { hash, blockNumber, gasUsed, feeWei, logs }
}

async function submit(connection: Connection, call: Call): Promise<string> {
  const contract = call.contract.connect(connection.signer()) as Contract
  try {
    const method = contract.getFunction(call.name)
    const value = call.value === undefined ? {} : { value: call.value }
    const estimated = await method.estimateGas(...call.args, value)
    const gasLimit = (estimated * GAS_PERCENT) / 100n + GAS_EXTRA
    const sent = await method.send(...call.args, { ...value, gasLimit })
    return sent.hash
  } catch (caught) {
    throw explainFailure(caught)
  }
}

async function untilMined(
  connection: Connection,
  hash: string,
  signal: AbortSignal | undefined,
): Promise<TransactionReceipt> {
  for (let waitedMs = 0; waitedMs < MINED_MS_MAX; waitedMs += POLL_MS) {
    const receipt = await reading(connection.provider.getTransactionReceipt(hash))
    if (receipt !== null) return receipt
    await connection.wait(POLL_MS, signal)
  }
  throw new NodeError('TRANSACTION_NOT_MINED', `${hash} is in no block yet`, { details: { hash } })
}

/** The receipt is read again each time: a reorganisation may move a transaction to another block. */
async function untilFinal(
  connection: Connection,
  hash: string,
  signal: AbortSignal | undefined,
): Promise<TransactionReceipt> {
  const depth = await finalityDepth(connection)
  for (let waitedMs = 0; waitedMs < FINAL_MS_MAX; waitedMs += POLL_MS) {
    const { provider } = connection
    const final = await finalBlock(connection, depth)
    const receipt = await reading(provider.getTransactionReceipt(hash))
    if (receipt !== null && receipt.blockNumber <= final) return receipt
    await connection.wait(POLL_MS, signal)
  }
  throw new NodeError('TRANSACTION_NOT_FINAL', `${hash} is not final yet`, { details: { hash } })
}

/**
 * The block up to which agents act: at or below the ledger's finalized block, and as deep as policy asks.
 *
 * @param connection - The ledger.
 * @param depth - Policy's FinalityDepth.
 * @returns Its number; -1 while nothing is final.
 */
export async function finalBlock(connection: Connection, depth: number): Promise<number> {
  const { provider } = connection
  const [head, finalized] = await reading(
    Promise.all([provider.getBlockNumber(), provider.getBlock('finalized')]),
  )
  return Math.min(head - depth, finalized?.number ?? -1)
}

async function finalityDepth(connection: Connection): Promise<number> {
  const parameter = PARAMETERS.indexOf('finalityDepth')
  return Number(await view(connection.contracts.policy, 'value', parameter))
}

/**
 * Finds an event in the logs of a transaction.
 *
 * @param contract - Who emitted it.
 * @param name - Name of the event.
 * @param logs - Logs of the transaction.
 * @returns The arguments of the first, or undefined.
 */
export function findEvent(
  contract: Contract,
  name: string,
  logs: readonly Log[],
): Record<string, unknown> | undefined {
  for (const log of logs) {
    if (log.address.toLowerCase() !== String(contract.target).toLowerCase()) continue
    const parsed = contract.interface.parseLog(log)
    if (parsed?.name === name) return parsed.args.toObject() as Record<string, unknown>
  }
  return undefined
}
