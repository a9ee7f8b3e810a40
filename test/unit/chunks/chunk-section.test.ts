/** The table of chunks: against a plain map, through commits that are returned, and against hostile bytes. */
import { createHash } from 'node:crypto'
import { assert } from 'chai'
import fc from 'fast-check'
import { isNodeError } from '../../../agent/base/errors.ts'
import { ChunkSection } from '../../../agent/engines/chunks/chunk-section.ts'
import { type ChunkRow, ChunkTable } from '../../../agent/engines/chunks/chunk-table.ts'

const SECRET = Uint32Array.of(1, 2, 3, 4, 5, 6, 7, 8)

describe('the table of chunks', () => {
  it('agrees with a plain map through growth and releases', () => {
    const table = new ChunkTable(SECRET)
    const model = new Map<number, string>()
    for (let number = 0; number < 50_000; number++) {
      const row = rowOf(number)
      table.add(row)
      model.set(number, hex(row.hash))
      if (number % 3 === 0) {
        const gone = (number * 7) % (number + 1)
        assert.equal(table.release(gone) !== undefined, model.delete(gone))
      }
    }
    assert.equal(table.size, model.size)
    for (let number = 0; number < 50_000; number++) {
      const hash = model.get(number)
      const row = table.get(number)
      if ((row && hex(row.hash)) !== hash) assert.fail(`chunk ${number}`)
      if (table.find(rowOf(number).hash) !== (hash === undefined ? undefined : number)) {
        assert.fail(`chunk ${number} by hash`)
      }
    }
    const numbers = Array.from(table.rows(), (row) => row.number)
    assert.deepEqual(numbers, [...model.keys()])
  })

  it('takes less than 100 bytes a chunk', () => {
    const table = new ChunkTable(SECRET)
    for (let number = 0; number < 100_000; number++) table.add(rowOf(number))
    assert.isBelow(table.memoryBytes / 100_000, 100)
  })
})

describe('the section of chunks', () => {
  it('rebuilds the same table from any mix of changes, returned changes and snapshots', () =>
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 60 }), fc.nat(59), (steps, restoreAt) => {
        const writer = newSection()
        let reader = newSection()
        let written = 0
        steps.forEach((step, index) => {
          if (step.kind === 'add') for (let n = 0; n < step.count; n++) writer.add(rowOf(written++))
          else if (step.kind === 'release') writer.release(step.number)
          else {
            const bytes = writer.takeChanges()
            if (step.kind === 'return') writer.returnChanges(bytes)
            else reader.applyChanges(bytes)
          }
          if (index === restoreAt) {
            // A snapshot is of what the changes taken say: the reader must be just there.
            const other = newSection()
            other.restore(writer.snapshot())
            assert.deepEqual(rowsOf(other), rowsOf(reader))
            reader = other
          }
        })
        reader.applyChanges(writer.takeChanges())
        assert.deepEqual(rowsOf(reader), rowsOf(writer))
        assert.deepEqual([...reader.liveBytesByPack], [...writer.liveBytesByPack].sort(byKey))
      }),
    ))

  it('frees an empty pack only after the commit that emptied it, and forgets it after the next', () => {
    const freed: number[] = []
    const section = new ChunkSection(SECRET, (pack) => freed.push(pack))
    section.add(rowOf(0))
    section.takeChanges()
    section.release(0)
    assert.deepEqual(freed, [])
    const release = section.takeChanges()
    assert.deepEqual(freed, [], 'the commit is on its way')
    section.returnChanges(release)
    section.takeChanges()
    assert.deepEqual(freed, [], 'the commit failed once')
    const next = section.takeChanges()
    assert.deepEqual(freed, [0], 'the commit is durable')
    assert.equal(next.byteLength, 0)
    assert.isAbove(section.takeChanges().byteLength, 0, 'and now that is written down')
    assert.equal(section.takeChanges().byteLength, 0)
    assert.deepEqual(freed, [0])
  })

  it('frees an empty pack again after a crash, whenever that was', () => {
    const section = newSection()
    section.add(rowOf(0))
    const changes = [section.takeChanges()]
    section.release(0)
    changes.push(section.takeChanges(), section.takeChanges())
    // The crash comes before the commit that forgets the pack.
    for (const restart of ['changes', 'snapshot']) {
      const freed: number[] = []
      const again = new ChunkSection(SECRET, (pack) => freed.push(pack))
      if (restart === 'changes') for (const bytes of changes) again.applyChanges(bytes)
      else again.restore(section.snapshot())
      assert.deepEqual(freed, [])
      again.takeChanges()
      assert.deepEqual(freed, [0], restart)
    }
  })

  it('does not free a pack in which something lives', () => {
    const freed: number[] = []
    const section = new ChunkSection(SECRET, (pack) => freed.push(pack))
    section.add({ ...rowOf(0), pack: 5 })
    section.add({ ...rowOf(1), pack: 5 })
    section.release(0)
    for (let n = 0; n < 4; n++) section.takeChanges()
    assert.deepEqual(freed, [])
  })

  it('refuses any cut or changed bytes with a code, and stays as it was', () => {
    const writer = newSection()
    for (let number = 0; number < 20; number++) writer.add(rowOf(number))
    writer.release(3)
    const changes = writer.takeChanges()
    const snapshot = writer.snapshot()
    fc.assert(
      fc.property(anyDamage, fc.boolean(), ({ cut, at, flip }, isSnapshot) => {
        const bad = (isSnapshot ? snapshot : changes).slice()
        bad[at % bad.length]! ^= flip
        const bytes = bad.subarray(0, cut === 0 ? bad.length : bad.length - (cut % bad.length))
        const section = newSection()
        try {
          if (isSnapshot) section.restore(bytes)
          else section.applyChanges(bytes)
        } catch (caught) {
          assert.ok(isNodeError(caught, 'CHUNK_TABLE_INVALID'), String(caught))
          assert.equal(section.size, 0)
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('refuses counts that the bytes cannot hold before it spends memory', () => {
    const huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]
    for (const bytes of [
      [1, 1, 0, ...huge],
      [1, 2, 0, ...huge],
      [1, 1, 0, 1, 0, 0, 0, ...huge],
      [1, 2, 0, 0, ...huge],
      [2, 1, 0, 0, 0, 0],
      [1, 1, 0, 0, 0, 0, 0],
      [],
    ]) {
      const apply = () => newSection().restore(Uint8Array.from(bytes))
      assert.throws(apply, Error)
    }
  })

  it('refuses changes that do not follow the ones before', () => {
    const writer = newSection()
    writer.add(rowOf(0))
    writer.takeChanges()
    writer.add(rowOf(1))
    const second = writer.takeChanges()
    assert.throws(
      () => newSection().applyChanges(second),
      /chunks from 1 are added where 0 is next/,
    )
  })
})

type Step =
  | { kind: 'add'; count: number }
  | { kind: 'release'; number: number }
  | { kind: 'commit' | 'return' }

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), count: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ kind: fc.constant('release' as const), number: fc.nat(80) }),
  fc.record({ kind: fc.constantFrom('commit' as const, 'return' as const) }),
)

const anyDamage = fc.record({
  cut: fc.nat(200),
  at: fc.nat(2000),
  flip: fc.integer({ min: 1, max: 255 }),
})

function newSection(): ChunkSection {
  return new ChunkSection(SECRET, () => undefined)
}

function rowOf(number: number): ChunkRow {
  const hash = new Uint8Array(createHash('sha256').update(`${number}`).digest())
  const at = number % 7
  return {
    number,
    pack: Math.floor(number / 7),
    offset: at * 100,
    storedBytes: 100,
    plainBytes: 120 + at,
    flags: number % 2,
    hash,
  }
}

function rowsOf(section: ChunkSection): unknown[] {
  return section.numbers().map((number) => {
    const row = section.get(number)
    return row && { ...row, hash: hex(row.hash) }
  })
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function byKey(a: readonly [number, number], b: readonly [number, number]): number {
  return a[0] - b[0]
}
