/** The journal's records: written and read back, torn at any byte, damaged in the middle. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from 'chai'
import fc from 'fast-check'
import { isNodeError } from '../../../agent/base/errors.ts'
import {
  decodeJournal,
  encodeRecord,
  Journal,
  type JournalRecord,
} from '../../../scripts/devnet/journal.ts'

const anyRecord: fc.Arbitrary<JournalRecord> = fc.oneof(
  fc.record({
    kind: fc.constant('transaction' as const),
    raw: fc.uint8Array({ minLength: 0, maxLength: 300 }),
  }),
  fc.record({ kind: fc.constant('block' as const), number: fc.nat(), timestamp: fc.maxSafeNat() }),
  fc.record({
    kind: fc.constant('mined' as const),
    number: fc.nat(),
    hash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  }),
)

const bytesOf = (records: readonly JournalRecord[]) => Buffer.concat(records.map(encodeRecord))

describe('devnet journal', () => {
  it('reads back what was written', () =>
    fc.assert(
      fc.property(fc.array(anyRecord), (records) => {
        const bytes = bytesOf(records)
        assert.deepEqual(decodeJournal(bytes), { records, validBytes: bytes.byteLength })
      }),
    ))

  it('keeps every whole record of a file that was torn at any byte', () =>
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 1 }), fc.nat(), (records, at) => {
        const bytes = bytesOf(records)
        const torn = bytes.subarray(0, at % bytes.byteLength)
        const { records: kept, validBytes } = decodeJournal(torn)
        assert.deepEqual(kept, records.slice(0, kept.length))
        assert.equal(validBytes, bytesOf(kept).byteLength)
        const next = records[kept.length]
        assert.isAbove(validBytes + (next ? encodeRecord(next).byteLength : 0), torn.byteLength)
      }),
    ))

  it('takes zeros at the end, as a power cut leaves them, for a torn tail', () => {
    const record: JournalRecord = { kind: 'block', number: 7, timestamp: 9 }
    const bytes = Buffer.concat([encodeRecord(record), Buffer.alloc(5000)])
    assert.deepEqual(decodeJournal(bytes).records, [record])
  })

  it('never gives a record that was not written when a bit is flipped, and reports damage before the end', () =>
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 2 }), fc.nat(), (records, bit) => {
        const bytes = bytesOf(records)
        const at = bit % (bytes.byteLength * 8)
        bytes[at >> 3] = (bytes[at >> 3] ?? 0) ^ (1 << (at & 7))
        try {
          const { records: kept } = decodeJournal(bytes)
          assert.deepEqual(kept, records.slice(0, kept.length))
          assert.isBelow(kept.length, records.length)
        } catch (caught) {
          assert.isTrue(isNodeError(caught, 'DEVNET_JOURNAL_CORRUPT'), String(caught))
        }
      }),
    ))

  it('cuts the torn tail when it is opened and goes on behind it', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'varve-journal-'))
    try {
      const path = join(directory, 'journal-1.log')
      const first: JournalRecord = { kind: 'block', number: 1, timestamp: 5 }
      const second: JournalRecord = { kind: 'block', number: 2, timestamp: 6 }
      writeFileSync(path, Buffer.concat([encodeRecord(first), Buffer.from([0, 0, 0, 9, 1])]))
      const { journal, records } = Journal.open(path)
      assert.deepEqual(records, [first])
      await journal.appendDurably(second)
      journal.close()
      assert.deepEqual(decodeJournal(readFileSync(path)).records, [first, second])
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})
