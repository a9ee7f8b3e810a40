/**
 * Exports blocks of a ledger as an `.e2s` file: e2store framing with headers, bodies and receipts as era1 has them, for
 * chains without total difficulty.
 *
 * The RPC is not believed: header, body and receipts are put together from its answers and must give the block's hash and
 * the roots in its header, before anything is written.
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { getBytes, JsonRpcProvider, Transaction } from 'ethers'
import { fromHex, toHex } from '../../agent/base/bytes.ts'
import { NodeError } from '../../agent/base/errors.ts'
import { checkBlock } from './check-block.ts'
import { chainFileName } from './check-file.ts'
import { encodeBlockIndex, encodeE2Record, RECORD } from './e2store.ts'
import { encodeRlpList, encodeRlpNumber, encodeRlpString } from './rlp.ts'
import { encodeSnappyFrames } from './snappy-frames.ts'

/** What to export. */
export interface LedgerExport {
  /** RPC of the ledger. */
  readonly url: string
  /** First block, `>= 0`. */
  readonly from: number
  /** Last block, `>= from`, at or below the head. */
  readonly to: number
  /** File to write, or a directory in which it gets its proper name. */
  readonly file: string
}

/** What was exported. */
export interface ExportedFile {
  readonly path: string
  readonly blocks: number
  readonly transactions: number
  readonly sizeBytes: number
}

interface RpcBlock {
  readonly [field: string]: unknown
  readonly hash: string
  readonly transactions: readonly Record<string, unknown>[]
  readonly withdrawals?: readonly Record<string, string>[]
}

interface RpcReceipt {
  readonly type?: string
  readonly status: string
  readonly cumulativeGasUsed: string
  readonly logsBloom: string
  readonly logs: readonly { address: string; topics: readonly string[]; data: string }[]
}

/** Header fields in the order of their encoding; numbers lose leading zeros, the others do not. Absent ones end it. */
const HEADER_FIELDS: readonly [name: string, isNumber: boolean][] = [
  ['parentHash', false],
  ['sha3Uncles', false],
  ['miner', false],
  ['stateRoot', false],
  ['transactionsRoot', false],
  ['receiptsRoot', false],
  ['logsBloom', false],
  ['difficulty', true],
  ['number', true],
  ['gasLimit', true],
  ['gasUsed', true],
  ['timestamp', true],
  ['extraData', false],
  ['mixHash', false],
  ['nonce', false],
  ['baseFeePerGas', true],
  ['withdrawalsRoot', false],
  ['blobGasUsed', true],
  ['excessBlobGas', true],
  ['parentBeaconBlockRoot', false],
  ['requestsHash', false],
]

/**
 * Writes a range of blocks to a file, whole or not at all.
 *
 * @param what - Range and places.
 * @param onBlock - Told the number of each block as it is written.
 * @returns The file.
 * @throws NodeError `HISTORY_EXPORT` if the RPC lacks a block or its parts do not fit.
 * @example
 * await exportLedger({ url, from: 0, to: 999, file: '/var/lib/history' })
 */
export async function exportLedger(
  what: LedgerExport,
  onBlock?: (block: number) => void,
): Promise<ExportedFile> {
  const provider = new JsonRpcProvider(what.url, undefined, {
    staticNetwork: true,
    cacheTimeout: -1,
  })
  const isDirectory = statSync(what.file, { throwIfNoEntry: false })?.isDirectory() ?? false
  const directory = isDirectory ? what.file : dirname(what.file)
  const temporary = join(directory, `.export-${process.pid}-${what.from}.tmp`)
  const file = openSync(temporary, 'w')
  try {
    const { lastHash, ...figures } = await writeBlocks(provider, what, file, onBlock)
    fsyncSync(file)
    const chainId = Number((await provider.getNetwork()).chainId)
    const name = isDirectory
      ? chainFileName(chainId, what.from, what.to, lastHash)
      : basename(what.file)
    renameSync(temporary, join(directory, name))
    return { path: join(directory, name), blocks: what.to - what.from + 1, ...figures }
  } finally {
    closeSync(file)
    rmSync(temporary, { force: true })
    provider.destroy()
  }
}

async function writeBlocks(
  provider: JsonRpcProvider,
  { from, to }: LedgerExport,
  file: number,
  onBlock: ((block: number) => void) | undefined,
): Promise<{ lastHash: string; transactions: number; sizeBytes: number }> {
  let sizeBytes = 0
  const put = (type: number, data: Uint8Array) => {
    const record = encodeE2Record(type, data)
    writeSync(file, record)
    sizeBytes += record.byteLength
  }
  put(RECORD.version, new Uint8Array())
  const offsets: number[] = []
  let transactions = 0
  let lastHash = ''
  for (let number = from; number <= to; number++) {
    const records = await readBlock(provider, number)
    offsets.push(sizeBytes)
    put(RECORD.header, records.header)
    put(RECORD.body, records.body)
    put(RECORD.receipts, records.receipts)
    transactions += records.transactions
    lastHash = records.hash
    onBlock?.(number)
  }
  put(RECORD.blockIndex, encodeBlockIndex({ startBlock: from, offsets }, sizeBytes))
  return { lastHash, transactions, sizeBytes }
}

async function readBlock(provider: JsonRpcProvider, number: number) {
  const tag = `0x${number.toString(16)}`
  const [block, receipts] = (await Promise.all([
    provider.send('eth_getBlockByNumber', [tag, true]),
    provider.send('eth_getBlockReceipts', [tag]),
  ])) as [RpcBlock | null, RpcReceipt[] | null]
  if (block === null || receipts === null) {
    throw new NodeError('HISTORY_EXPORT', `the ledger has no block ${number}`)
  }
  const records = {
    header: encodeSnappyFrames(encodeHeader(block)),
    body: encodeSnappyFrames(encodeBody(block)),
    receipts: encodeSnappyFrames(encodeRlpList(receipts.map(encodeReceipt))),
  }
  const hash = block.hash.slice(2)
  try {
    const checked = checkBlock(records)
    if (toHex(checked.hash) !== hash) {
      throw new NodeError('HISTORY_BLOCK', 'the header’s fields do not give its hash')
    }
    return { ...records, hash, transactions: checked.transactions }
  } catch (cause) {
    throw new NodeError('HISTORY_EXPORT', `block ${number} does not fit together`, { cause })
  }
}

function encodeHeader(block: RpcBlock): Uint8Array {
  const fields: Uint8Array[] = []
  for (const [name, isNumber] of HEADER_FIELDS) {
    const value = block[name]
    if (typeof value !== 'string') break
    fields.push(isNumber ? encodeRlpNumber(BigInt(value)) : encodeRlpString(fromHex(value)))
  }
  return encodeRlpList(fields)
}

function encodeBody(block: RpcBlock): Uint8Array {
  const transactions = block.transactions.map((transaction) => {
    const raw = getBytes(Transaction.from(transactionOf(transaction)).serialized)
    // A legacy transaction is a list by itself, a typed one a byte string.
    return (raw[0] ?? 0) >= 0xc0 ? raw : encodeRlpString(raw)
  })
  const parts = [encodeRlpList(transactions), encodeRlpList([])]
  if (block.withdrawals !== undefined) {
    parts.push(encodeRlpList(block.withdrawals.map(encodeWithdrawal)))
  }
  return encodeRlpList(parts)
}

function transactionOf(fields: Record<string, unknown>) {
  const number = (name: string) =>
    fields[name] === undefined ? null : BigInt(String(fields[name]))
  const type = Number(number('type') ?? 0n)
  const parity = number('yParity') ?? number('v') ?? 0n
  const signature = { r: pad(fields['r']), s: pad(fields['s']), v: Number(parity) }
  const fees =
    type >= 2
      ? {
          maxFeePerGas: number('maxFeePerGas'),
          maxPriorityFeePerGas: number('maxPriorityFeePerGas'),
        }
      : { gasPrice: number('gasPrice') }
  return {
    ...{ type, to: fields['to'] as string | null, data: String(fields['input']), ...fees },
    ...{ nonce: Number(number('nonce')), gasLimit: number('gas'), value: number('value') },
    ...(fields['chainId'] === undefined ? {} : { chainId: number('chainId') }),
    ...(type === 0 ? {} : { accessList: fields['accessList'] as [] }),
    ...(type === 4 ? { authorizationList: fields['authorizationList'] as [] } : {}),
    signature: type === 0 ? signature : { ...signature, v: Number(parity) + 27 },
  }
}

function pad(value: unknown): string {
  return `0x${String(value).slice(2).padStart(64, '0')}`
}

function encodeReceipt(receipt: RpcReceipt): Uint8Array {
  const logs = receipt.logs.map((log) =>
    encodeRlpList([
      encodeRlpString(fromHex(log.address)),
      encodeRlpList(log.topics.map((topic) => encodeRlpString(fromHex(topic)))),
      encodeRlpString(fromHex(log.data)),
    ]),
  )
  const list = encodeRlpList([
    encodeRlpNumber(BigInt(receipt.status)),
    encodeRlpNumber(BigInt(receipt.cumulativeGasUsed)),
    encodeRlpString(fromHex(receipt.logsBloom)),
    encodeRlpList(logs),
  ])
  const type = Number(receipt.type ?? 0)
  return type === 0 ? list : encodeRlpString(Buffer.concat([Uint8Array.of(type), list]))
}

function encodeWithdrawal(withdrawal: Record<string, string>): Uint8Array {
  return encodeRlpList([
    encodeRlpNumber(BigInt(withdrawal['index'] ?? 0)),
    encodeRlpNumber(BigInt(withdrawal['validatorIndex'] ?? 0)),
    encodeRlpString(fromHex(withdrawal['address'] ?? '')),
    encodeRlpNumber(BigInt(withdrawal['amount'] ?? 0)),
  ])
}
