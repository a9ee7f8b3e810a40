/**
 * An Ethereum JSON-RPC endpoint as the ledger ports need it. Everything that comes back is checked before it is believed
 * to have the asked form.
 */
import { NodeError } from '../../base/errors.ts'
import { fieldOf } from '../../base/json.ts'
import type { LedgerGate, LedgerSource, LogEntry, LogFilter, Receipt } from '../../ledger/ports.ts'
import type { BlockRef } from '../../ledger/types.ts'
import { HEADER_FORMATS, type HeaderFormat } from './header-formats.ts'
import { JsonRpc, type RpcFailure } from './json-rpc.ts'

/** Log entries of one answer at most: beyond it the endpoint does not keep to the range. */
const LOGS_MAX = 100_000

/**
 * Opens an endpoint; nothing is sent before the first call.
 *
 * @param url - `http://` or `https://`.
 * @param headers - Format of the chain's headers, which are held to their hash.
 * @returns Both sides of the endpoint.
 * @throws NodeError `CONFIG_INVALID` for other URLs.
 * @example
 * const ledger = rpcLedger('http://127.0.0.1:8545', 'ethereum')
 */
export function rpcLedger(url: string, headers: HeaderFormat): LedgerSource & LedgerGate {
  const rpc = new JsonRpc(url)
  return {
    name: rpc.name,
    chainId: async (signal) => quantity(await rpc.call('eth_chainId', [], signal)),
    block: (which, signal) => readBlock(rpc, headers, which, signal),
    async call(to, data, block, signal) {
      const at = block === 'latest' ? block : { blockHash: block }
      return hex(await rpc.call('eth_call', [{ to, data }, at], signal))
    },
    async code(address, blockHash, signal) {
      return hex(await rpc.call('eth_getCode', [address, { blockHash }], signal))
    },
    logs: (filter, signal) => readLogs(rpc, filter, signal),
    async nonce(account, signal) {
      return quantity(await rpc.call('eth_getTransactionCount', [account, 'latest'], signal))
    },
    async balance(account, signal) {
      return bigQuantity(await rpc.call('eth_getBalance', [account, 'latest'], signal))
    },
    estimateGas: (call, signal) => estimateGas(rpc, call, signal),
    fees: (signal) => readFees(rpc, signal),
    send: (signed, signal) => sendSigned(rpc, signed, signal),
    receipt: (hash, signal) => readReceipt(rpc, hash, signal),
  }
}

async function readBlock(
  rpc: JsonRpc,
  headers: HeaderFormat,
  which: 'latest' | 'finalized' | number,
  signal: AbortSignal,
): Promise<BlockRef | undefined> {
  const tag = typeof which === 'number' ? `0x${which.toString(16)}` : which
  const block = await rpc.call('eth_getBlockByNumber', [tag, false], signal)
  if (block === null || block === undefined) return undefined
  const told = hash(field(block, 'hash'))
  const hashOf = HEADER_FORMATS[headers]
  if (hashOf && hashOf(block) !== told) {
    throw new NodeError(
      'LEDGER_HEADER_FORGED',
      `${rpc.name}: the header of ${told} has another hash`,
    )
  }
  return {
    number: quantity(field(block, 'number')),
    hash: told,
    parentHash: hash(field(block, 'parentHash')),
    timestamp: quantity(field(block, 'timestamp')),
  }
}

async function readLogs(
  rpc: JsonRpc,
  filter: LogFilter,
  signal: AbortSignal,
): Promise<readonly LogEntry[]> {
  const { address, fromBlock, toBlock, topics = [] } = filter
  const range = { fromBlock: `0x${fromBlock.toString(16)}`, toBlock: `0x${toBlock.toString(16)}` }
  const logs = await rpc.call('eth_getLogs', [{ address, ...range, topics }], signal)
  if (!Array.isArray(logs) || logs.length > LOGS_MAX) throw invalid('logs')
  return logs.map((log: unknown): LogEntry => {
    const entry = {
      blockNumber: quantity(field(log, 'blockNumber')),
      blockHash: hash(field(log, 'blockHash')),
      topics: list(field(log, 'topics')).map(hash),
      data: hex(field(log, 'data')),
    }
    const from = hex(field(log, 'address')).toLowerCase()
    const isWithin = entry.blockNumber >= fromBlock && entry.blockNumber <= toBlock
    if (from !== address.toLowerCase() || !isWithin)
      throw invalid('a log of another contract or block')
    return entry
  })
}

async function estimateGas(
  rpc: JsonRpc,
  call: { from: string; to: string; data: string },
  signal: AbortSignal,
): Promise<bigint> {
  try {
    return bigQuantity(await rpc.call('eth_estimateGas', [call], signal))
  } catch (caught) {
    const failure = failureOf(caught)
    if (!failure) throw caught
    if (
      /insufficient funds|insufficient balance|gas required exceeds allowance/i.test(
        failure.message,
      )
    ) {
      throw new NodeError('TRANSACTION_UNFUNDED', failure.message)
    }
    const data = revertData(failure.data)
    if (data === undefined && !/revert/i.test(failure.message)) throw caught
    throw new NodeError('TRANSACTION_REVERTED', failure.message, {
      details: { data: data ?? '0x' },
    })
  }
}

async function readFees(
  rpc: JsonRpc,
  signal: AbortSignal,
): Promise<{ baseFee: bigint | undefined; priorityFee: bigint }> {
  const block = await rpc.call('eth_getBlockByNumber', ['latest', false], signal)
  const base = fieldOf(block, 'baseFeePerGas')
  if (base === undefined || base === null) {
    return {
      baseFee: undefined,
      priorityFee: bigQuantity(await rpc.call('eth_gasPrice', [], signal)),
    }
  }
  const tip = await rpc.call('eth_maxPriorityFeePerGas', [], signal)
  return { baseFee: bigQuantity(base), priorityFee: bigQuantity(tip) }
}

async function sendSigned(rpc: JsonRpc, signed: string, signal: AbortSignal): Promise<void> {
  try {
    await rpc.call('eth_sendRawTransaction', [signed], signal)
  } catch (caught) {
    const failure = failureOf(caught)
    if (!failure) throw caught
    // Of the second nobody can say more than that it is too late: what became of it is asked anyway.
    if (/already known|already imported|known transaction|nonce too low/i.test(failure.message)) {
      return
    }
    if (/insufficient funds/i.test(failure.message)) {
      throw new NodeError('TRANSACTION_UNFUNDED', failure.message)
    }
    throw new NodeError('TRANSACTION_REFUSED', failure.message)
  }
}

async function readReceipt(
  rpc: JsonRpc,
  transaction: string,
  signal: AbortSignal,
): Promise<Receipt | undefined> {
  const receipt = await rpc.call('eth_getTransactionReceipt', [transaction], signal)
  if (receipt === null || receipt === undefined) return undefined
  return {
    blockNumber: quantity(field(receipt, 'blockNumber')),
    succeeded: quantity(field(receipt, 'status')) === 1,
  }
}

function failureOf(caught: unknown): RpcFailure | undefined {
  if (!(caught instanceof NodeError) || caught.code !== 'LEDGER_RPC_FAILED') return undefined
  return caught.details['failure'] as RpcFailure
}

/** Endpoints put the revert data at `data` or one level deeper. */
function revertData(data: unknown): string | undefined {
  if (typeof data === 'string' && /^0x[0-9a-f]*$/i.test(data)) return data
  if (typeof data !== 'object' || data === null) return undefined
  return revertData(Reflect.get(data, 'data'))
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) throw invalid(name)
  return Reflect.get(value, name)
}

function list(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw invalid('a list')
  return value
}

function hex(value: unknown): string {
  if (typeof value !== 'string' || !/^0x(?:[0-9a-fA-F]{2})*$/.test(value)) throw invalid('bytes')
  return value
}

function hash(value: unknown): string {
  const text = hex(value)
  if (text.length !== 66) throw invalid('a hash')
  return text.toLowerCase()
}

function bigQuantity(value: unknown): bigint {
  if (typeof value !== 'string' || !/^0x[0-9a-fA-F]{1,64}$/.test(value)) throw invalid('a quantity')
  return BigInt(value)
}

function quantity(value: unknown): number {
  const result = Number(bigQuantity(value))
  if (!Number.isSafeInteger(result)) throw invalid('a quantity below 2^53')
  return result
}

function invalid(what: string): NodeError {
  return new NodeError('LEDGER_RESPONSE_INVALID', `expected ${what} in the endpoint’s answer`)
}
