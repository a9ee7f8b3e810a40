/** The parts of the file system one by one, each against something simpler. */
import { assert } from 'chai'
import fc from 'fast-check'
import { codeOf } from '../../../agent/base/errors.ts'
import { ChunkReferences } from '../../../agent/engines/files/chunk-references.ts'
import { ByteReader, ByteWriter } from '../../../agent/engines/files/codec.ts'
import {
  CHUNK,
  type Extent,
  ExtentList,
  extentAt,
  JOURNAL,
  STRIDE,
  ZERO,
} from '../../../agent/engines/files/extent-list.ts'
import { decodeOperation, encodeOperation } from '../../../agent/engines/files/operations.ts'
import { RangeSet } from '../../../agent/engines/files/range-set.ts'

const SPACE = 200

/** What is at each byte: kind, source and place, or nothing. */
type Cells = (string | undefined)[]

function cellsOf(list: ExtentList): Cells {
  const cells: Cells = new Array(SPACE).fill(undefined)
  for (let index = 0; index < list.count; index++) paint(cells, list.at(index))
  return cells
}

function paint(cells: Cells, extent: Extent): void {
  for (let i = 0; i < extent.length; i++) {
    const source = extent.kind === JOURNAL ? extent.source + i : extent.source
    const within = extent.kind === CHUNK ? extent.within + i : 0
    cells[extent.start + i] = `${extent.kind} ${source} ${within}`
  }
}

const anyPiece = fc.record({
  start: fc.nat({ max: SPACE - 1 }),
  length: fc.integer({ min: 1, max: 60 }),
  what: fc.constantFrom('hole', 'zero', 'chunk', 'journal'),
  source: fc.nat({ max: 3 }),
})

describe('An extent list', () => {
  it('holds what an array of bytes would, merged as far as it goes, with exact references', () => {
    fc.assert(
      fc.property(fc.array(anyPiece, { maxLength: 60, size: 'max' }), (pieces) => {
        const list = new ExtentList()
        const references = new ChunkReferences()
        const cells: Cells = new Array(SPACE).fill(undefined)
        for (const { start, length, what, source } of pieces) {
          const end = Math.min(SPACE, start + length)
          const flat: number[] = []
          // Sources continue each other where their places do, so that merging has something to do.
          if (what === 'zero') flat.push(start, end - start, 0, ZERO)
          if (what === 'chunk') flat.push(start, end - start, source, start * STRIDE + CHUNK)
          if (what === 'journal') flat.push(start, end - start, source * 1000 + start, JOURNAL)
          list.replace(start, end, flat, references)
          cells.fill(undefined, start, end)
          if (flat.length > 0) paint(cells, extentAt(flat, 0))
        }
        assert.deepEqual(cellsOf(list), cells)
        assert.equal(list.allocatedBytes, cells.filter((cell) => cell !== undefined).length)
        checkShape(list, references)
        checkQueries(list, cells)
      }),
      { numRuns: 300 },
    )
  })
})

/** Sorted, disjoint, nothing mergeable left apart, references counted. */
function checkShape(list: ExtentList, references: ChunkReferences): void {
  const counts = new Map<number, number>()
  for (let index = 0; index < list.count; index++) {
    const extent = list.at(index)
    if (extent.kind === CHUNK) counts.set(extent.source, (counts.get(extent.source) ?? 0) + 1)
    if (index === 0) continue
    const before = list.at(index - 1)
    const isTouching = before.start + before.length === extent.start
    assert.isAtMost(before.start + before.length, extent.start)
    const goesOn =
      before.kind === extent.kind &&
      (extent.kind === ZERO ||
        (extent.kind === JOURNAL && before.source + before.length === extent.source) ||
        (extent.kind === CHUNK &&
          before.source === extent.source &&
          before.within + before.length === extent.within))
    assert.isFalse(isTouching && goesOn, 'neighbours that continue each other are one')
  }
  for (let chunk = 0; chunk < 4; chunk++) {
    assert.equal(references.count(chunk), counts.get(chunk) ?? 0)
  }
}

function checkQueries(list: ExtentList, cells: Cells): void {
  for (const from of [0, 1, 50, 133, SPACE - 1]) {
    const isData = (cell: string | undefined) => cell !== undefined && !cell.startsWith(`${ZERO} `)
    const data = cells.findIndex((cell, at) => at >= from && isData(cell))
    assert.equal(list.dataFrom(from), data < 0 ? undefined : data)
    const hole = cells.findIndex((cell, at) => at >= from && !isData(cell))
    assert.equal(list.holeFrom(from), hole < 0 ? SPACE : hole)
    const covered = cells.slice(from, from + 40).filter((cell) => cell !== undefined).length
    assert.equal(list.coveredBytes(from, from + 40), covered)
    const slice: Cells = new Array(SPACE).fill(undefined)
    const flat = list.slice(from, from + 40)
    for (let at = 0; at < flat.length; at += STRIDE) paint(slice, extentAt(flat, at))
    assert.deepEqual(slice.slice(from, from + 40), cells.slice(from, from + 40))
  }
}

describe('A set of ranges', () => {
  it('holds what a set of bytes would, in as few ranges as can be', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat({ max: 99 }), fc.nat({ max: 30 }))), (added) => {
        const set = new RangeSet()
        const bytes = new Array(140).fill(false)
        for (const [start, length] of added) {
          set.add(start, start + length)
          bytes.fill(true, start, start + length)
        }
        const found = new Array(140).fill(false)
        let last = -1
        for (const [start, end] of set.ranges()) {
          assert.isAbove(start, last, 'ranges that touch are one')
          found.fill(true, start, end)
          last = end
        }
        assert.deepEqual(found, bytes)
      }),
    )
  })
})

describe('Numbers and texts in bytes', () => {
  it('come back as they were', () => {
    const anyNumber = fc.oneof(fc.nat(), fc.maxSafeNat())
    fc.assert(
      fc.property(
        fc.array(anyNumber),
        fc.string({ unit: 'binary' }),
        fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
        (numbers, text, time) => {
          const out = new ByteWriter(1)
          for (const number of numbers) out.number(number)
          out.text(text)
          out.time(time)
          const reader = new ByteReader(out.take())
          for (const number of numbers) assert.equal(reader.number(), number)
          assert.equal(reader.text(), text)
          assert.equal(reader.time(), time)
          assert.isTrue(reader.isAtEnd)
        },
      ),
    )
  })

  it('never read beyond their end, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          decodeOperation(bytes, 0)
        } catch (caught) {
          assert.equal(codeOf(caught), 'COMMIT_MALFORMED')
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('An operation', () => {
  it('comes back from its record as it was', () => {
    const time = { timeNs: 1234567890123456789n }
    const operations = [
      {
        kind: 'make',
        parent: 1,
        name: 'ä',
        ino: 2 ** 40,
        mode: 0o100644,
        device: 7,
        uid: 1,
        gid: 2 ** 32 - 1,
        target: 'x',
        ...time,
      },
      { kind: 'link', ino: 3, parent: 4, name: 'n', ...time },
      { kind: 'unlink', parent: 4, name: 'x'.repeat(255), ...time },
      {
        kind: 'rename',
        fromParent: 1,
        fromName: 'a',
        toParent: 2,
        toName: 'b',
        exchange: true,
        ...time,
      },
      {
        kind: 'attributes',
        ino: 5,
        changes: { mode: 1, uid: 0, gid: 3, sizeBytes: 2 ** 44, accessedNs: -5n, modifiedNs: 0n },
        ...time,
      },
      { kind: 'attributes', ino: 5, changes: {}, ...time },
      { kind: 'allocate', ino: 5, mode: 3, offset: 10, lengthBytes: 20, ...time },
      { kind: 'extended', ino: 5, name: 'user.a', value: Uint8Array.of(1, 2), ...time },
      { kind: 'extended', ino: 5, name: 'user.a', value: undefined, ...time },
      { kind: 'purge', ino: 9 },
    ] as const
    for (const operation of operations) {
      const out = new ByteWriter()
      encodeOperation(out, operation)
      assert.deepEqual(decodeOperation(out.take(), 0), operation)
    }
  })
})
