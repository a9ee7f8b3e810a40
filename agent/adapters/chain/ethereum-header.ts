/**
 * Headers of Ethereum-like chains: whether a block that an endpoint tells hashes to the hash that it claims.
 *
 * That proves that the fields belong together, so that a false time in an otherwise true block is found. It proves no truth:
 * who forges a whole header gets a hash that fits, and is found by what the chain's other blocks, other endpoints and this
 * machine's clock say.
 */
import { keccak256 } from 'ethers/crypto'
import { encodeRlp, toBeArray } from 'ethers/utils'
import { fieldOf } from '../../base/json.ts'

type Form = 'quantity' | 'bytes'

/** What every header has, in its order. */
const FIELDS: readonly (readonly [name: string, form: Form])[] = [
  ['parentHash', 'bytes'],
  ['sha3Uncles', 'bytes'],
  ['miner', 'bytes'],
  ['stateRoot', 'bytes'],
  ['transactionsRoot', 'bytes'],
  ['receiptsRoot', 'bytes'],
  ['logsBloom', 'bytes'],
  ['difficulty', 'quantity'],
  ['number', 'quantity'],
  ['gasLimit', 'quantity'],
  ['gasUsed', 'quantity'],
  ['timestamp', 'quantity'],
  ['extraData', 'bytes'],
  ['mixHash', 'bytes'],
  ['nonce', 'bytes'],
]

/** What forks appended, oldest first: a header that has one has all before it. */
const FORK_FIELDS: readonly (readonly [name: string, form: Form])[] = [
  ['baseFeePerGas', 'quantity'], // London, EIP-1559
  ['withdrawalsRoot', 'bytes'], // Shanghai, EIP-4895
  ['blobGasUsed', 'quantity'], // Cancun, EIP-4844
  ['excessBlobGas', 'quantity'], // Cancun, EIP-4844
  ['parentBeaconBlockRoot', 'bytes'], // Cancun, EIP-4788
  ['requestsHash', 'bytes'], // Prague, EIP-7685
  ['blockAccessListHash', 'bytes'], // Amsterdam, EIP-7928
  ['slotNumber', 'quantity'], // Amsterdam, EIP-7843
]

/**
 * Hashes a header.
 *
 * @param block - What `eth_getBlockByNumber` gave.
 * @returns 32 bytes as hexadecimal with `0x`; undefined if the block lacks a field that every header has, or has one of
 *   another form.
 * @example
 * ethereumHeaderHash(block) === block.hash
 */
export function ethereumHeaderHash(block: unknown): string | undefined {
  const appended: (readonly [string, Form])[] = []
  for (const entry of FORK_FIELDS) {
    const value = fieldOf(block, entry[0])
    if (value === undefined || value === null) break
    appended.push(entry)
  }
  const items: (Uint8Array | string)[] = []
  for (const [name, form] of [...FIELDS, ...appended]) {
    const item = itemOf(fieldOf(block, name), form)
    if (item === undefined) return undefined
    items.push(item)
  }
  return keccak256(encodeRlp(items))
}

function itemOf(value: unknown, form: Form): Uint8Array | string | undefined {
  if (typeof value !== 'string') return undefined
  if (form === 'bytes') return /^0x(?:[0-9a-fA-F]{2})*$/.test(value) ? value : undefined
  return /^0x[0-9a-fA-F]{1,64}$/.test(value) ? toBeArray(BigInt(value)) : undefined
}
