/** The commit log over metadata slots that come, go, lag, lie and refuse. */
import { assert } from 'chai'
import { codeOf } from '../../../agent/base/errors.ts'
import { MIB } from '../../../agent/base/units.ts'
import { ReplicatedLog } from '../../../agent/engines/disperse/replicated-log.ts'
import { commitKey, snapshotKey } from '../../../agent/engines/disperse/shard-key.ts'
import { FakeShardStore } from '../../support/fake-shard-store.ts'
import { seededChance, VirtualClock } from '../../support/virtual-clock.ts'
import { never, noise, runUntilSettled } from './fixture.ts'

describe('the commit log', () => {
  it('is on every store when a record is acknowledged', async () => {
    const { log, run, stores } = openLog()
    await run(log.append(1, record(1), never))
    for (const store of stores) assert.deepEqual([...store.peek(keyOf(1))!], [...record(1)])
    assert.deepEqual(await run(log.head(never)), {
      sequence: 1,
      storesAnswering: 3,
      storesTotal: 3,
    })
  })

  it('acknowledges by a majority, and not by less', async () => {
    const { log, run, stores } = openLog()
    stores[2]!.faults.isAway = true
    await run(log.append(1, record(1), never))
    stores[1]!.faults.isAway = true
    assert.equal(await failure(run(log.append(2, record(2), never))), 'NOT_ENOUGH_STORES')
    stores[1]!.faults.isAway = false
    await run(log.append(2, record(2), never))
    await run(log.append(2, record(2), never))
  })

  it('waits once for a store that hangs, and not again while it backs off', async () => {
    const { log, run, stores, clock } = openLog()
    stores[0]!.faults.isHanging = true
    await run(log.append(1, record(1), never))
    const before = clock.monotonic()
    await run(log.append(2, record(2), never))
    assert.equal(clock.monotonic(), before)
  })

  it('needs every store where there are two', async () => {
    const { log, run, stores } = openLog(2)
    stores[1]!.faults.isAway = true
    assert.equal(await failure(run(log.append(1, record(1), never))), 'NOT_ENOUGH_STORES')
  })

  it('stops a writer that a majority refuses, and not for one store that says so', async () => {
    const { log, run, stores } = openLog()
    stores[0]!.faults.isFenced = true
    await run(log.append(1, record(1), never))
    stores[1]!.faults.isFenced = true
    assert.equal(await failure(run(log.append(2, record(2), never))), 'WRITER_FENCED')
  })

  it('gives every version that stores hold, each once', async () => {
    const { log, run, stores } = openLog()
    await run(log.append(1, record(1), never))
    stores[1]!.corrupt(keyOf(1))
    const versions = await run(log.read(1, never))
    assert.lengthOf(versions, 2)
    assert.deepEqual(await run(log.read(2, never)), [])
  })

  it('finds the head of a log of any length with few questions', async () => {
    for (const last of [1, 2, 3, 255, 256, 257, 5000]) {
      const { run, stores, reopen } = openLog()
      for (let at = Math.max(1, last - 3); at <= last; at++) {
        for (const store of stores) await store.put(commitKey(at), record(at), never)
      }
      const fresh = reopen()
      const before = stores[0]!.calls.list
      assert.equal((await run(fresh.head(never))).sequence, last)
      assert.isBelow(stores[0]!.calls.list - before, 20)
      assert.equal((await run(fresh.head(never))).sequence, last)
    }
  })

  it('tells how many stores answered for the head, even if none did', async () => {
    const { log, run, stores } = openLog()
    for (const store of stores) store.faults.isAway = true
    assert.deepEqual(await run(log.head(never)), {
      sequence: 0,
      storesAnswering: 0,
      storesTotal: 3,
    })
    assert.equal(await failure(run(log.read(1, never))), 'NOT_ENOUGH_STORES')
  })

  it('brings a store that was away up to date', async () => {
    const { log, run, stores, clock } = openLog()
    stores[2]!.faults.isAway = true
    for (let at = 1; at <= 5; at++) await run(log.append(at, record(at), never))
    assert.equal(await run(log.catchUp(never)), 0)
    stores[2]!.faults.isAway = false
    await clock.advance(60_000)
    assert.equal(await run(log.catchUp(never)), 5)
    assert.deepEqual(stores[2]!.keys, stores[0]!.keys)
    assert.isTrue(log.status().slots.every((slot) => slot.isComplete))
    assert.equal(await run(log.catchUp(never)), 0)
  })

  it('fills a slot that the ledger gave to another node, snapshots too', async () => {
    const { log, run, stores, replace } = openLog()
    for (let at = 1; at <= 4; at++) await run(log.append(at, record(at), never))
    await run(log.putSnapshot(2, noise(2 * MIB + 5, 2), never))
    await run(log.putSnapshot(4, noise(MIB, 4), never))
    for (let at = 5; at <= 6; at++) await run(log.append(at, record(at), never))
    const fresh = replace(1)
    await run(log.catchUp(never))
    assert.deepEqual(fresh.keys, stores[0]!.keys)
    stores[0]!.faults.isAway = true
    stores[2]!.faults.isAway = true
    const found = await run(log.snapshots(never))
    assert.deepEqual(
      found.map(({ sequence }) => sequence),
      [4, 2],
    )
  })

  it('replaces what a store holds only by what this writer appended', async () => {
    const { log, run, stores, reopen, clock } = openLog()
    await run(log.append(1, record(1), never))
    await stores[2]!.put(commitKey(2), record(99), never)
    stores[2]!.faults.isAway = true
    await run(log.append(2, record(2), never))
    stores[2]!.faults.isAway = false
    await run(reopen().catchUp(never))
    assert.deepEqual([...stores[2]!.peek(keyOf(2))!], [...record(99)], 'a stranger cannot tell')
    await clock.advance(60_000)
    await run(log.catchUp(never))
    assert.deepEqual([...stores[2]!.peek(keyOf(2))!], [...record(2)])
  })

  it('keeps two snapshots and the commits that the older one needs', async () => {
    const { log, run, stores } = openLog()
    for (let at = 1; at <= 9; at++) {
      await run(log.append(at, record(at), never))
      if (at % 3 === 0) await run(log.putSnapshot(at, noise(1000, at), never))
    }
    const keys = stores[0]!.keys
    const commits = keys.filter((key) => key.startsWith('63'))
    assert.deepEqual(commits, [7, 8, 9].map(keyOf))
    assert.deepEqual(
      keys.filter((key) => key.startsWith('73')),
      [
        ...[0, 1].map((part) => hex(snapshotKey(6, part))),
        ...[0, 1].map((part) => hex(snapshotKey(9, part))),
      ],
    )
  })

  it('prunes nothing until a newer snapshot is on a majority', async () => {
    const { log, run, stores } = openLog()
    for (let at = 1; at <= 4; at++) await run(log.append(at, record(at), never))
    await run(log.putSnapshot(1, noise(1000, 1), never))
    await run(log.putSnapshot(2, noise(1000, 2), never))
    const before = stores[0]!.keys.filter((key) => key.startsWith('63'))
    stores[1]!.faults.isFull = true
    stores[2]!.faults.isFull = true
    assert.equal(await failure(run(log.putSnapshot(4, noise(1000, 4), never))), 'NOT_ENOUGH_STORES')
    assert.deepEqual(
      stores[0]!.keys.filter((key) => key.startsWith('63')),
      before,
    )
  })

  it('gives a snapshot from whichever store has it whole, and none that is torn', async () => {
    const { log, run, stores } = openLog()
    const bytes = noise(3 * MIB + 7, 3)
    await run(log.putSnapshot(5, bytes, never))
    stores[0]!.lose(hex(snapshotKey(5, 2)))
    stores[1]!.corrupt(hex(snapshotKey(5, 3)))
    const [found] = await run(log.snapshots(never))
    assert.deepEqual(Buffer.from(found!.bytes).equals(Buffer.from(bytes)), true)
    stores[2]!.lose(hex(snapshotKey(5, 4)))
    assert.deepEqual(await run(log.snapshots(never)), [])
  })

  it('spends no memory on a header that claims what is not there', async () => {
    const { log, run, stores } = openLog()
    const header = Buffer.concat([Buffer.of(1, 0xff, 0xff, 0xff, 0xff, 0x07), Buffer.alloc(32)])
    for (const store of stores) await store.put(snapshotKey(3, 0), header, never)
    const before = process.memoryUsage().arrayBuffers
    assert.deepEqual(await run(log.snapshots(never)), [])
    assert.isBelow(process.memoryUsage().arrayBuffers - before, 64 * MIB)
  })

  it('refuses a commit that no store takes', async () => {
    const { log } = openLog()
    assert.equal(await failure(log.append(1, new Uint8Array(8 * MIB), never)), 'COMMIT_TOO_LARGE')
  })

  it('is never held up by a store that lists the same keys for ever', async () => {
    const { log, run, stores } = openLog()
    await run(log.append(1, record(1), never))
    const key = commitKey(1)
    stores[1]!.list = () => Promise.resolve(Array.from({ length: 256 }, () => key))
    const { storesAnswering } = await run(log.head(never))
    assert.isAtLeast(storesAnswering, 2)
    await run(log.catchUp(never))
  })
})

function openLog(count = 3) {
  const clock = new VirtualClock()
  const chance = seededChance(1)
  const stores = Array.from({ length: count }, () => new FakeShardStore(clock, chance))
  const slots = stores.map((store, at) => ({ index: 6 + at, generation: 1, store }))
  const reopen = () => {
    const log = new ReplicatedLog(clock, 6)
    log.setSlots(slots)
    return log
  }
  const log = reopen()
  return {
    clock,
    stores,
    log,
    reopen,
    run: <T>(promise: Promise<T>) => runUntilSettled(clock, promise),
    replace(at: number) {
      const store = new FakeShardStore(clock, chance)
      stores[at] = store
      slots[at] = { index: 6 + at, generation: 2, store }
      log.setSlots(slots)
      return store
    },
  }
}

function record(sequence: number): Uint8Array {
  return noise(100, sequence)
}

function keyOf(sequence: number): string {
  return hex(commitKey(sequence))
}

function hex(key: Uint8Array): string {
  return Buffer.from(key).toString('hex')
}

async function failure(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(() => undefined, codeOf)
}
