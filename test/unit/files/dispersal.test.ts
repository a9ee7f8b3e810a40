/** What leaves the machine, when writers wait, and what is freed. */
import { assert } from 'chai'
import { codeOf } from '../../../agent/base/errors.ts'
import { MIB } from '../../../agent/base/units.ts'
import type { Volume } from '../../../agent/engines/files/index.ts'
import { settle } from '../../support/virtual-clock.ts'
import { CALLER, pattern, readFile, VolumeWorld, writeFile } from '../../support/volume-world.ts'

function codeThrown(work: () => unknown): string | undefined {
  try {
    work()
    return undefined
  } catch (caught) {
    return codeOf(caught)
  }
}

/** Opens a file for writing. */
function edit(volume: Volume, name: string): number {
  return volume.open(volume.lookup(1, name).ino, 2)
}

describe('Dispersal', () => {
  it('never uploads what was overwritten or deleted before', async () => {
    const world = new VolumeWorld()
    const volume = await world.open(world.disk())
    const ino = await writeFile(volume, 'gone', pattern(500_000))
    volume.unlink(1, 'gone')
    volume.forget(ino)
    const handle = volume.create(1, 'a', 0o644, 2, CALLER).handle
    for (let i = 0; i < 20; i++) await volume.write(handle, 0, pattern(10_000, i))
    await volume.syncDispersed()
    assert.equal(world.chunkWorld.storedBytes, 10_000)
    await volume.close()
  })

  it('keeps a log that grows by a few bytes at a time in few chunks', async () => {
    const world = new VolumeWorld()
    const volume = await world.open(world.disk())
    const handle = volume.create(1, 'index', 0o644, 2, CALLER).handle
    const expected = pattern(6 * 400)
    for (let i = 0; i < 400; i++) {
      await volume.write(handle, i * 6, expected.subarray(i * 6, i * 6 + 6))
      await volume.syncDispersed()
    }
    assert.equal(world.chunks.count, 1)
    const { released } = world.chunks
    assert.equal(new Set(released).size, released.length, 'no chunk is released twice')
    assert.deepEqual(await readFile(volume, 'index'), expected)
    await volume.close()
  })

  it('leaves small neighbours as they are when they cannot be fetched', async () => {
    const world = new VolumeWorld()
    const disk = world.disk()
    const volume = await world.open(disk)
    await writeFile(volume, 'a', pattern(1000))
    await volume.syncDispersed()
    world.chunks.dropCache()
    world.chunkWorld.isSilent = true
    await volume.write(edit(volume, 'a'), 1000, pattern(500, 2))
    await volume.syncDispersed()
    world.chunkWorld.isSilent = false
    const expected = Buffer.concat([pattern(1000), pattern(500, 2)])
    assert.deepEqual(await readFile(volume, 'a'), expected)
    await volume.close()
    world.commitWorld.epoch++
    const other = await world.open(world.disk(2))
    assert.deepEqual(await readFile(other, 'a'), expected)
    await other.close()
  })

  it('releases chunks once the commit that drops them is on the stores, and not before', async () => {
    const world = new VolumeWorld()
    const volume = await world.open(world.disk())
    await writeFile(volume, 'a', pattern(100_000))
    await volume.syncDispersed()
    const handle = edit(volume, 'a')
    await volume.write(handle, 0, pattern(100_000, 2))
    for (const one of world.commitWorld.replicas) one.isAway = true
    volume.syncDispersed().catch(() => undefined)
    await world.clock.advance(1000)
    assert.deepEqual(world.chunks.released, [])
    for (const one of world.commitWorld.replicas) one.isAway = false
    await world.clock.advance(20_000)
    assert.deepEqual(world.chunks.released, [0, 1])
    assert.deepEqual(await readFile(volume, 'a'), pattern(100_000, 2))
    await volume.close()
  })

  it('does not release a chunk that the same round stores again', async () => {
    const world = new VolumeWorld()
    const volume = await world.open(world.disk())
    const ino = await writeFile(volume, 'a', pattern(40_000))
    await volume.syncDispersed()
    volume.unlink(1, 'a')
    volume.forget(ino)
    await writeFile(volume, 'b', pattern(40_000))
    await volume.syncDispersed()
    assert.deepEqual(world.chunks.released, [])
    world.chunks.dropCache()
    volume.dropCache()
    assert.deepEqual(await readFile(volume, 'b'), pattern(40_000))
    await volume.close()
  })

  it('leaves a local disk that needs no stores, whatever a crash then takes', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const world = new VolumeWorld()
      const disk = world.disk(seed)
      const volume = await world.open(disk, { segmentBytes: 1000 })
      for (let i = 0; i < 3; i++) await writeFile(volume, `f${i}`, pattern(1500, i))
      await volume.syncDispersed()
      world.kill()
      disk.crash()
      for (const one of world.commitWorld.replicas) one.isAway = true
      const again = await world.open(disk)
      assert.deepEqual(await readFile(again, 'f2'), pattern(1500, 2))
      await again.close()
    }
  })

  it('commits tables that changed by themselves, and nothing when there is nothing', async () => {
    const world = new VolumeWorld()
    const volume = await world.open(world.disk())
    await writeFile(volume, 'a', pattern(100))
    await volume.syncDispersed()
    const sequence = volume.figures().commitSequence
    volume.commitTables()
    await world.clock.advance(1)
    assert.equal(volume.figures().commitSequence, sequence)
    world.chunks.section.returnChanges(Buffer.from('[[0,""]]'))
    volume.commitTables()
    await world.clock.advance(1)
    assert.equal(volume.figures().commitSequence, sequence + 1)
    await volume.close()
  })

  it('goes on by itself when the stores come back, and says meanwhile that it waits', async () => {
    const world = new VolumeWorld()
    const volume = await world.open(world.disk())
    world.chunkWorld.isAway = true
    await writeFile(volume, 'a', pattern(100_000))
    await world.clock.advance(30_000)
    assert.equal(volume.figures().state, 'waiting-for-stores')
    assert.match(volume.figures().problem ?? '', /NOT_ENOUGH_STORES/)
    assert.isAtLeast(volume.figures().undispersedAgeMs, 30_000)
    assert.isBelow(world.chunkWorld.storeCalls, 12, 'it backs off')
    await writeFile(volume, 'b', pattern(1000))
    world.chunkWorld.isAway = false
    await world.clock.advance(30_000)
    assert.equal(volume.figures().state, 'ok')
    assert.equal(volume.figures().undispersedBytes, 0)
    await volume.close()
  })

  it('refuses data, and still lets one tidy up, when the journal is full and stores are away', async () => {
    const world = new VolumeWorld()
    const volume = await world.open(world.disk(), { journalBytesMax: MIB })
    world.chunkWorld.isAway = true
    await writeFile(volume, 'a', pattern(600_000))
    await world.clock.advance(6000)
    const handle = edit(volume, 'a')
    assert.equal(
      codeThrown(() => volume.write(handle, 0, pattern(600_000))),
      'NO_SPACE',
    )
    volume.release(handle)
    volume.unlink(1, 'a')
    world.chunkWorld.isAway = false
    await world.clock.advance(40_000)
    await writeFile(volume, 'b', pattern(400_000))
    await volume.close()
  })

  it('has writers wait while too much is undispersed and stores make progress', async () => {
    const world = new VolumeWorld()
    const pause = () => world.clock.sleep(50)
    const volume = await world.drive(
      world.open(world.disk(), { backlogBytes: 300_000, segmentBytes: 100_000 }, pause),
    )
    const { handle } = volume.create(1, 'a', 0o644, 2, CALLER)
    assert.equal(volume.write(handle, 0, pattern(400_000)), 400_000)
    const caller = pattern(1000, 7)
    let written = 0
    const waiting = Promise.resolve(volume.write(handle, 400_000, caller)).then((n) => {
      written = n
    })
    caller.fill(0)
    await settle()
    assert.equal(written, 0)
    await world.clock.advance(6000)
    assert.equal(written, 1000)
    await waiting
    const bytes = Buffer.alloc(1000)
    await volume.read(handle, 400_000, bytes)
    assert.deepEqual(bytes, pattern(1000, 7), 'the bytes are those at the time of the call')
    await world.drive(volume.close())
  })

  it('lets fsync wait for the stores where the mount asks for that', async () => {
    const world = new VolumeWorld()
    const volume = await world.open(world.disk(), { sync: 'dispersed' })
    const ino = await writeFile(volume, 'a', pattern(1000))
    await volume.sync(ino, false)
    assert.equal(volume.figures().undispersedBytes, 0)
    await volume.close()
  })

  it('stores a file larger than a batch, whatever is written meanwhile', async () => {
    const world = new VolumeWorld(1, { chunkBytes: MIB })
    const pause = () => world.clock.sleep(5)
    const volume = await world.drive(world.open(world.disk(), { segmentBytes: 8 * MIB }, pause))
    const { handle } = volume.create(1, 'a', 0o644, 2, CALLER)
    const piece = Buffer.alloc(MIB)
    for (let i = 0; i < 70; i++) {
      piece.fill(i)
      await volume.write(handle, i * MIB, piece)
    }
    const dispersed = volume.syncDispersed()
    await world.clock.advance(3)
    await volume.write(handle, 64 * MIB - 5, Buffer.from('0123456789'))
    await world.drive(dispersed)
    await world.drive(volume.close())
    world.commitWorld.epoch++
    const other = await world.open(world.disk(2))
    const bytes = Buffer.alloc(8)
    const reading = other.open(other.lookup(1, 'a').ino, 0)
    await other.read(reading, 64 * MIB - 4, bytes)
    assert.deepEqual([...bytes], [63, 63, 63, 63, 64, 64, 64, 64])
    await other.close()
  })
})

describe('Reading', () => {
  it('fails rather than return what does not verify or cannot be had', async () => {
    const world = new VolumeWorld()
    const volume = await world.open(world.disk())
    await writeFile(volume, 'a', pattern(200_000))
    await volume.syncDispersed()
    world.chunks.dropCache()
    const [hash, blob] = [...world.chunkWorld.blobs][1]!
    world.chunkWorld.blobs.set(
      hash,
      blob.map((byte) => byte ^ 1),
    )
    let code: string | undefined
    await readFile(volume, 'a').catch((caught: unknown) => {
      code = codeOf(caught)
    })
    assert.equal(code, 'IO')
    world.chunkWorld.blobs.set(hash, blob)
    assert.deepEqual(await readFile(volume, 'a'), pattern(200_000))
    await volume.close()
  })

  it('fetches the following chunks for a reader that goes forward', async () => {
    const world = new VolumeWorld()
    const volume = await world.open(world.disk())
    await writeFile(volume, 'a', pattern(1_000_000))
    await volume.syncDispersed()
    world.chunks.dropCache()
    const handle = volume.open(volume.lookup(1, 'a').ino, 0)
    const into = Buffer.alloc(4096)
    await volume.read(handle, 0, into)
    await settle()
    const fetched = world.chunks.reads.remote
    assert.isAbove(fetched, 5)
    for (let at = 4096; at < 1_000_000 - 4096; at += 4096) {
      assert.equal(await volume.read(handle, at, into), 4096)
      assert.deepEqual(into, pattern(1_000_000).subarray(at, at + 4096))
      if (at > 100_000) break
    }
    assert.isAtMost(world.chunks.reads.remote, 16)
    await volume.close()
  })

  it('answers at once what is in the journal or a hole', async () => {
    const world = new VolumeWorld()
    const volume = await world.open(world.disk())
    const { handle } = volume.create(1, 'a', 0o644, 2, CALLER)
    await volume.write(handle, 10_000, pattern(100))
    const into = Buffer.alloc(300, 9)
    assert.equal(volume.read(handle, 9900, into), 200)
    assert.deepEqual(into.subarray(0, 200), Buffer.concat([Buffer.alloc(100), pattern(100)]))
    assert.equal(volume.read(handle, 10_100, into), 0)
    await volume.close()
  })
})
