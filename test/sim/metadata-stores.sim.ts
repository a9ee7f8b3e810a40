/**
 * The quorum rules of docs/design/0018-metadata-quorums.md: every subset of metadata stores away, wiped or replaced, before and
 * after a new writer; and seeds that mix losses, returns, replacements, restarts and hand-overs, also without the adversary's mercy.
 */
import { assert } from 'chai'
import { codeOf } from '../../agent/base/errors.ts'
import { MIB } from '../../agent/base/units.ts'
import { seededChance } from '../support/virtual-clock.ts'
import { type Machine, type StoresShape, VolumeStores } from '../support/volume-stores.ts'
import { pattern, readFile, writeFile } from '../support/volume-world.ts'
import { noise } from '../unit/disperse/fixture.ts'

const SHAPES: readonly StoresShape[] = [
  { k: 1, m: 1, metas: 3 },
  { k: 2, m: 1, metas: 3 },
  { k: 4, m: 2, metas: 3 },
  { k: 1, m: 1, metas: 2 },
]
const FATES = ['well', 'away', 'wiped', 'replaced'] as const
type Fate = (typeof FATES)[number]
const SEEDS = Number(process.env['METADATA_SEEDS'] ?? 40)
const STEPS = 25
const REFUSALS = ['VOLUME_HEAD_UNKNOWN', 'VOLUME_HISTORY_LOST', 'NOT_ENOUGH_STORES']

function* fatesOf(stores: number): Generator<Fate[]> {
  for (let number = 0; number < FATES.length ** stores; number++) {
    yield Array.from(
      { length: stores },
      (_, at) => FATES[Math.floor(number / FATES.length ** at) % FATES.length]!,
    )
  }
}

function apply(world: VolumeStores, fates: readonly Fate[]): void {
  for (const [at, fate] of fates.entries()) {
    if (fate === 'away') world.metas[at]!.store.faults.isAway = true
    if (fate === 'wiped') world.metas[at]!.store.wipe()
    if (fate === 'replaced') world.replace(at)
  }
}

for (const shape of SHAPES) {
  const { k, m, metas } = shape
  const majority = Math.floor(metas / 2) + 1
  describe(`metadata stores of ${k}+${m} with ${metas}`, function () {
    this.timeout(300_000)

    for (const fates of fatesOf(metas)) {
      const well = fates.filter((fate) => fate === 'well').length
      const kept = well + fates.filter((fate) => fate === 'away').length
      it(`${fates.join(', ')}: a new writer has every acknowledged file or refuses`, async () => {
        const world = new VolumeStores(shape)
        const first = await world.open(world.disk())
        for (let file = 0; file < 3; file++) await world.write(first)
        await world.close(first)
        const before = world.metas.map(({ store }) => world.commitsOf(store))
        apply(world, fates)
        const { code, machine } = await tryOpen(world)
        assert.equal(machine !== undefined, well >= majority, `opened, or ${code}`)
        if (machine) await goesOn(world, machine)
        for (const { store } of world.metas) store.faults.isAway = false
        await world.clock.advance(60_000)
        if (!machine) {
          for (const [at, fate] of fates.entries()) {
            if (fate !== 'well' && fate !== 'away') continue
            assert.deepEqual(world.commitsOf(world.metas[at]!.store), before[at], 'untouched')
          }
        }
        const again = machine ?? (await tryOpen(world)).machine
        assert.equal(again !== undefined, kept >= majority, 'once those away are back')
        if (!again) return
        await goesOn(world, again)
        await eachProvesAll(world, again)
      })
    }

    it(`keeps every acknowledged file or says why not, whatever happens, under ${SEEDS} seeds`, async () => {
      let opened = 0
      let refused = 0
      for (let seed = 1; seed <= SEEDS; seed++) {
        const { openings, refusals } = await runSeed(shape, seed)
        opened += openings
        refused += refusals
      }
      assert.isAbove(opened, SEEDS)
      assert.isAbove(refused, SEEDS / 10)
    })
  })
}

/** Opens a writer on an empty machine, for as long as that takes a store that was away. */
async function tryOpen(world: VolumeStores): Promise<{ code?: string; machine?: Machine }> {
  try {
    return { machine: await world.openAnew() }
  } catch (caught) {
    const code = codeOf(caught)
    assert.include(REFUSALS, code, String(caught))
    return { code: code! }
  }
}

async function goesOn(world: VolumeStores, machine: Machine): Promise<void> {
  assert.deepEqual(await world.lacking(machine), [])
  world.update(machine)
  await world.run(machine.dispersal.commits.catchUp(new AbortController().signal))
  await world.write(machine)
  assert.deepEqual(await world.lacking(machine), [])
}

/** Afterwards each metadata store alone shows everything to a reader. */
async function eachProvesAll(world: VolumeStores, machine: Machine): Promise<void> {
  await world.clock.advance(60_000)
  await world.run(machine.dispersal.commits.catchUp(new AbortController().signal))
  await world.close(machine)
  for (const { store } of world.metas) {
    for (const other of world.metas) other.store.faults.isAway = other.store !== store
    const reader = await world.open(world.disk(), { readOnly: true })
    assert.deepEqual(await world.lacking(reader), [])
    await world.close(reader)
  }
}

/** One random life of a volume; the adversary may lose everything, and then the volume must say so and overwrite nothing. */
async function runSeed(
  shape: StoresShape,
  seed: number,
): Promise<{ openings: number; refusals: number }> {
  const world = new VolumeStores(shape, seed * 1000)
  const chance = seededChance(seed)
  let machine: Machine | undefined = await world.open(world.disk())
  let disk = machine.disk
  let openings = 0
  let refusals = 0
  const trace: string[] = []
  const reopen = async (isAnew: boolean) => {
    if (machine) await world.close(machine)
    machine = undefined
    try {
      machine = isAnew ? await world.openAnew() : await world.open(disk)
      disk = machine.disk
      openings++
    } catch (caught) {
      assert.include([...REFUSALS, 'VOLUME_EPOCH_OLD', 'VOLUME_HISTORY_INCOMPLETE'], codeOf(caught))
      refusals++
      return
    }
    const lacking = await world.lacking(machine)
    assert.deepEqual(lacking, [], `seed ${seed}: ${trace.join(', ')}`)
  }
  for (let step = 0; step < STEPS; step++) {
    const at = chance.below(shape.metas)
    const { store } = world.metas[at]!
    const dice = chance.below(12)
    trace.push(`${dice}@${at}`)
    if (dice < 2) store.faults.isAway = !store.faults.isAway
    else if (dice === 2) store.wipe()
    else if (dice === 3) world.replace(at)
    else if (dice === 4) await reopen(false)
    else if (dice === 5) await reopen(true)
    else if (dice === 6) await world.clock.advance(40_000)
    else if (!machine) await reopen(chance.below(2) === 0)
    else {
      world.update(machine)
      const write = world.write(machine)
      await write.catch(() => undefined)
    }
  }
  if (machine) await world.close(machine)
  return { openings, refusals }
}

describe('the histories that were lost once', () => {
  const never = new AbortController().signal
  const shape: StoresShape = { k: 2, m: 1, metas: 2 }

  it('an empty replacement alone does not open a volume, and overwrites nothing when the old store returns', async () => {
    const world = new VolumeStores(shape)
    const first = await world.open(world.disk())
    for (let file = 0; file < 4; file++) await world.write(first)
    await world.close(first)
    const kept = world.metas[1]!.store
    const before = world.commitsOf(kept)
    world.replace(0)
    kept.faults.isAway = true
    assert.equal((await tryOpen(world)).code, 'VOLUME_HEAD_UNKNOWN')
    kept.faults.isAway = false
    await world.clock.advance(60_000)
    assert.equal((await tryOpen(world)).code, 'VOLUME_HEAD_UNKNOWN')
    assert.deepEqual(world.commitsOf(kept), before)
  })

  it('with one of two away the other alone opens nothing', async () => {
    const world = new VolumeStores(shape)
    const first = await world.open(world.disk())
    for (let file = 0; file < 4; file++) await world.write(first)
    await world.close(first)
    for (const at of [0, 1]) {
      world.metas[at]!.store.faults.isAway = true
      assert.equal((await tryOpen(world)).code, 'VOLUME_HEAD_UNKNOWN')
      world.metas[at]!.store.faults.isAway = false
      await world.clock.advance(60_000)
    }
    const machine = await world.openAnew()
    await goesOn(world, machine)
    await world.close(machine)
  })

  for (const hidden of [1, 3]) {
    it(`stops, and replaces none, when ${hidden} hidden acknowledged commits turn up`, async () => {
      const world = new VolumeStores({ k: 2, m: 1, metas: 3 })
      const first = await world.open(world.disk())
      await world.write(first)
      await world.run(first.dispersal.commits.catchUp(never))
      const [liar, late, honest] = world.metas.map(({ store }) => store)
      const old = new Map(liar!.keys.map((key) => [key, liar!.peek(key)!]))
      late!.faults.isAway = true
      for (let file = 0; file < hidden; file++) await world.write(first)
      await world.run(first.dispersal.commits.catchUp(never))
      await world.close(first)
      const before = world.commitsOf(honest!)
      // What the liar shows is what it once held.
      liar!.wipe()
      for (const [key, value] of old) await liar!.put(Buffer.from(key, 'hex'), value, never)
      late!.faults.isAway = false
      honest!.faults.isAway = true
      await world.clock.advance(60_000)
      const machine = await world.openAnew()
      honest!.faults.isAway = false
      await world.clock.advance(60_000)
      const catchUp = world.run(machine.dispersal.commits.catchUp(never))
      assert.equal(await catchUp.then(() => undefined, codeOf), 'VOLUME_HISTORY_FORKED')
      const write = world.write(machine)
      assert.equal(await write.then(() => undefined, codeOf), 'IO')
      assert.match(machine.volume.figures().problem ?? '', /VOLUME_HISTORY_FORKED/)
      assert.deepEqual(world.commitsOf(honest!), before)
      await world.close(machine)
    })
  }
})

describe('a hand-over to a newer writer', () => {
  const shape: StoresShape = { k: 2, m: 1, metas: 3 }

  it('loses none of what was synced, twenty times', async () => {
    const world = new VolumeStores(shape)
    const synced = new Map<string, Uint8Array>()
    let machine = await world.open(world.disk())
    for (let move = 0; move < 20; move++) {
      for (let file = 0; file < 5; file++) {
        const [name, bytes] = [`m${move}-${file}`, pattern(3000, move * 10 + file)]
        const ino = await writeFile(machine.volume, name, bytes)
        await world.run(Promise.resolve(machine.volume.sync(ino, false)))
        synced.set(name, bytes)
      }
      const before = machine
      const outgoing = { epoch: world.epoch, untilMs: world.clock.monotonic() + 20_000 }
      const beganAtMs = world.clock.monotonic()
      const opening = world.openAnew({ outgoing })
      assert.equal(await world.run(before.volume.handOver(20_000)), 0)
      machine = await opening
      assert.isBelow(world.clock.monotonic() - beganAtMs, 5000, 'it need not wait any longer')
      assert.equal(await failureOf(() => writeFile(before.volume, 'late', pattern(1))), 'READ_ONLY')
      await world.close(before)
      for (const [name, bytes] of synced) {
        assert.deepEqual(await world.run(readFile(machine.volume, name)), bytes, name)
      }
    }
    await world.close(machine)
  })

  it('says on both sides what did not reach the stores in time', async () => {
    const world = new VolumeStores(shape)
    const old = await world.open(world.disk())
    await world.write(old)
    for (const { store } of world.slots) store.faults.isAway = true
    const ino = await writeFile(old.volume, 'tail', pattern(5000, 7))
    await world.run(Promise.resolve(old.volume.sync(ino, false)))
    const left = await world.run(old.volume.handOver(2000))
    assert.isAtLeast(left, 5000)
    await world.close(old)
    for (const { store } of world.slots) store.faults.isAway = false
    await world.clock.advance(60_000)
    const outgoing = { epoch: world.epoch, untilMs: world.clock.monotonic() + 1000 }
    const next = await world.openAnew({ outgoing })
    assert.deepEqual(await world.lacking(next), [])
    assert.isTrue(world.log.some((line) => /did not say that it ended/.test(line)))
    await world.write(next)
    const reader = await world.open(old.disk, { readOnly: true })
    assert.equal(reader.volume.figures().leftBehindBytes, left)
    await world.close(reader)
    await world.close(next)
  })

  it('shows nothing left behind where all was dispersed', async () => {
    const world = new VolumeStores(shape)
    const old = await world.open(world.disk())
    await world.write(old)
    assert.equal(await world.run(old.volume.handOver(20_000)), 0)
    await world.close(old)
    const reader = await world.open(old.disk, { readOnly: true })
    assert.equal(reader.volume.figures().leftBehindBytes, 0)
    await world.close(reader)
  })
})

describe('a volume whose disks get full', () => {
  const shape: StoresShape = { k: 1, m: 1, metas: 3 }
  const GIVEN = 600 * MIB

  it('lets its own cache give way before it refuses data, and says in df what it takes', async () => {
    const world = new VolumeStores(shape)
    const disk = world.disk()
    let cached = 4
    const evictable = {
      get sizeBytes() {
        return cached * 64 * MIB
      },
      yieldSpace() {
        if (cached === 0) return 0
        cached--
        disk.capacityBytes += 64 * MIB
        return 64 * MIB
      },
    }
    const machine = await world.open(disk, {}, { evictable })
    disk.capacityBytes = 100 * MIB
    await writeFile(machine.volume, 'a', pattern(1000))
    assert.equal(cached, 3)
    assert.isAbove(machine.volume.space().freeBytes, GIVEN, 'stores take it, so the quota counts')
    for (const { store } of world.slots) store.faults.isAway = true
    const flushing = machine.volume.syncDispersed().catch(() => undefined)
    await world.clock.advance(30_000)
    assert.equal(machine.volume.figures().state, 'waiting-for-stores')
    const { freeBytes } = machine.volume.space()
    assert.isAtMost(freeBytes, 4 * 64 * MIB, 'only what the journal can hold')
    assert.isAbove(freeBytes, 0)
    cached = 0
    disk.capacityBytes = 50 * MIB
    assert.equal(machine.volume.space().freeBytes, 0)
    await world.close(machine)
    await flushing
  })

  it('frees on the stores what was deleted although nothing is written afterwards', async () => {
    const world = new VolumeStores(shape)
    const machine = await world.open(world.disk())
    await writeFile(machine.volume, 'big', noise(9 * MIB, 5))
    await world.run(machine.volume.syncDispersed())
    const shards = () => world.slots[0]!.store.keys.filter((key) => key.startsWith('70')).length
    assert.isAtLeast(shards(), 2)
    const { ino } = machine.volume.lookup(1, 'big')
    machine.volume.unlink(1, 'big')
    machine.volume.forget(ino)
    for (let turn = 0; turn < 8; turn++) {
      // As long as a round takes and the next is due.
      for (let second = 0; second < 12; second++) await world.clock.advance(500)
      const signal = new AbortController().signal
      if ((await world.run(machine.dispersal.sweep(signal))) > 0) machine.volume.commitTables()
    }
    assert.equal(shards(), 0)
    await world.close(machine)
  })
})

async function failureOf(work: () => Promise<unknown>): Promise<string | undefined> {
  return work().then(() => undefined, codeOf)
}
