/** The commit log over metadata slots that come, go, lag, lie and refuse. */
import { assert } from 'chai'
import { codeOf } from '../../../agent/base/errors.ts'
import { MIB } from '../../../agent/base/units.ts'
import { ReplicatedLog } from '../../../agent/engines/disperse/replicated-log.ts'
import { commitKey, FILLED_KEY, snapshotKey } from '../../../agent/engines/disperse/shard-key.ts'
import { FakeShardStore } from '../../support/fake-shard-store.ts'
import { OwnRecords, plainRecord, plainRecordSeal } from '../../support/plain-records.ts'
import { seededChance, VirtualClock } from '../../support/virtual-clock.ts'
import { never, noise, runUntilSettled } from './fixture.ts'

describe('the commit log', () => {
  it('is on every store when a record is acknowledged', async () => {
    const { log, append, run, stores } = openLog()
    await run(append(1))
    for (const store of stores) assert.deepEqual([...store.peek(keyOf(1))!], [...record(1)])
    assert.deepEqual(await run(log.head(never)), {
      sequence: 1,
      ...{ storesAnswering: 3, storesProven: 3, storesTotal: 3, isEmpty: false, isLost: false },
    })
  })

  it('acknowledges by a majority, and not by less', async () => {
    const { append, run, stores } = openLog()
    stores[2]!.faults.isAway = true
    await run(append(1))
    stores[1]!.faults.isAway = true
    assert.equal(await failure(run(append(2))), 'NOT_ENOUGH_STORES')
    stores[1]!.faults.isAway = false
    await run(append(2))
    await run(append(2))
  })

  it('waits once for a store that hangs, and not again while it backs off', async () => {
    const { append, run, stores, clock } = openLog()
    stores[0]!.faults.isHanging = true
    await run(append(1))
    const before = clock.monotonic()
    await run(append(2))
    assert.equal(clock.monotonic(), before)
  })

  it('needs every store where there are two', async () => {
    const { append, run, stores } = openLog(2)
    stores[1]!.faults.isAway = true
    assert.equal(await failure(run(append(1))), 'NOT_ENOUGH_STORES')
  })

  it('stops a writer that a majority refuses, and not for one store that says so', async () => {
    const { append, run, stores } = openLog()
    stores[0]!.faults.isFenced = true
    await run(append(1))
    stores[1]!.faults.isFenced = true
    assert.equal(await failure(run(append(2))), 'WRITER_FENCED')
  })

  it('gives every version that stores hold, each once', async () => {
    const { log, append, run, stores } = openLog()
    await run(append(1))
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
      ...{ storesAnswering: 0, storesProven: 0, storesTotal: 3, isEmpty: false, isLost: false },
    })
    assert.equal(await failure(run(log.read(1, never))), 'NOT_ENOUGH_STORES')
  })

  it('brings a store that was away up to date', async () => {
    const { log, append, run, stores, clock } = openLog()
    stores[2]!.faults.isAway = true
    for (let at = 1; at <= 5; at++) await run(append(at))
    assert.equal(await run(log.catchUp(never)), 0)
    stores[2]!.faults.isAway = false
    await clock.advance(60_000)
    assert.equal(await run(log.catchUp(never)), 5)
    assert.deepEqual(stores[2]!.keys, stores[0]!.keys)
    assert.isTrue(log.status().slots.every((slot) => slot.isComplete))
    assert.equal(await run(log.catchUp(never)), 0)
  })

  it('fills a slot that the ledger gave to another node, snapshots too', async () => {
    const { log, append, putSnapshot, run, stores, replace } = openLog()
    for (let at = 1; at <= 4; at++) await run(append(at))
    await run(putSnapshot(2, noise(2 * MIB + 5, 2)))
    await run(putSnapshot(4, noise(MIB, 4)))
    for (let at = 5; at <= 6; at++) await run(append(at))
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

  it('keeps aside what it replaces, and replaces only what no acknowledged commit builds on', async () => {
    const { log, append, run, stores, own } = openLog()
    const first = plainRecord(1, 1, undefined)
    own.records.set(1, first)
    await run(log.append(1, first, never))
    const stale = plainRecord(2, 1, first, 'of the writer before')
    await stores[2]!.put(commitKey(2), stale, never)
    await run(log.claim(2, never))
    await run(append(2, plainRecord(2, 2, first)))
    await run(log.catchUp(never))
    assert.isTrue(log.status().slots.every((slot) => slot.isComplete))
    const aside = stores[2]!.keys.filter((key) => key.startsWith('78'))
    assert.lengthOf(aside, 1)
    assert.deepEqual([...stores[2]!.peek(aside[0]!)!], [...stale])
    assert.equal(log.status().recordsAside, 1)
  })

  it('stops at a history that was acknowledged and that it does not know, and overwrites none of it', async () => {
    const { log, append, run, stores, clock } = openLog()
    const first = plainRecord(1, 1, undefined)
    const second = plainRecord(2, 1, first)
    await stores[2]!.put(commitKey(1), first, never)
    await stores[2]!.put(commitKey(2), second, never)
    stores[2]!.faults.isAway = true
    await run(log.claim(2, never))
    await run(append(1, plainRecord(1, 2, undefined, 'began from nothing')))
    stores[2]!.faults.isAway = false
    assert.equal(await failure(run(catchUpSoon(log, clock))), 'VOLUME_HISTORY_FORKED')
    assert.equal(await failure(run(append(2, record(2)))), 'VOLUME_HISTORY_FORKED')
    assert.deepEqual([...stores[2]!.peek(keyOf(1))!], [...first])
    assert.deepEqual([...stores[2]!.peek(keyOf(2))!], [...second])
  })

  it('stops at a history that goes on beyond its own, also if that was pruned below', async () => {
    const { log, append, run, stores, clock } = openLog()
    await stores[2]!.put(commitKey(50), plainRecord(50, 1, record(49)), never)
    stores[2]!.faults.isAway = true
    await run(log.claim(2, never))
    await run(append(1))
    stores[2]!.faults.isAway = false
    assert.equal(await failure(run(catchUpSoon(log, clock))), 'VOLUME_HISTORY_FORKED')
  })

  it('passes over what a store made up beyond the end', async () => {
    const { log, append, run, stores } = openLog()
    await stores[2]!.put(commitKey(50), record(50), never)
    await run(log.claim(2, never))
    await run(append(1))
    await run(log.catchUp(never))
    assert.isTrue(log.status().slots.every((slot) => slot.isComplete))
  })

  it('acknowledges nothing on a store that a newer writer claimed', async () => {
    const { log, append, run, reopen, stores } = openLog()
    await run(log.claim(1, never))
    await run(append(1))
    stores[0]!.faults.isAway = true
    const next = reopen()
    await run(next.claim(2, never))
    stores[0]!.faults.isAway = false
    assert.equal(await failure(run(append(2))), 'WRITER_FENCED')
    assert.equal(await failure(run(reopen().claim(1, never))), 'WRITER_FENCED')
  })

  it('counts only stores that were filled, for a commit and for an opening', async () => {
    const { log, append, run, reopen, stores, replace } = openLog()
    await run(log.claim(1, never))
    for (let at = 1; at <= 3; at++) await run(append(at))
    const fresh = replace(0)
    stores[1]!.faults.isAway = true
    const next = reopen()
    await run(next.claim(2, never))
    const { storesAnswering, storesProven } = await run(next.head(never))
    assert.deepEqual([storesAnswering, storesProven], [2, 1])
    stores[1]!.faults.isAway = false
    fresh.faults.isFull = true
    stores[2]!.faults.isAway = true
    const last = reopen()
    await run(last.claim(3, never).catch(() => undefined))
    assert.equal(await failure(run(last.append(3, record(3), never))), 'NOT_ENOUGH_STORES')
  })

  it('does not count a store that lost what it was noted to hold', async () => {
    const { log, append, run, reopen, stores } = openLog()
    await run(log.claim(1, never))
    await run(append(1))
    await run(append(2))
    await run(log.catchUp(never))
    stores[0]!.lose(keyOf(1))
    stores[0]!.lose(keyOf(2))
    const { storesAnswering, storesProven } = await run(reopen().head(never))
    assert.deepEqual([storesAnswering, storesProven], [3, 2])
  })

  it('believes no note of another slot or generation', async () => {
    const { log, append, run, reopen, stores, replace } = openLog()
    await run(log.claim(1, never))
    await run(append(1))
    const note = stores[1]!.peek(hex(FILLED_KEY))!
    const fresh = replace(0)
    await fresh.put(FILLED_KEY, note, never)
    await fresh.put(commitKey(1), record(1), never)
    assert.equal((await run(reopen().head(never))).storesProven, 2)
  })

  it('keeps two snapshots and the commits that the older one needs', async () => {
    const { append, putSnapshot, run, stores } = openLog()
    for (let at = 1; at <= 9; at++) {
      await run(append(at))
      if (at % 3 === 0) await run(putSnapshot(at, noise(1000, at)))
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
    const { append, putSnapshot, run, stores } = openLog()
    for (let at = 1; at <= 4; at++) await run(append(at))
    await run(putSnapshot(1, noise(1000, 1)))
    await run(putSnapshot(2, noise(1000, 2)))
    const before = stores[0]!.keys.filter((key) => key.startsWith('63'))
    stores[1]!.faults.isFull = true
    stores[2]!.faults.isFull = true
    assert.equal(await failure(run(putSnapshot(4, noise(1000, 4)))), 'NOT_ENOUGH_STORES')
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
    assert.isTrue(Buffer.from((await run(found!.load()))!).equals(Buffer.from(bytes)))
    for (const store of stores) store.lose(hex(snapshotKey(5, 4)))
    const [torn] = await run(log.snapshots(never))
    assert.isUndefined(await run(torn!.load()))
  })

  it('spends no memory on a header that claims what is not there', async () => {
    const { log, run, stores } = openLog()
    const header = Buffer.concat([Buffer.of(1, 0xff, 0xff, 0xff, 0xff, 0x07), Buffer.alloc(32)])
    for (const store of stores) await store.put(snapshotKey(3, 0), header, never)
    const before = process.memoryUsage().arrayBuffers
    for (const claim of await run(log.snapshots(never))) assert.isUndefined(await run(claim.load()))
    assert.isBelow(process.memoryUsage().arrayBuffers - before, 64 * MIB)
  })

  it('refuses a commit that no store takes', async () => {
    const { log } = openLog()
    assert.equal(await failure(log.append(1, new Uint8Array(8 * MIB), never)), 'COMMIT_TOO_LARGE')
  })

  it('is never held up by a store that lists the same keys for ever', async () => {
    const { log, append, run, stores } = openLog()
    await run(append(1))
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
  const own = new OwnRecords()
  const stores = Array.from({ length: count }, () => new FakeShardStore(clock, chance))
  const slots = stores.map((store, at) => ({ index: 6 + at, generation: 0, store }))
  const reopen = () => {
    const log = new ReplicatedLog({ clock, firstSlot: 6, seal: plainRecordSeal() })
    log.setSlots(slots)
    log.continueFrom(own)
    return log
  }
  const log = reopen()
  return {
    clock,
    stores,
    slots,
    log,
    own,
    reopen,
    /** As a writer does it: on its own disk first. */
    append(sequence: number, bytes = record(sequence)) {
      own.records.set(sequence, bytes)
      return log.append(sequence, bytes, never)
    },
    putSnapshot(sequence: number, bytes: Uint8Array) {
      own.snapshots.set(sequence, bytes)
      return log.putSnapshot(sequence, bytes, never)
    },
    run: <T>(promise: Promise<T>) => runUntilSettled(clock, promise),
    replace(at: number) {
      const store = new FakeShardStore(clock, chance)
      stores[at] = store
      slots[at] = { index: 6 + at, generation: (slots[at]?.generation ?? 0) + 1, store }
      log.setSlots(slots)
      return store
    },
  }
}

/** Catches up once no store backs off any more. */
async function catchUpSoon(log: ReplicatedLog, clock: VirtualClock): Promise<void> {
  await clock.sleep(60_000)
  await log.catchUp(never)
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
