/** What can be wrong with files of history. */
import type { ErrorCatalogue } from '../../agent/base/errors.ts'

export type HistoryErrorCode =
  | 'HISTORY_FRAMING'
  | 'HISTORY_CHECKSUM'
  | 'HISTORY_BLOCK'
  | 'HISTORY_ACCUMULATOR'
  | 'HISTORY_INDEX'
  | 'HISTORY_NAME'
  | 'HISTORY_LIST'
  | 'HISTORY_EXPORT'

export const HISTORY_ERRORS: ErrorCatalogue<HistoryErrorCode> = {
  HISTORY_FRAMING: {
    means: 'The bytes are not e2store records, snappy frames or RLP, or are longer than allowed.',
    hint: 'The file is damaged or of another format: fetch it again.',
  },
  HISTORY_CHECKSUM: {
    means: 'The SHA-256 of the file is not the one in the official list.',
    hint: 'Fetch the file again; do not use this one.',
  },
  HISTORY_BLOCK: {
    means:
      'A block does not follow the one before it, or its body or receipts are not the header’s.',
    hint: 'The file is damaged or forged: fetch it again from another source.',
  },
  HISTORY_ACCUMULATOR: {
    means: 'The root over the headers is not the one that the file or its name states.',
    hint: 'The file is damaged or forged: fetch it again from another source.',
  },
  HISTORY_INDEX: {
    means: 'The block index does not point at the blocks.',
    hint: 'The file is damaged: fetch it again.',
  },
  HISTORY_NAME: {
    means: 'The name of the file does not say what the file holds.',
    hint: 'Give the file its proper name; nodes find blocks by it.',
  },
  HISTORY_LIST: {
    means: 'The list of checksums is not readable as such.',
    hint: 'Each line is a SHA-256 in hexadecimal, blanks, and a file name.',
  },
  HISTORY_EXPORT: {
    means: 'The ledger does not give a block whose parts fit its hash.',
    hint: 'The RPC prunes or lies: use another, or a range that it still has.',
  },
}
