/** Files' bytes to shards on stores and back, through every part of both engines, with stores lost on the way. */
import { assert } from 'chai'
import { bytesEqual } from '../../../agent/base/bytes.ts'
import { MIB } from '../../../agent/base/units.ts'
import {
  never,
  noise,
  openWorld,
  readRuns,
  sourceOf,
  type World,
} from '../../unit/disperse/fixture.ts'

describe('a volume', () => {
  it('gives back what was stored', async () => {
    const world = openWorld()
    const bytes = noise(9 * MIB + 17, 3)
    const runs = await storeOne(world, bytes)
    assert.equal(
      runs.reduce((sum, run) => sum + run.lengthBytes, 0),
      bytes.byteLength,
    )
    assertSame(await world.run(readRuns(world.chunks, runs)), bytes)
    assert.equal(world.dispersal.status().read.rangesDecoded, 0)
  })

  it('gives it back after any two of six stores are gone', async () => {
    const world = openWorld()
    const bytes = noise(5 * MIB, 4)
    const runs = await storeOne(world, bytes)
    for (let a = 0; a < 6; a++) {
      for (let b = a + 1; b < 6; b++) {
        world.stores.forEach((store, index) => {
          store.faults.isAway = index === a || index === b
        })
        assertSame(await world.run(readRuns(world.chunks, runs)), bytes)
      }
    }
    assert.isAbove(world.dispersal.status().read.rangesDecoded, 0)
  })

  it('says so when three of six stores are gone, and goes on when one returns', async () => {
    const world = openWorld()
    const bytes = noise(MIB, 5)
    const runs = await storeOne(world, bytes)
    for (const index of [0, 1, 2]) world.stores[index]!.faults.isAway = true
    assert.equal(await codeOfFailure(world.run(readRuns(world.chunks, runs))), 'CHUNK_UNAVAILABLE')
    world.stores[1]!.faults.isAway = false
    assertSame(await world.run(readRuns(world.chunks, runs)), bytes)
  })

  it('is read by another mount that has the tables, and repaired onto new stores', async () => {
    const first = openWorld()
    const bytes = noise(6 * MIB, 6)
    const runs = await storeOne(first, bytes)
    await first.run(first.dispersal.settled())
    first.chunks.section.takeChanges()
    first.dispersal.section.takeChanges()
    const world = first.reopen()
    for (const index of [1, 4]) world.replace(index)
    assertSame(await world.run(readRuns(world.chunks, runs)), bytes)
    const packs = world.dispersal.status().packs
    assert.deepEqual(world.dispersal.status().shardsMissing, [0, packs, 0, 0, packs, 0])
    const repaired = await world.run(world.dispersal.repair(never))
    assert.equal(repaired.shardsRepaired, 2 * packs)
    assert.deepEqual(world.dispersal.status().shardsMissing, [0, 0, 0, 0, 0, 0])
    for (const index of [0, 5]) world.stores[index]!.faults.isAway = true
    assertSame(await world.run(readRuns(world.chunks, runs)), bytes)
  })

  it('finds a corrupt shard, gives the right bytes, and stores the shard again', async () => {
    const world = openWorld()
    const bytes = noise(2 * MIB, 7)
    const runs = await storeOne(world, bytes)
    await world.run(world.dispersal.settled())
    const store = world.stores[2]!
    const before = store.keys.map((key) => store.peek(key)!)
    // Every bit of the shard, so that each chunk of it notices.
    for (const key of store.keys) for (let n = 0; n < 200; n++) store.corrupt(key)
    assertSame(await world.run(readRuns(world.chunks, runs)), bytes)
    await world.run(world.dispersal.settled())
    const after = store.keys.map((key) => store.peek(key)!)
    after.forEach((value, index) => {
      assertSame(value, before[index]!)
    })
    assert.isAbove(world.dispersal.status().read.shardsCorrupt, 0)
    assert.equal(world.dispersal.status().shardsRepaired, before.length)
  })
})

async function storeOne(world: World, bytes: Uint8Array) {
  const [runs] = await world.run(world.chunks.store([sourceOf(bytes)], never))
  return runs!
}

async function codeOfFailure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (caught) {
    return (caught as { code: unknown }).code
  }
  return undefined
}

function assertSame(got: Uint8Array, want: Uint8Array): void {
  assert.ok(bytesEqual(got, want), 'the bytes are the same')
}
