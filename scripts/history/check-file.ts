/**
 * Checks files of blocks from end to end in one pass: framing, every block against its header, every header against the one
 * before, the accumulator (era1), the block index, and the name.
 *
 * What a file says is checked, not how: snappy has many encodings of the same bytes, and which of them a compressor picks is
 * up to its version. Whoever means the very bytes compares `sha256`, as the official lists do.
 *
 * Two kinds: `era1`, Ethereum before the merge, and `.e2s`, our own for ledgers without total difficulty: Version,
 * (header, body, receipts)*, BlockIndex, named `<chain id>-<first block>-<last block>-<first 4 bytes of the last hash>.e2s`.
 */
import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import { bytesEqual, toHex } from '../../agent/base/bytes.ts'
import { NodeError } from '../../agent/base/errors.ts'
import { type AccumulatedBlock, accumulatorRoot, EPOCH_BLOCKS } from './accumulator.ts'
import { type CheckedBlock, checkBlock } from './check-block.ts'
import { decodeBlockIndex, type E2Record, RECORD, readE2Records } from './e2store.ts'

/** What a file was found to hold. */
export interface CheckedFile {
  readonly kind: 'era1' | 'e2s'
  readonly firstBlock: number
  readonly lastBlock: number
  readonly transactions: number
  /** SHA-256 of the file, hexadecimal. */
  readonly sha256: string
  /** Hash of the last block, hexadecimal. */
  readonly lastHash: string
  /** Root over the headers, hexadecimal; era1 only. */
  readonly accumulator: string | undefined
}

/** An `.e2s` file is one buffer of offsets; ours have 8,192 blocks or fewer, others may have more. */
const BLOCKS_MAX = 1_000_000

/**
 * Checks a file of blocks.
 *
 * @param path - A file named `*.era1` or `*.e2s`.
 * @returns What it holds.
 * @throws NodeError `HISTORY_FRAMING`, `HISTORY_BLOCK`, `HISTORY_ACCUMULATOR`, `HISTORY_INDEX`, `HISTORY_NAME`.
 * @example
 * const { firstBlock, lastBlock } = await checkHistoryFile('mainnet-00000-5ec1ffb8.era1')
 */
export async function checkHistoryFile(path: string): Promise<CheckedFile> {
  const kind = path.endsWith('.era1') ? 'era1' : 'e2s'
  const sha256 = createHash('sha256')
  const walk = new Walk(kind)
  for await (const record of readE2Records(path, (bytes) => sha256.update(bytes))) walk.take(record)
  const { first, last, transactions, accumulator } = walk.finish()
  const checked: CheckedFile = {
    ...{ kind, firstBlock: first.number, lastBlock: last.number, transactions },
    ...{ sha256: sha256.digest('hex'), lastHash: toHex(last.hash) },
    accumulator: accumulator && toHex(accumulator),
  }
  checkName(basename(path), checked)
  return checked
}

/** Takes the records in order; each must be one that may stand where it stands. */
class Walk {
  readonly #kind: CheckedFile['kind']
  readonly #offsets: number[] = []
  readonly #accumulated: AccumulatedBlock[] = []
  readonly #parts: Uint8Array[] = []
  #expected: number[] = [RECORD.version]
  #first: CheckedBlock | undefined
  #last: CheckedBlock | undefined
  #difficulty: bigint | undefined
  #transactions = 0
  #accumulator: Uint8Array | undefined
  #isIndexed = false

  constructor(kind: CheckedFile['kind']) {
    this.#kind = kind
  }

  take(record: E2Record): void {
    const { type, offset, data } = record
    if (!this.#expected.includes(type)) {
      throw new NodeError('HISTORY_FRAMING', `a record of type ${type} at byte ${offset}`)
    }
    if (type === RECORD.version) this.#expected = [RECORD.header]
    else if (type === RECORD.header) this.#begin(offset, data)
    else if (type === RECORD.body) this.#part(data, RECORD.receipts)
    else if (type === RECORD.receipts) this.#end(data)
    else if (type === RECORD.totalDifficulty) this.#takeDifficulty(data)
    else if (type === RECORD.accumulator) this.#takeAccumulator(data)
    else this.#takeIndex(data, offset)
  }

  finish(): {
    first: CheckedBlock
    last: CheckedBlock
    transactions: number
    accumulator: Uint8Array | undefined
  } {
    if (this.#first === undefined || this.#last === undefined || !this.#isIndexed) {
      throw new NodeError('HISTORY_FRAMING', 'the file ends before its block index')
    }
    return {
      ...{ first: this.#first, last: this.#last, transactions: this.#transactions },
      accumulator: this.#accumulator,
    }
  }

  #begin(offset: number, data: Uint8Array): void {
    const blocksMax = this.#kind === 'era1' ? EPOCH_BLOCKS : BLOCKS_MAX
    if (this.#offsets.length === blocksMax) {
      throw new NodeError('HISTORY_FRAMING', `more than ${blocksMax} blocks in one file`)
    }
    this.#offsets.push(offset)
    this.#part(data, RECORD.body)
  }

  /** Records share one buffer, so what is needed until the block is whole is copied. */
  #part(data: Uint8Array, next: number): void {
    this.#parts.push(Uint8Array.from(data))
    this.#expected = [next]
  }

  #end(receipts: Uint8Array): void {
    const [header, body] = this.#parts.splice(0)
    if (header === undefined || body === undefined) return
    const block = checkBlock({ header, body, receipts })
    const before = this.#last
    const follows =
      before === undefined ||
      (block.number === before.number + 1 && bytesEqual(block.parentHash, before.hash))
    if (!follows) {
      throw new NodeError('HISTORY_BLOCK', `block ${block.number} does not follow the one before`)
    }
    this.#first ??= block
    this.#last = block
    this.#transactions += block.transactions
    this.#expected =
      this.#kind === 'era1' ? [RECORD.totalDifficulty] : [RECORD.header, RECORD.blockIndex]
  }

  #takeDifficulty(data: Uint8Array): void {
    const block = this.#last
    if (block === undefined || data.byteLength !== 32) {
      throw new NodeError('HISTORY_FRAMING', 'a total difficulty of other than 32 bytes')
    }
    const total = BigInt(`0x${toHex(Uint8Array.from(data).reverse())}`)
    if (this.#difficulty !== undefined && total !== this.#difficulty + block.difficulty) {
      throw new NodeError('HISTORY_BLOCK', `the total difficulty of block ${block.number} is wrong`)
    }
    this.#difficulty = total
    this.#accumulated.push({ hash: block.hash, totalDifficulty: Uint8Array.from(data) })
    this.#expected = [RECORD.header, RECORD.accumulator]
  }

  #takeAccumulator(data: Uint8Array): void {
    const root = accumulatorRoot(this.#accumulated)
    if (!bytesEqual(root, data)) {
      throw new NodeError('HISTORY_ACCUMULATOR', 'the headers do not give the root in the file')
    }
    this.#accumulator = root
    this.#expected = [RECORD.blockIndex]
  }

  #takeIndex(data: Uint8Array, offset: number): void {
    const index = decodeBlockIndex(data, offset)
    const isRight =
      index.startBlock === this.#first?.number &&
      index.offsets.length === this.#offsets.length &&
      index.offsets.every((at, block) => at === this.#offsets[block])
    if (!isRight) throw new NodeError('HISTORY_INDEX', 'the block index points elsewhere')
    this.#isIndexed = true
    this.#expected = []
  }
}

/**
 * Name of an `.e2s` file.
 *
 * @param chainId - Chain id of the ledger.
 * @param firstBlock - Its first block.
 * @param lastBlock - Its last block.
 * @param lastHash - Hash of the last block, hexadecimal without prefix.
 */
export function chainFileName(
  chainId: number,
  firstBlock: number,
  lastBlock: number,
  lastHash: string,
): string {
  const digits = (block: number) => String(block).padStart(8, '0')
  return `${chainId}-${digits(firstBlock)}-${digits(lastBlock)}-${lastHash.slice(0, 8)}.e2s`
}

function checkName(name: string, file: CheckedFile): void {
  const epoch = String(Math.floor(file.firstBlock / EPOCH_BLOCKS)).padStart(5, '0')
  const ending =
    file.kind === 'era1'
      ? `-${epoch}-${file.accumulator?.slice(0, 8)}.era1`
      : chainFileName(0, file.firstBlock, file.lastBlock, file.lastHash).slice(1)
  if (!name.endsWith(ending)) {
    throw new NodeError('HISTORY_NAME', `${name} should end in ${ending}`)
  }
}
