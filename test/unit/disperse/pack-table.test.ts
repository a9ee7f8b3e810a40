/** The table of packs: through commits that are returned, slots that move, and hostile bytes. */
import { assert } from 'chai'
import fc from 'fast-check'
import { isNodeError } from '../../../agent/base/errors.ts'
import { PackTable } from '../../../agent/engines/disperse/pack-table.ts'
import { noise } from './fixture.ts'

const SHARDS = 6

describe('the table of packs', () => {
  it('rebuilds the same table from any mix of changes, returned changes and snapshots', () =>
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 60 }), fc.nat(59), (steps, restoreAt) => {
        const writer = newTable()
        let reader = new PackTable(SHARDS)
        let seed = 0
        const generations = Array.from({ length: SHARDS }, () => 1)
        const commit = () => reader.applyChanges(writer.takeChanges())
        steps.forEach((step, index) => {
          const pack = writer.get(step.pack)
          if (step.kind === 'add') writer.add(contentOf(seed++), new Set(step.shards))
          else if (step.kind === 'release') writer.release(step.pack)
          else if (step.kind === 'move') {
            generations[step.shard]!++
            writer.setGenerations(new Map([[step.shard, generations[step.shard]!]]))
          } else if (step.kind === 'miss' && pack && !pack.isReleased) {
            writer.setMissing(pack, step.shard, step.isMissing)
          } else if (step.kind === 'erase') {
            for (const number of writer.deletable) writer.erase(number)
          } else if (step.kind === 'return') writer.returnChanges(writer.takeChanges())
          else if (step.kind === 'commit') commit()
          if (index === restoreAt) {
            commit()
            const other = new PackTable(SHARDS)
            other.restore(writer.snapshot())
            assert.deepEqual(viewOf(other), viewOf(reader))
            reader = other
          }
        })
        commit()
        assert.deepEqual(viewOf(reader), viewOf(writer))
        assert.deepEqual(reader.missingBySlot, countMissing(writer))
        assert.deepEqual(writer.missingBySlot, countMissing(writer))
      }),
    ))

  it('knows that a slot moved after a snapshot without packs, whose generations were committed before', () => {
    const writer = newTable()
    writer.takeChanges()
    const reader = new PackTable(SHARDS)
    reader.restore(writer.snapshot())
    writer.add(contentOf(0), all())
    reader.applyChanges(writer.takeChanges())
    writer.setGenerations(new Map([[0, 2]]))
    reader.applyChanges(writer.takeChanges())
    assert.deepEqual(reader.missingBySlot, [1, 0, 0, 0, 0, 0])
  })

  it('counts every shard of a slot that moved as missing, and none of one that only reconnected', () => {
    const table = newTable()
    for (let n = 0; n < 5; n++) table.add(contentOf(n), all())
    table.setGenerations(new Map([[2, 1]]))
    assert.deepEqual(table.missingBySlot, [0, 0, 0, 0, 0, 0])
    table.setGenerations(new Map([[2, 4]]))
    assert.deepEqual(table.missingBySlot, [0, 0, 5, 0, 0, 0])
    assert.deepEqual(table.incomplete, [0, 1, 2, 3, 4])
  })

  it('does not believe what an older commit says of a slot that has moved since', () => {
    const writer = newTable()
    const reader = new PackTable(SHARDS)
    // The reader's ledger is ahead of the writer's commits.
    reader.setGenerations(new Map([[3, 2]]))
    for (let n = 0; n < 3; n++) writer.add(contentOf(n), all())
    reader.applyChanges(writer.takeChanges())
    assert.deepEqual(reader.missingBySlot, [0, 0, 0, 3, 0, 0])
    // The writer learns of the move and repairs one pack.
    writer.setGenerations(new Map([[3, 2]]))
    writer.setMissing(writer.get(1)!, 3, false)
    reader.applyChanges(writer.takeChanges())
    assert.deepEqual(reader.incomplete, [0, 2])
  })

  it('knows that a slot moved which moved before an empty machine read the first commit', () => {
    const writer = newTable()
    writer.restore(writer.snapshot())
    writer.add(contentOf(0), all())
    const commit = writer.takeChanges()
    const successor = new PackTable(SHARDS)
    successor.setGenerations(new Map(Array.from({ length: SHARDS }, (_, slot) => [slot, 1])))
    successor.setGenerations(new Map([[3, 2]]))
    // What opening a volume without a snapshot does.
    successor.restore(successor.snapshot())
    successor.applyChanges(commit)
    assert.deepEqual(successor.missingBySlot, [0, 0, 0, 1, 0, 0])
  })

  it('deletes shards only of packs whose release is durable, and forgets them when that is written', () => {
    const table = newTable()
    table.add(contentOf(0), all())
    table.takeChanges()
    table.release(0)
    table.release(0)
    assert.deepEqual(table.deletable, [])
    const release = table.takeChanges()
    assert.deepEqual(table.deletable, [], 'the commit is on its way')
    table.returnChanges(release)
    table.takeChanges()
    assert.deepEqual(table.deletable, [], 'the commit failed once')
    table.takeChanges()
    assert.deepEqual(table.deletable, [0])
    const crashed = new PackTable(SHARDS)
    crashed.restore(table.snapshot())
    assert.deepEqual(
      crashed.deletable,
      [0],
      'a crash before the shards are gone deletes them again',
    )
    table.erase(0)
    assert.isDefined(table.get(0))
    assert.isAbove(table.takeChanges().byteLength, 0)
    assert.isUndefined(table.get(0))
  })

  it('refuses any cut or changed bytes with a code', () => {
    const writer = newTable()
    for (let n = 0; n < 4; n++) writer.add(contentOf(n), new Set([0, 1, 2, 3]))
    writer.release(2)
    const changes = writer.takeChanges()
    const snapshot = writer.snapshot()
    fc.assert(
      fc.property(
        fc.nat(200),
        fc.nat(2000),
        fc.integer({ min: 1, max: 255 }),
        fc.boolean(),
        (cut, at, flip, isSnapshot) => {
          const bad = (isSnapshot ? snapshot : changes).slice()
          bad[at % bad.length]! ^= flip
          const bytes = bad.subarray(0, bad.length - (cut % bad.length))
          const table = new PackTable(SHARDS)
          try {
            if (isSnapshot) table.restore(bytes)
            else table.applyChanges(bytes)
          } catch (caught) {
            assert.ok(isNodeError(caught, 'PACK_TABLE_INVALID'), String(caught))
            assert.equal(table.size, 0)
          }
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('refuses the table of another code', () => {
    const writer = newTable()
    writer.add(contentOf(0), all())
    assert.throws(() => new PackTable(5).applyChanges(writer.takeChanges()), /of another code/)
  })
})

const anyStep = fc.record({
  kind: fc.constantFrom(
    'add',
    'add',
    'add',
    'release',
    'move',
    'miss',
    'erase',
    'commit',
    'return',
  ),
  pack: fc.nat(12),
  shard: fc.nat(SHARDS - 1),
  shards: fc.array(fc.nat(SHARDS - 1), { maxLength: SHARDS }),
  isMissing: fc.boolean(),
})

function newTable(): PackTable {
  const table = new PackTable(SHARDS)
  table.setGenerations(new Map(Array.from({ length: SHARDS }, (_, slot) => [slot, 1])))
  return table
}

function all(): Set<number> {
  return new Set(Array.from({ length: SHARDS }, (_, shard) => shard))
}

function contentOf(seed: number) {
  return { id: noise(16, seed), lengthBytes: 1000 + seed, hashes: noise(SHARDS * 32, seed + 1) }
}

function viewOf(table: PackTable): unknown[] {
  return table.numbers.map((number) => {
    const pack = table.get(number)!
    return { ...pack, missing: [...pack.missing], id: [...pack.id], hashes: [...pack.hashes] }
  })
}

function countMissing(table: PackTable): number[] {
  const packs = table.numbers.map((number) => table.get(number)!)
  return Array.from(
    { length: SHARDS },
    (_, shard) => packs.filter((pack) => table.isMissing(pack, shard)).length,
  )
}
