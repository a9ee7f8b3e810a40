/**
 * RPC endpoints over the model of the ledger, which lag, stand still, withhold events, fork above finality, change chain, vanish or
 * lie about the state; and the same endpoints' sending side.
 */
import { Transaction } from 'ethers/transaction'
import { NodeError } from '../../agent/base/errors.ts'
import type { Account } from '../../agent/base/ids.ts'
import type { Chance, Clock } from '../../agent/base/ports.ts'
import { NODES_ABI, ORDERS_ABI } from '../../agent/ledger/abi.ts'
import type { LedgerGate, LedgerSource, LogFilter } from '../../agent/ledger/ports.ts'
import type { BlockRef } from '../../agent/ledger/types.ts'
import {
  answerCall,
  SIM_CHAIN_ID,
  SIM_CONTRACTS,
  type SimBlock,
  type SimCall,
  type SimLedger,
  SimRevert,
} from './sim-ledger.ts'

/** What is wrong with an endpoint. `lying` is for a minority only: nobody can see through an endpoint that is alone. */
export type EndpointFault =
  | 'none'
  | 'away'
  | 'slow'
  | 'stalled'
  | 'behind'
  | 'withholding'
  | 'wrong-chain'
  | 'pruned'
  | 'lying'
  | 'false-time'

/** Faults that an endpoint may have even where it is the only one. */
export const HONEST_FAULTS: readonly EndpointFault[] = [
  'away',
  'slow',
  'stalled',
  'behind',
  'withholding',
  'withholding',
  'wrong-chain',
  'pruned',
  'false-time',
  'false-time',
]

/** What an endpoint does that may lie. */
export const LIES: readonly EndpointFault[] = ['lying', 'withholding', 'wrong-chain', 'false-time']

/** Seconds by which an endpoint is wrong about the time of its blocks: 10 days, 3 years, an hour; a day back. */
const TIMES_OFF: readonly number[] = [864_000, 94_608_000, 3_600, -86_400]

/** The production client gives up after this. */
const TIMEOUT_MS = 5_000

interface SimView {
  readonly chain: readonly SimBlock[]
  /** The newest block that is shown. */
  readonly head: SimBlock
  readonly final: number
}

/** One endpoint, shared by all nodes that are configured with it. */
export class SimEndpoint {
  readonly name: string
  readonly #ledger: SimLedger
  readonly #chance: Chance
  #fault: EndpointFault = 'none'
  #frozen: readonly SimBlock[] = []
  #frozenFinal = 0
  #fiction: SimBlock | undefined
  #timeOff = 0
  #timeOffFrom = 0

  constructor(name: string, ledger: SimLedger, chance: Chance) {
    this.name = name
    this.#ledger = ledger
    this.#chance = chance
  }

  get fault(): EndpointFault {
    return this.#fault
  }

  set fault(fault: EndpointFault) {
    this.#fault = fault
    // What it saw last is what it goes on showing: maybe a branch that is undone later.
    this.#frozen = [...this.#ledger.chain]
    this.#frozenFinal = this.#ledger.finalNumber
    this.#fiction = undefined
    if (fault !== 'false-time') return
    this.#timeOff = TIMES_OFF[this.#chance.below(TIMES_OFF.length)] ?? 0
    // Of all blocks, or of those that nobody has adopted yet.
    this.#timeOffFrom = this.#chance.below(2) === 0 ? 0 : this.#ledger.settled.number + 1
  }

  /** The endpoint as one node uses it. @param clock - Of the process that asks. */
  connect(account: Account, clock: Clock): LedgerSource & LedgerGate {
    const answering = async <T>(answer: () => T): Promise<T> => {
      await this.#wait(clock)
      return answer()
    }
    return {
      name: this.name,
      chainId: () => answering(() => (this.#fault === 'wrong-chain' ? 1 : SIM_CHAIN_ID)),
      block: (which) => answering(() => this.#block(which)),
      call: (to, data, blockHash) => answering(() => this.#call(to, data, blockHash)),
      code: (address) => answering(() => (isContract(address) ? `0x60${address.slice(2)}` : '0x')),
      logs: (filter) => answering(() => this.#logs(filter)),
      nonce: (from) => answering(() => this.#view.head.state.nonces.get(from as Account) ?? 0),
      balance: () => answering(() => 10n ** 24n),
      estimateGas: (call) => answering(() => this.#estimate(account, call)),
      fees: () => answering(() => ({ baseFee: 1n, priorityFee: 1n })),
      send: (signed) => answering(() => this.#send(account, signed)),
      receipt: (hash) => answering(() => this.#receipt(hash)),
    }
  }

  /** Delays are drawn rarely, because a hundred calls of a poll in one packet have one delay. */
  async #wait(clock: Clock): Promise<void> {
    if (this.#fault === 'slow') await clock.sleep(100 + this.#chance.below(900))
    else if (this.#chance.below(8) === 0) await clock.sleep(1 + this.#chance.below(60))
    if (this.#fault !== 'away') return
    if (this.#chance.below(2) === 0) await clock.sleep(TIMEOUT_MS)
    throw new NodeError('LEDGER_UNREACHABLE', `no answer from ${this.name}`)
  }

  get #view(): SimView {
    const isFrozen = this.#fault === 'stalled'
    const chain = isFrozen ? this.#frozen : this.#ledger.chain
    const lag = this.#fault === 'behind' ? 8 : 0
    const head = chain[Math.max(0, chain.length - 1 - lag)] as SimBlock
    const final = isFrozen ? this.#frozenFinal : this.#ledger.finalNumber
    return { chain, head, final: Math.max(0, final - lag) }
  }

  #block(which: 'latest' | 'finalized' | number): BlockRef | undefined {
    const { chain, head, final } = this.#view
    // A liar calls final what is not.
    const finalNumber = this.#fault === 'lying' ? head.number : final
    const number = which === 'latest' ? head.number : which === 'finalized' ? finalNumber : which
    const block = chain[number]
    if (!block || number > head.number) return undefined
    const { hash, parentHash, timestamp } = block
    const isFalse = this.#fault === 'false-time' && number >= this.#timeOffFrom
    return { number, hash, parentHash, timestamp: timestamp + (isFalse ? this.#timeOff : 0) }
  }

  #at(blockHash: string): SimBlock {
    const { chain, head } = this.#view
    const block = blockHash === 'latest' ? head : chain.findLast(({ hash }) => hash === blockHash)
    if (!block) throw new NodeError('LEDGER_RPC_FAILED', `unknown block ${blockHash}`)
    if (this.#fault !== 'lying') return block
    // A liar says that everybody's orders ended long ago.
    if (this.#fiction?.hash !== block.hash) {
      const orders = block.state.orders.map((order) => ({ ...order, endedAt: 1, paidUntil: 1 }))
      this.#fiction = { ...block, state: { ...block.state, orders }, answers: new Map() }
    }
    return this.#fiction
  }

  #call(to: string, data: string, blockHash: string): string {
    if (this.#fault === 'pruned' && this.#chance.below(3) === 0) {
      throw new NodeError('LEDGER_RPC_FAILED', 'missing trie node')
    }
    return answerCall(this.#at(blockHash), to, data)
  }

  #logs(filter: LogFilter) {
    const { fromBlock, toBlock, topics = [] } = filter
    const { chain, head } = this.#view
    const found = chain
      .slice(fromBlock, Math.min(toBlock, head.number) + 1)
      .flatMap(({ logs }) => logs)
      .filter((log) => topics.every((topic, at) => topic === null || log.topics[at] === topic))
    if (this.#fault !== 'withholding') return found
    return found.filter(() => this.#chance.below(2) === 0)
  }

  #estimate(account: Account, call: { readonly to: string; readonly data: string }): bigint {
    const { head } = this.#view
    try {
      this.#ledger.tryOn(head, (on) => perform(on, account, call.to, call.data))
    } catch (caught) {
      if (!(caught instanceof SimRevert)) throw caught
      throw new NodeError('TRANSACTION_REVERTED', caught.message)
    }
    return 100_000n
  }

  #send(account: Account, signed: string): void {
    // The answer may be lost, or the transaction; the sender cannot tell which.
    if (this.#fault === 'stalled') return
    const { hash, to, data, nonce } = Transaction.from(signed)
    this.#ledger.submit({
      hash: hash ?? '',
      from: { account, nonce },
      apply: (call) => perform(call, account, String(to).toLowerCase(), data),
    })
  }

  #receipt(hash: string) {
    const block = this.#view.chain.findLast(({ receipts }) => receipts.has(hash))
    const succeeded = block?.receipts.get(hash)
    if (!block || succeeded === undefined) return undefined
    return { blockNumber: block.number, succeeded }
  }
}

function isContract(address: string): boolean {
  return Object.values<string>(SIM_CONTRACTS).includes(address)
}

/** What an agent may send. */
function perform(call: SimCall, account: Account, to: string, data: string): void {
  const abi = to === SIM_CONTRACTS.nodes ? NODES_ABI : ORDERS_ABI
  const parsed = abi.parseTransaction({ data })
  const args = parsed?.args
  if (!parsed || !args) throw new SimRevert('no such function')
  switch (parsed.name) {
    case 'register': {
      const [publicKey, sealingKey, offer, addresses] = args
      call.register(account, {
        publicKey,
        sealingKey,
        capacityBytes: Number(offer[0]),
        usedBytes: 0,
        addresses: [...addresses],
        registeredAt: call.time,
        lastHeartbeat: call.time,
      })
      return
    }
    case 'setOffer':
      call.change(account, { capacityBytes: Number(args[0][0]) })
      return
    case 'setAddresses':
      call.change(account, { addresses: [...args[0]] })
      return
    case 'heartbeat':
      call.heartbeat(account)
      return
    case 'replace':
      call.replace(account, Number(args[0]), Number(args[1]), Number(args[2]))
      return
    default:
      throw new SimRevert(`agents do not send ${parsed.name}`)
  }
}
