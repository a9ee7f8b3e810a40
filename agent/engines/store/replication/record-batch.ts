/** Takes a run of records apart that came from another store, and believes no byte of it without its checksum. */
import { NodeError } from '../../../base/errors.ts'
import type { ReplayedRecord } from '../namespace.ts'
import {
  HEADER_BYTES,
  readRecordStart,
  recordBytesOf,
  valueIsIntact,
  valueStartOf,
} from '../record.ts'

/**
 * The records of a run, in the format of segments.
 *
 * @param bytes - Whole records, one after another.
 * @returns Each with its key and value as views.
 * @throws NodeError `LOG_PRIMARY_LOST` where bytes are no record or do not match their checksum.
 * @example
 * for (const { serial, key } of recordsIn(batch.records)) ...
 */
export function* recordsIn(bytes: Uint8Array): Generator<ReplayedRecord> {
  const run = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < run.byteLength; ) {
    const header = readRecordStart(run, at, run.byteLength)
    if (typeof header !== 'object') throw noRecord(at)
    const keyStart = at + HEADER_BYTES
    const valueStart = at + valueStartOf(header.keyBytes, header.valueBytes)
    const valueEnd = valueStart + header.valueBytes
    if (valueEnd > run.byteLength || !valueIsIntact(header, run, valueStart)) throw noRecord(at)
    yield {
      kind: header.kind,
      key: run.subarray(keyStart, keyStart + header.keyBytes),
      value: run.subarray(valueStart, valueEnd),
      timeSeconds: header.timeSeconds,
      serial: header.serial,
    }
    at += recordBytesOf(header.keyBytes, header.valueBytes)
  }
}

function noRecord(at: number): NodeError {
  return new NodeError('LOG_PRIMARY_LOST', `no whole record at ${at} of what was received`)
}
