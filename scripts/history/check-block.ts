/**
 * Checks that a block's parts belong together: the body's and the receipts' roots are the header's, so that the header's
 * hash stands for all of it.
 */
import { bytesEqual, toHex } from '../../agent/base/bytes.ts'
import { NodeError } from '../../agent/base/errors.ts'
import { keccak } from './keccak.ts'
import { decodeRlp, type RlpItem, rlpItems } from './rlp.ts'
import { decodeSnappyFrames } from './snappy-frames.ts'
import { trieRoot } from './trie-root.ts'

/** Plain bytes of one record: a block of 60 million gas has at most about 8 MiB of calldata. */
export const PART_BYTES_MAX = 64 * 1024 * 1024
const HEADER_FIELDS_MIN = 15
const HEADER_FIELDS_MAX = 32
/** Transactions in a block: 21,000 gas each, far below this. */
const ITEMS_MAX = 100_000

const FIELD = {
  parentHash: 0,
  ommersHash: 1,
  transactionsRoot: 4,
  receiptsRoot: 5,
  difficulty: 7,
  number: 8,
  withdrawalsRoot: 16,
} as const

/** What is known of a block after it was checked. */
export interface CheckedBlock {
  readonly number: number
  readonly hash: Uint8Array
  readonly parentHash: Uint8Array
  readonly difficulty: bigint
  readonly transactions: number
}

/** A block's three records, as they stand in the file. */
export interface BlockRecords {
  readonly header: Uint8Array
  readonly body: Uint8Array
  readonly receipts: Uint8Array
}

/**
 * Checks a block out of its records.
 *
 * @param records - Snappy-framed RLP of header, body and receipts.
 * @returns What the header says.
 * @throws NodeError `HISTORY_FRAMING`, `HISTORY_BLOCK`.
 */
export function checkBlock(records: BlockRecords): CheckedBlock {
  const header = decodeSnappyFrames(records.header, PART_BYTES_MAX)
  const block = readHeader(header)
  const body = rlpItems(decodeRlp(decodeSnappyFrames(records.body, PART_BYTES_MAX)), 3)
  const [transactions, ommers, withdrawals] = body
  if (transactions === undefined || ommers === undefined) {
    throw new NodeError('HISTORY_BLOCK', `block ${block.number} has no whole body`)
  }
  const values = rlpItems(transactions, ITEMS_MAX).map(trieValue)
  const receipts = rlpItems(
    decodeRlp(decodeSnappyFrames(records.receipts, PART_BYTES_MAX)),
    ITEMS_MAX,
  ).map(trieValue)
  same(block, FIELD.transactionsRoot, trieRoot(values), 'transactions')
  same(block, FIELD.ommersHash, keccak(ommers.raw), 'ommers')
  same(block, FIELD.receiptsRoot, trieRoot(receipts), 'receipts')
  if (withdrawals !== undefined) {
    const all = rlpItems(withdrawals, ITEMS_MAX).map(({ raw }) => raw)
    same(block, FIELD.withdrawalsRoot, trieRoot(all), 'withdrawals')
  }
  return { ...block, transactions: values.length }
}

interface Header extends Omit<CheckedBlock, 'transactions'> {
  readonly fields: readonly RlpItem[]
}

function readHeader(bytes: Uint8Array): Header {
  const fields = rlpItems(decodeRlp(bytes), HEADER_FIELDS_MAX)
  const at = (index: number) => fields[index]?.payload ?? new Uint8Array()
  const number = Number(bigEndian(at(FIELD.number)))
  if (fields.length < HEADER_FIELDS_MIN || !Number.isSafeInteger(number)) {
    throw new NodeError('HISTORY_BLOCK', 'a record is no block header')
  }
  return {
    ...{ fields, number, hash: keccak(bytes), parentHash: at(FIELD.parentHash) },
    difficulty: bigEndian(at(FIELD.difficulty)),
  }
}

function bigEndian(bytes: Uint8Array): bigint {
  return bytes.byteLength === 0 ? 0n : BigInt(`0x${toHex(bytes)}`)
}

/** In a trie a legacy transaction or receipt is its list, a typed one its type and payload. */
function trieValue(item: RlpItem): Uint8Array {
  return item.isList ? item.raw : item.payload
}

function same(block: Header, field: number, computed: Uint8Array, what: string): void {
  if (bytesEqual(block.fields[field]?.payload ?? new Uint8Array(), computed)) return
  throw new NodeError('HISTORY_BLOCK', `the ${what} of block ${block.number} are not its header’s`)
}
