/** The tree of a slot: follows the store, starts again from what it kept, notices what was lost, shows any state it had. */
import { assert } from 'chai'
import fc from 'fast-check'
import { toHex } from '../../../agent/base/bytes.ts'
import { LeafFile, SlotTree } from '../../../agent/engines/audit/index.ts'
import { checkOpening, unpackOpening } from '../../../agent/engines/audit/opening.ts'
import { NEVER, slotOf } from '../../support/audit-node.ts'
import { faultDisk } from '../../support/fault-disk.ts'
import { MemoryShardSource } from '../../support/memory-shard-source.ts'
import { rejectsWith } from '../../support/rejects-with.ts'
import { seededChance } from '../../support/seeded-chance.ts'

const SLOT = slotOf(3, 1, 2)
const LENGTHS = [100, 0, 32, 5000, 33, 64, 1, 700, 96, 2048]

function filled(lengths: readonly number[] = LENGTHS): MemoryShardSource {
  const source = new MemoryShardSource()
  const chance = seededChance(11)
  for (const length of lengths) source.write(SLOT, chance.bytes(length))
  return source
}

describe('the tree of a slot', () => {
  it('takes in shards as they arrive, each once', async () => {
    const source = filled()
    const tree = new SlotTree(SLOT, source)
    assert.isUndefined(tree.state)
    await Promise.all([tree.follow(NEVER), tree.follow(NEVER)])
    assert.equal(tree.shards, LENGTHS.length)
    assert.equal(source.reads, LENGTHS.length)
    source.write(SLOT, new Uint8Array(50))
    await tree.follow(NEVER)
    assert.equal(source.reads, LENGTHS.length + 1)

    const anew = new SlotTree(SLOT, source)
    await anew.follow(NEVER)
    assert.deepEqual(anew.state, tree.state)
  })

  it('shows every unit of every state that the slot ever had', async () => {
    const source = new MemoryShardSource()
    const chance = seededChance(5)
    const tree = new SlotTree(SLOT, source)
    const states = []
    for (const length of [40, 64, 10, 300]) {
      source.write(SLOT, chance.bytes(length))
      await tree.follow(NEVER)
      states.push(tree.state!)
    }
    for (const state of states) {
      assert.equal(toHex(tree.rootAt(state.units)!), toHex(state.root))
      for (let unitNumber = 0; unitNumber < state.units; unitNumber++) {
        const opening = await tree.open(state, unitNumber, NEVER)
        const { unit } = unpackOpening(opening)!
        assert.isTrue(checkOpening(opening, { slot: state, unitNumber, unit }))
        assert.isFalse(checkOpening(opening, { slot: state, unitNumber: unitNumber + 1, unit }))
      }
    }
    assert.isUndefined(tree.rootAt(states[0]!.units + 1))
  })

  it('believes no opening of which a bit was flipped', async () => {
    const tree = new SlotTree(SLOT, filled())
    await tree.follow(NEVER)
    const state = tree.state!
    const openings = await Promise.all(
      Array.from({ length: state.units }, (_, unit) => tree.open(state, unit, NEVER)),
    )
    fc.assert(
      fc.property(fc.nat(state.units - 1), fc.nat(), (unitNumber, bit) => {
        const opening = openings[unitNumber]!
        const { unit } = unpackOpening(opening)!
        const changed = opening.slice()
        const at = bit % (8 * opening.byteLength)
        changed[at >> 3] = changed[at >> 3]! ^ (1 << (at & 7))
        assert.isFalse(checkOpening(changed, { slot: state, unitNumber, unit }))
        for (const cut of [opening.subarray(0, bit % opening.byteLength), new Uint8Array(0)]) {
          assert.isFalse(checkOpening(cut, { slot: state, unitNumber, unit }))
        }
      }),
      { numRuns: 300 },
    )
  })

  it('says which shard is lost or changed instead of showing something else', async () => {
    const source = filled()
    const tree = new SlotTree(SLOT, source)
    await tree.follow(NEVER)
    const state = tree.state!
    source.lose(SLOT, 3)
    source.change(SLOT, 0, (bytes) => bytes.fill(1))
    const inFirst = 0
    const inFourth = 4 + 1 + 1 + 2
    await rejectsWith('AUDIT_SHARD_LOST', () => tree.open(state, inFirst, NEVER))
    await rejectsWith('AUDIT_SHARD_LOST', () => tree.open(state, inFourth, NEVER))
    const opening = await tree.open(state, state.units - 1, NEVER)
    assert.isDefined(unpackOpening(opening))
  })

  it('ends before a shard that cannot be read, and goes on when it is back', async () => {
    const source = filled([10, 20])
    source.write(SLOT, new Uint8Array(5))
    source.lose(SLOT, 1)
    const tree = new SlotTree(SLOT, source)
    await rejectsWith('AUDIT_SHARD_LOST', () => tree.follow(NEVER))
    assert.equal(tree.shards, 1)
    source.remove(SLOT, 1)
    await tree.follow(NEVER)
    assert.equal(tree.shards, 2)
  })

  it('shows units while it begins anew', async () => {
    const source = filled()
    const tree = new SlotTree(SLOT, source)
    await tree.follow(NEVER)
    const state = tree.state!
    // The last shard goes: all others are hashed again, and each can be shown as soon as it is.
    source.remove(SLOT, LENGTHS.length - 1)
    const opening = tree.open(state, 0, NEVER)
    await tree.follow(NEVER)
    assert.isTrue(
      checkOpening(await opening, {
        slot: state,
        unitNumber: 0,
        unit: unpackOpening(await opening)!.unit,
      }),
    )
    await rejectsWith('AUDIT_SLOT_BEHIND', () => tree.open(state, 0, NEVER))
  })

  it('refuses a state that the slot never had', async () => {
    const tree = new SlotTree(SLOT, filled())
    await tree.follow(NEVER)
    const state = tree.state!
    const other = { root: new Uint8Array(32), units: state.units }
    await rejectsWith('AUDIT_SLOT_BEHIND', () => tree.open(other, 0, NEVER))
    const later = { root: state.root, units: state.units + 1 }
    await rejectsWith('AUDIT_SLOT_BEHIND', () => tree.open(later, 0, NEVER))
  })

  it('keeps what it hashed when it is told to stop', async () => {
    const source = filled()
    const stop = new AbortController()
    const read = source.read.bind(source)
    source.read = async (slot, shard) => {
      if (source.reads === 4) stop.abort()
      return read(slot, shard)
    }
    const tree = new SlotTree(SLOT, source)
    let caught: unknown
    await tree.follow(stop.signal).catch((error: unknown) => {
      caught = error
    })
    assert.equal(caught, stop.signal.reason)
    assert.equal(tree.shards, 5)
    await tree.follow(NEVER)
    assert.equal(tree.shards, LENGTHS.length)
  })
})

describe('the leaves that a slot keeps', () => {
  it('saves hashing after a restart', async () => {
    const disk = faultDisk(seededChance(1))
    const source = filled()
    const tree = new SlotTree(SLOT, source, new LeafFile(disk, 'leaves'))
    await tree.follow(NEVER)
    source.reads = 0
    source.write(SLOT, new Uint8Array(77))
    const again = new SlotTree(SLOT, source, new LeafFile(disk, 'leaves'))
    await again.follow(NEVER)
    assert.equal(source.reads, 1)
    await tree.follow(NEVER)
    assert.deepEqual(again.state, tree.state)
  })

  it('hashes again only from where the list changed', async () => {
    const disk = faultDisk(seededChance(1))
    const source = filled()
    await new SlotTree(SLOT, source, new LeafFile(disk, 'leaves')).follow(NEVER)
    source.remove(SLOT, 6)
    source.reads = 0
    const tree = new SlotTree(SLOT, source, new LeafFile(disk, 'leaves'))
    await tree.follow(NEVER)
    assert.equal(source.reads, 3)
    const plain = new SlotTree(SLOT, source)
    await plain.follow(NEVER)
    assert.deepEqual(tree.state, plain.state)
  })

  it('survives crashes at any moment and damage anywhere', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const chance = seededChance(seed)
      const disk = faultDisk(chance)
      const source = filled()
      for (let round = 0; round < 4; round++) {
        const tree = new SlotTree(SLOT, source, new LeafFile(disk, 'leaves'))
        source.write(SLOT, chance.bytes(chance.below(200)))
        if (chance.below(3) === 0) source.remove(SLOT, chance.below(source.count(SLOT)))
        await tree.follow(NEVER)
        const plain = new SlotTree(SLOT, source)
        await plain.follow(NEVER)
        assert.deepEqual(tree.state, plain.state, `SEED=${seed} round ${round}`)
        const size = disk.files().find(({ path }) => path === 'leaves')?.sizeBytes ?? 0
        if (size > 0) disk.flipBit('leaves', chance.below(size), chance.below(8))
        disk.crash()
      }
    }
  })
})
