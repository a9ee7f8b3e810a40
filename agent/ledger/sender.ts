/**
 * Brings wanted transactions onto the chain, one at a time, from the node's key.
 *
 * "Persist, then send": `step` signs and returns a record; the caller persists it; the next `step` sends it, again and
 * again, until one of its signed forms is mined. So a crash at any moment neither loses nor doubles a transaction: a new
 * nonce is used only after the previous one was mined.
 */
import { SigningKey } from 'ethers/crypto'
import { Transaction } from 'ethers/transaction'
import { backoffMs } from '../base/backoff.ts'
import { codeOf, describeError, isNodeError, NodeError } from '../base/errors.ts'
import type { LedgerKey } from '../base/ledger-key.ts'
import type { Clock } from '../base/ports.ts'
import { revertName } from './abi.ts'
import { encodeCall } from './calls.ts'
import type { LedgerGate, Receipt } from './ports.ts'
import type { GridPin, SentTransaction, WantedTransaction } from './types.ts'

/** A transaction that is not mined in this time is offered again with a higher fee: a few blocks of a slow chain. */
export const REPLACE_MS = 45_000
/** Nodes take a replacement only if it pays at least a tenth more. */
const FEE_RISE_PERCENT = 25n
/** Raising the fee more often than this (9 times the first fee) would pay for a fault of the chain. */
const REPLACEMENTS_MAX = 10
/** Room above the estimate, because state may change before the block. */
const GAS_MARGIN_PERCENT = 25n
/** And for what a contract that counts time may write a second later than in the estimate. */
const GAS_EXTRA = 50_000n
const RETRY_MS = { minMs: 2_000, maxMs: 300_000 }
/** A transaction that waits is offered again so often: whoever lost it has it back, and nobody hears it all the time. */
const OFFER_MS = 10_000
/** Records of finished transactions that are kept for the status. */
const FINISHED_KEPT = 64
/** Final blocks after which a mined transaction whose need still stands is looked at again. */
const RECHECK_BLOCKS = 2

/** What a sender is made of. */
export interface SenderInit {
  /** `[n]` endpoints, `>= 1`; questions go to the first that answers, transactions to all. */
  readonly gates: readonly LedgerGate[]
  readonly key: LedgerKey
  readonly clock: Clock
}

/** Turns needs into mined transactions. Keeps nothing in memory that matters. */
export class LedgerSender {
  readonly #init: SenderInit
  /** What was offered last, and when by a clock that nobody sets. */
  #offered: { readonly signed: string; readonly at: number } | undefined

  constructor(init: SenderInit) {
    this.#init = init
  }

  /**
   * Does the next thing that is to be done, if any.
   *
   * @param wanted - `[n]` needs, the most urgent first, ids unique.
   * @param sent - `[m]` the records that the last call returned, as persisted.
   * @param ledger - The pinned chain, and its newest final block.
   * @returns The records to persist before the next call.
   * @throws NodeError `LEDGER_UNREACHABLE` and the like if no endpoint answers.
   * @example
   * sent = await sender.step(wanted, sent, { pin, finalNumber }, signal)
   */
  async step(
    wanted: readonly WantedTransaction[],
    sent: readonly SentTransaction[],
    ledger: { readonly pin: GridPin; readonly finalNumber: number },
    signal: AbortSignal,
  ): Promise<readonly SentTransaction[]> {
    const pending = sent.find(({ state }) => state === 'pending')
    const others = sent.filter((record) => record !== pending)
    if (pending) {
      const next = await this.#pursue(pending, ledger.pin.chainId, signal)
      return next ? prune([...others, next], wanted) : prune(others, wanted)
    }
    for (const need of wanted) {
      const last = others.find(({ id }) => id === need.id)
      const rest = others.filter((record) => record !== last)
      if (last?.state === 'failed' && this.#init.clock.now() < last.retryAtMs) continue
      if (last?.state === 'mined') {
        if (!(await this.#vanished(last, ledger.finalNumber, signal))) continue
      }
      const record = await this.#prepare(need, last?.attempts ?? 0, ledger.pin, signal)
      return prune([...rest, record], wanted)
    }
    return prune(others, wanted)
  }

  /** Looks whether a pending transaction is mined, sends it again if not, and raises its fee when it waits long. */
  async #pursue(
    record: SentTransaction,
    chainId: number,
    signal: AbortSignal,
  ): Promise<SentTransaction | undefined> {
    const [receipt, nonce] = await Promise.all([
      this.#receipt(record, signal),
      this.#first((gate) => gate.nonce(this.#init.key.account, signal)),
    ])
    if (receipt) return this.#finished(record, receipt)
    if (nonce > record.nonce) {
      // Mined a moment ago, or the nonce was used by something else: the receipt decides.
      const late = await this.#receipt(record, signal)
      return late ? this.#finished(record, late) : undefined
    }
    const { clock } = this.#init
    const waitedMs = clock.now() - record.signedAtMs
    const isOverdue = waitedMs >= REPLACE_MS && record.hashes.length <= REPLACEMENTS_MAX
    if (isOverdue) return this.#replaced(record, chainId)
    const offered = this.#offered
    const isNew = offered?.signed !== record.signed || clock.monotonic() - offered.at >= OFFER_MS
    if (isNew) {
      await this.#broadcast(record.signed, signal)
      this.#offered = { signed: record.signed, at: clock.monotonic() }
    }
    return record
  }

  async #prepare(
    need: WantedTransaction,
    attempts: number,
    pin: GridPin,
    signal: AbortSignal,
  ): Promise<SentTransaction> {
    const { clock, key } = this.#init
    const { to, data } = encodeCall(need.call, pin)
    const base = {
      id: need.id,
      why: need.why,
      to,
      data,
      attempts: attempts + 1,
      signedAtMs: clock.now(),
      blockNumber: undefined,
      retryAtMs: 0,
      code: undefined,
      message: undefined,
    }
    try {
      const call = { from: key.account, to, data }
      const [nonce, gas, fees, balance] = await Promise.all([
        this.#first((gate) => gate.nonce(key.account, signal)),
        this.#first((gate) => gate.estimateGas(call, signal)),
        this.#first((gate) => gate.fees(signal)),
        this.#first((gate) => gate.balance(key.account, signal)),
      ])
      const gasLimit = gas + (gas * GAS_MARGIN_PERCENT) / 100n + GAS_EXTRA
      const maxFee = (fees.baseFee ?? 0n) * 2n + fees.priorityFee
      checkFunds(balance, gasLimit * maxFee)
      const priced = { nonce, gasLimit, maxFee, priorityFee: fees.priorityFee }
      const { signed, hash } = this.#sign(base, { ...priced, chainId: pin.chainId })
      return { ...base, ...priced, state: 'pending', signed, hashes: [hash] }
    } catch (caught) {
      if (!isNodeError(caught, 'TRANSACTION_REVERTED', 'TRANSACTION_UNFUNDED')) throw caught
      const nothing = {
        nonce: -1,
        gasLimit: 0n,
        maxFee: 0n,
        priorityFee: 0n,
        signed: '',
        hashes: [],
      }
      return this.#failed({ ...base, ...nothing, state: 'pending' }, named(caught))
    }
  }

  #sign(
    call: Pick<SentTransaction, 'to' | 'data'>,
    priced: {
      nonce: number
      gasLimit: bigint
      maxFee: bigint
      priorityFee: bigint
      chainId: number
    },
  ): { signed: string; hash: string } {
    const transaction = Transaction.from({
      type: 2,
      chainId: priced.chainId,
      to: call.to,
      data: call.data,
      value: 0n,
      nonce: priced.nonce,
      gasLimit: priced.gasLimit,
      maxFeePerGas: priced.maxFee,
      maxPriorityFeePerGas: priced.priorityFee,
    })
    const key = new SigningKey(this.#init.key.privateKey)
    transaction.signature = key.sign(transaction.unsignedHash)
    const { serialized, hash } = transaction
    if (hash === null) throw new NodeError('TRANSACTION_REFUSED', 'the transaction was not signed')
    return { signed: serialized, hash }
  }

  #replaced(record: SentTransaction, chainId: number): SentTransaction {
    const raise = (fee: bigint) => fee + (fee * FEE_RISE_PERCENT) / 100n + 1n
    const fees = { maxFee: raise(record.maxFee), priorityFee: raise(record.priorityFee) }
    const { signed, hash } = this.#sign(record, { ...record, ...fees, chainId })
    const signedAtMs = this.#init.clock.now()
    return { ...record, ...fees, signed, hashes: [...record.hashes, hash], signedAtMs }
  }

  #finished(record: SentTransaction, receipt: Receipt): SentTransaction {
    const mined = { ...record, blockNumber: receipt.blockNumber, signed: '' }
    if (receipt.succeeded) return { ...mined, state: 'mined', code: undefined, message: undefined }
    const reverted = new NodeError('TRANSACTION_REVERTED', 'it was mined and reverted')
    return this.#failed(mined, reverted)
  }

  #failed(record: SentTransaction, reason: NodeError): SentTransaction {
    const retryAtMs = this.#init.clock.now() + backoffMs(record.attempts, RETRY_MS)
    return {
      ...record,
      state: 'failed',
      signed: '',
      retryAtMs,
      code: reason.code,
      message: reason.message,
    }
  }

  /** True if a mined transaction was undone by a reorganisation: then its need is tried anew. */
  async #vanished(
    record: SentTransaction,
    finalNumber: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (finalNumber < (record.blockNumber ?? 0) + RECHECK_BLOCKS) return false
    return (await this.#receipt(record, signal)) === undefined
  }

  async #receipt(record: SentTransaction, signal: AbortSignal): Promise<Receipt | undefined> {
    const receipts = await Promise.all(
      record.hashes.map((hash) => this.#first((gate) => gate.receipt(hash, signal))),
    )
    return receipts.find((receipt) => receipt !== undefined)
  }

  async #broadcast(signed: string, signal: AbortSignal): Promise<void> {
    const results = await Promise.allSettled(
      this.#init.gates.map((gate) => gate.send(signed, signal)),
    )
    const isTaken = results.some(({ status }) => status === 'fulfilled')
    const [first] = results
    if (!isTaken && first?.status === 'rejected') throw first.reason
  }

  async #first<T>(question: (gate: LedgerGate) => Promise<T>): Promise<T> {
    let failure: unknown
    for (const gate of this.#init.gates) {
      try {
        return await question(gate)
      } catch (caught) {
        // What the contract or the balance says is an answer; another endpoint would say the same.
        if (codeOf(caught)?.startsWith('TRANSACTION_')) throw caught
        failure ??= caught
      }
    }
    throw failure
  }
}

function checkFunds(balance: bigint, costMax: bigint): void {
  if (balance >= costMax) return
  throw new NodeError(
    'TRANSACTION_UNFUNDED',
    `the account has ${balance} wei and the gas may cost ${costMax}`,
  )
}

function named(caught: NodeError): NodeError {
  const data = caught.details['data']
  const name = typeof data === 'string' ? revertName(data) : undefined
  return new NodeError(caught.code, name ?? describeError(caught), { details: caught.details })
}

/** Finished records whose need is gone are kept only for people to look at, the newest of them. */
function prune(
  records: readonly SentTransaction[],
  wanted: readonly WantedTransaction[],
): readonly SentTransaction[] {
  const needed = new Set(wanted.map(({ id }) => id))
  const old = records.filter(({ id, state }) => state !== 'pending' && !needed.has(id))
  const dropped = new Set(old.slice(0, Math.max(0, old.length - FINISHED_KEPT)))
  return records.filter((record) => !dropped.has(record))
}
