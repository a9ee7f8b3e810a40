/** Writing and reading packs while stores are away, slow, hanging, full, fenced, forgetful or lying. */
import { assert } from 'chai'
import { bytesEqual } from '../../../agent/base/bytes.ts'
import { codeOf } from '../../../agent/base/errors.ts'
import { MIB } from '../../../agent/base/units.ts'
import { rejectsWith } from '../../support/rejects-with.ts'
import { never, noise, openWorld, type World } from './fixture.ts'

describe('writing packs', () => {
  it('is accepted by k + 1 stores, and notes what the others miss', async () => {
    const world = openWorld()
    away(world, 5)
    const pack = await write(world, noise(MIB, 1))
    assert.equal(pack, 0)
    assert.deepEqual(world.dispersal.status().shardsMissing, [0, 0, 0, 0, 0, 1])
    assert.equal(world.dispersal.status().write.shardsMissed, 1)
  })

  it('is refused when only k stores answer, and leaves nothing behind', async () => {
    const world = openWorld()
    away(world, 4, 5)
    assert.equal(await failure(write(world, noise(MIB, 1))), 'NOT_ENOUGH_STORES')
    await world.run(world.dispersal.settled())
    assert.deepEqual(
      world.stores.slice(0, 6).flatMap((store) => store.keys),
      [],
    )
    assert.equal(world.dispersal.status().packs, 0)
    back(world)
    assert.equal(await write(world, noise(MIB, 1)), 0, 'the next one gets the number')
  })

  it('is accepted by k stores where there is no parity', async () => {
    const world = openWorld({ k: 3, m: 0 })
    await write(world, noise(MIB, 1))
    away(world, 1)
    assert.equal(await failure(write(world, noise(MIB, 1))), 'NOT_ENOUGH_STORES')
  })

  it('does not wait for a store that hangs, and skips it from then on', async () => {
    const world = openWorld()
    world.stores[3]!.faults.isHanging = true
    const before = world.clock.monotonic()
    for (let n = 0; n < 6; n++) await write(world, noise(MIB, n))
    assert.equal(world.clock.monotonic(), before, 'accepted at once')
    await world.run(world.dispersal.settled())
    assert.deepEqual(world.dispersal.status().shardsMissing, [0, 0, 0, 6, 0, 0])
    const calls = world.stores[3]!.calls.put
    await write(world, noise(MIB, 9))
    assert.equal(world.stores[3]!.calls.put, calls)
  })

  it('never holds more packs in memory than its limit, however slow the stores', async () => {
    const world = openWorld()
    for (const store of world.stores) store.faults.delayMs = 100
    let most = 0
    const writes = Array.from({ length: 20 }, (_, n) =>
      world.dispersal.write(noise(100_000, n), never).then(() => {
        most = Math.max(most, world.dispersal.status().packsInFlight)
      }),
    )
    await world.run(Promise.all(writes))
    assert.isAtMost(most, 8)
    assert.equal(world.dispersal.status().packs, 20)
  })

  it('notes a straggler that arrives after acceptance', async () => {
    const world = openWorld()
    world.stores[0]!.faults.delayMs = 3000
    await write(world, noise(MIB, 1))
    assert.equal(world.dispersal.status().shardsMissing[0], 1)
    await world.run(world.dispersal.settled())
    assert.equal(world.dispersal.status().shardsMissing[0], 0)
  })

  it('does not count a shard that arrives at a node that lost its slot meanwhile', async () => {
    const world = openWorld()
    world.stores[0]!.faults.delayMs = 3000
    await write(world, noise(MIB, 1))
    world.replace(0)
    await world.run(world.dispersal.settled())
    assert.equal(world.dispersal.status().shardsMissing[0], 1)
    await world.run(world.dispersal.repair(never))
    assert.equal(world.dispersal.status().shardsMissing[0], 0)
    assert.lengthOf(world.stores[0]!.keys, 1)
  })

  it('stops for good when so many stores refuse the writer that the rest cannot accept', async () => {
    const world = openWorld()
    world.stores[0]!.faults.isFenced = true
    await write(world, noise(MIB, 1))
    world.stores[1]!.faults.isFenced = true
    assert.equal(await failure(write(world, noise(MIB, 1))), 'WRITER_FENCED')
  })

  it('goes on while a store is full', async () => {
    const world = openWorld()
    world.stores[2]!.faults.isFull = true
    for (let n = 0; n < 3; n++) await write(world, noise(MIB, n))
    assert.equal(world.dispersal.status().shardsMissing[2], 3)
    assert.isTrue(world.dispersal.status().slots[2]!.isAvailable, 'it answers, it may be read')
  })

  it('gives up when the caller does, before acceptance', async () => {
    const world = openWorld()
    for (const store of world.stores) store.faults.isHanging = true
    const abort = new AbortController()
    const writing = world.dispersal.write(noise(MIB, 1), abort.signal)
    abort.abort(new Error('enough'))
    const caught = await writing.catch((reason: unknown) => reason)
    assert.equal((caught as Error).message, 'enough')
    assert.isTrue(world.dispersal.status().slots[0]!.isAvailable, 'who gave up says nothing')
  })

  it('refuses an empty pack and one that is too long', async () => {
    const world = openWorld()
    assert.equal(await failure(write(world, new Uint8Array())), 'PACK_UNKNOWN')
    assert.equal(await failure(write(world, noise(4 * MIB + 1, 1))), 'PACK_UNKNOWN')
  })
})

describe('reading packs', () => {
  it('reads any range with any lost stores that the code covers', async () => {
    for (const [k, m] of [
      [1, 1],
      [2, 2],
      [4, 2],
      [5, 3],
    ] as const) {
      const world = openWorld({ k, m })
      const bytes = noise(k * 3000 + 77, k)
      const pack = await write(world, bytes)
      await world.run(world.dispersal.settled())
      for (let lost = 0; lost < 1 << (k + m); lost++) {
        if (bitCount(lost) > m) continue
        world.stores.forEach((store, index) => {
          store.faults.isAway = index < k + m && (lost & (1 << index)) !== 0
        })
        const from = (lost * 997) % bytes.length
        const length = Math.max(1, (lost * 331) % (bytes.length - from))
        const got = await world.run(world.dispersal.read(pack, from, length, never))
        assert.ok(bytesEqual(got, bytes.subarray(from, from + length)), `${k}+${m}, lost ${lost}`)
      }
    }
  })

  it('asks only the store that holds the range while it is well', async () => {
    const world = openWorld()
    const pack = await write(world, noise(MIB, 1))
    await world.run(world.dispersal.read(pack, 600_000, 1000, never))
    assert.deepEqual(
      world.stores.map((store) => store.calls.getRange),
      [0, 0, 1, 0, 0, 0, 0, 0, 0],
    )
  })

  it('answers soon although the store that holds the range hangs', async () => {
    const world = openWorld()
    const bytes = noise(MIB, 1)
    const pack = await write(world, bytes)
    world.stores[0]!.faults.isHanging = true
    const before = world.clock.monotonic()
    const got = await world.run(world.dispersal.read(pack, 0, 1000, never))
    assert.ok(bytesEqual(got, bytes.subarray(0, 1000)))
    assert.isAtMost(world.clock.monotonic() - before, 1000)
    assert.equal(world.dispersal.status().read.rangesHedged, 1)
  })

  it('asks one more store when one of those it decodes from hangs', async () => {
    const world = openWorld()
    const bytes = noise(MIB, 1)
    const pack = await write(world, bytes)
    away(world, 0)
    world.stores[1]!.faults.isHanging = true
    const before = world.clock.monotonic()
    const got = await world.run(world.dispersal.read(pack, 0, 1000, never))
    assert.ok(bytesEqual(got, bytes.subarray(0, 1000)))
    assert.isAtMost(world.clock.monotonic() - before, 2000)
  })

  it('leaves no sleeper behind', async () => {
    const world = openWorld()
    const pack = await write(world, noise(MIB, 1))
    for (let n = 0; n < 10; n++) await world.run(world.dispersal.read(pack, n * 1000, 500, never))
    await world.run(world.dispersal.settled())
    assert.equal(world.clock.sleeping, 0)
  })

  it('notices a store that forgot its shard, and stores it again', async () => {
    const world = openWorld()
    const bytes = noise(MIB, 1)
    const pack = await write(world, bytes)
    const [key] = world.stores[0]!.keys
    world.stores[0]!.lose(key!)
    const got = await world.run(world.dispersal.read(pack, 0, 1000, never))
    assert.ok(bytesEqual(got, bytes.subarray(0, 1000)))
    await world.run(world.dispersal.settled())
    assert.deepEqual(world.stores[0]!.keys, [key])
    assert.equal(world.dispersal.status().shardsRepaired, 1)
  })

  it('reads around two stores that lie, and says unavailable when three do', async () => {
    const world = openWorld()
    const bytes = noise(MIB, 1)
    const pack = await write(world, bytes)
    await world.run(world.dispersal.settled())
    const lie = (index: number) => world.stores[index]!.corrupt(world.stores[index]!.keys[0]!)
    lie(0)
    lie(5)
    const got = await world.run(world.dispersal.readAround(pack, 0, MIB, never))
    assert.ok(bytesEqual(got, bytes))
    await world.run(world.dispersal.settled())
    for (const index of [1, 2, 3]) lie(index)
    const caught = await failure(world.run(world.dispersal.readAround(pack, 0, MIB, never)))
    assert.equal(caught, 'PACK_UNAVAILABLE')
  })

  it('knows no other packs and no bytes beyond their ends', async () => {
    const world = openWorld()
    const pack = await write(world, noise(1000, 1))
    for (const [number, offset, length] of [
      [pack + 1, 0, 1],
      [pack, 999, 2],
      [pack, -1, 1],
      [pack, 0, 0],
    ] as const) {
      assert.equal(
        await failure(world.dispersal.read(number, offset, length, never)),
        'PACK_UNKNOWN',
      )
    }
  })
})

describe('a slot that moved before it had to', () => {
  for (const [k, m] of [
    [1, 1],
    [2, 1],
    [4, 2],
  ] as const) {
    it(`${k}+${m}: reads and repairs from the stores before, though every slot moved`, async () => {
      const world = openWorld({ k, m })
      const bytes = noise(300_000, 3)
      const pack = await world.run(world.dispersal.write(bytes, never))
      await world.run(world.dispersal.settled())
      const before = world.stores.slice(0, k + m)
      for (const index of before.keys()) world.replace(index)
      const slots = world.slots.map((slot, index) =>
        index < k + m ? { ...slot, formers: [before[index] as (typeof before)[number]] } : slot,
      )
      for (const store of before) store.faults.isAway = true
      world.dispersal.setSlots(slots)
      await rejectsWith('PACK_UNAVAILABLE', () =>
        world.run(world.dispersal.readAround(pack, 0, 1000, never)),
      )

      for (const store of before) store.faults.isAway = false
      await world.clock.advance(31_000)
      const puts = before.map(({ calls }) => calls.put)
      const read = await world.run(world.dispersal.read(pack, 0, bytes.length, never))
      assert.isTrue(bytesEqual(bytes, read))
      const done = await world.run(world.dispersal.repair(never))
      assert.deepEqual([done.shardsRepaired, done.packsUnreadable], [k + m, 0])
      assert.deepEqual(
        before.map(({ calls }) => calls.put),
        puts,
        'who had it before is only read',
      )

      // The new stores alone are enough now.
      for (const store of before) store.wipe()
      const again = await world.run(world.dispersal.readAround(pack, 0, bytes.length, never))
      assert.isTrue(bytesEqual(bytes, again))
    })
  }

  it('takes no wrong shard from a store before', async () => {
    const world = openWorld({ k: 1, m: 1 })
    const pack = await world.run(world.dispersal.write(noise(5_000, 4), never))
    await world.run(world.dispersal.settled())
    const before = world.stores.slice(0, 2)
    for (const store of before) for (const key of store.keys) store.corrupt(key)
    for (const index of before.keys()) world.replace(index)
    const slots = world.slots.map((slot, index) =>
      index < 2 ? { ...slot, formers: [before[index] as (typeof before)[number]] } : slot,
    )
    world.dispersal.setSlots(slots)
    const done = await world.run(world.dispersal.repair(never))
    assert.deepEqual([done.shardsRepaired, done.packsUnreadable], [0, 1])
    await rejectsWith('PACK_UNAVAILABLE', () =>
      world.run(world.dispersal.readAround(pack, 0, 9, never)),
    )
  })
})

describe('repair', () => {
  it('fills a slot that moved, may be stopped at any pack, and goes on', async () => {
    const world = openWorld()
    const packs = 6
    for (let n = 0; n < packs; n++) await write(world, noise(200_000, n))
    await world.run(world.dispersal.settled())
    world.replace(4)
    const abort = new AbortController()
    const stopped = world.dispersal.repair(abort.signal, ({ shardsRepaired }) => {
      if (shardsRepaired >= 3) abort.abort(new Error('stop'))
    })
    await world.run(stopped).catch(() => undefined)
    const left = world.dispersal.status().shardsMissing[4]!
    assert.isAbove(left, 0)
    assert.isBelow(left, packs)
    const result = await world.run(world.dispersal.repair(never))
    assert.equal(result.shardsRepaired, left)
    assert.lengthOf(world.stores[4]!.keys, packs)
    const again = await world.run(world.dispersal.repair(never))
    assert.equal(again.shardsRepaired, 0)
  })

  it('writes the very bytes that were lost', async () => {
    const world = openWorld()
    await write(world, noise(300_000, 1))
    await world.run(world.dispersal.settled())
    const before = [0, 5].map((index) => firstValue(world, index))
    for (const index of [0, 5]) world.replace(index)
    await world.run(world.dispersal.repair(never))
    const after = [0, 5].map((index) => firstValue(world, index))
    before.forEach((want, at) => {
      assert.ok(bytesEqual(after[at]!, want))
    })
  })

  it('finds again what a repair stored that no commit wrote down, without storing it twice', async () => {
    const world = openWorld()
    const bytes = noise(500_000, 1)
    const pack = await write(world, bytes)
    await world.run(world.dispersal.settled())
    const changes = world.dispersal.section.takeChanges()
    for (const index of [0, 1, 2]) {
      world.replace(index)
      await world.run(world.dispersal.repair(never))
    }
    // The crash forgets all three repairs: by the table, half of the shards are on no slot.
    const again = world.fresh()
    again.dispersal.section.applyChanges(changes)
    assert.deepEqual(again.dispersal.status().shardsMissing, [1, 1, 1, 0, 0, 0])
    const got = await again.run(again.dispersal.read(pack, 0, bytes.length, never))
    assert.ok(bytesEqual(got, bytes))
    const puts = world.stores.map((store) => store.calls.put)
    const result = await again.run(again.dispersal.repair(never))
    assert.equal(result.shardsFound, 3)
    assert.deepEqual(
      world.stores.map((store) => store.calls.put),
      puts,
    )
    assert.deepEqual(again.dispersal.status().shardsMissing, [0, 0, 0, 0, 0, 0])
  })

  it('skips a store that does not take shards, and what cannot be read, and says so', async () => {
    const world = openWorld()
    for (let n = 0; n < 4; n++) await write(world, noise(100_000, n))
    await world.run(world.dispersal.settled())
    world.replace(1).faults.isFull = true
    const full = await world.run(world.dispersal.repair(never))
    assert.equal(full.shardsSkipped, 4)
    assert.isAtMost(world.stores[1]!.calls.put, 2, 'it is not tried for every pack')
    world.stores[1]!.faults.isFull = false
    away(world, 2, 3)
    const unread = await world.run(world.dispersal.repair(never))
    assert.equal(unread.packsUnreadable, 4)
    back(world)
    assert.equal((await world.run(world.dispersal.repair(never))).shardsRepaired, 4)
  })

  it('scrubs at the rate asked for, finds what rotted, and repairs it', async () => {
    const world = openWorld()
    for (let n = 0; n < 4; n++) await write(world, noise(400_000, n))
    await world.run(world.dispersal.settled())
    world.stores[1]!.corrupt(world.stores[1]!.keys[0]!)
    world.stores[3]!.lose(world.stores[3]!.keys[2]!)
    const before = world.clock.monotonic()
    const found = await world.run(world.dispersal.scrub(never, 1_000_000))
    assert.equal(found.shardsCorrupt, 1)
    assert.equal(found.shardsAbsent, 1)
    const seconds = (world.clock.monotonic() - before) / 1000
    assert.closeTo(seconds, found.bytesChecked / 1_000_000, 0.1)
    await world.run(world.dispersal.settled())
    const clean = await world.run(world.dispersal.scrub(never, 1e9))
    assert.equal(clean.shardsCorrupt + clean.shardsAbsent, 0)
    assert.equal(clean.shardsChecked, 24)
  })

  it('deletes the shards of released packs once the release is committed', async () => {
    const world = openWorld()
    for (let n = 0; n < 2; n++) await write(world, noise(100_000, n))
    await world.run(world.dispersal.settled())
    const { section } = world.dispersal
    section.takeChanges()
    world.dispersal.release(0)
    assert.equal(await world.run(world.dispersal.sweep(never)), 0)
    section.takeChanges()
    assert.equal(await world.run(world.dispersal.sweep(never)), 0)
    section.takeChanges()
    away(world, 2)
    assert.equal(await world.run(world.dispersal.sweep(never)), 0, 'one store still has it')
    back(world)
    assert.equal(await world.run(world.dispersal.sweep(never)), 1)
    for (const store of world.stores.slice(0, 6)) assert.lengthOf(store.keys, 1)
  })
})

function write(world: World, bytes: Uint8Array): Promise<number> {
  return world.run(world.dispersal.write(bytes, never))
}

function away(world: World, ...indexes: number[]): void {
  for (const index of indexes) world.stores[index]!.faults.isAway = true
}

function back(world: World): void {
  for (const store of world.stores) store.faults.isAway = false
}

function firstValue(world: World, index: number): Uint8Array {
  const store = world.stores[index]!
  return store.peek(store.keys[0]!)!
}

function bitCount(bits: number): number {
  return bits.toString(2).replaceAll('0', '').length
}

async function failure(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(() => undefined, codeOf)
}
