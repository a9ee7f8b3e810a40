/** Who may write, whom to believe, and what becomes of a writer that was replaced. */
import { assert } from 'chai'
import { codeOf } from '../../../agent/base/errors.ts'
import { fingerprint } from '../../support/file-operations.ts'
import type { Replica } from '../../support/memory-commit-store.ts'
import { pattern, readFile, VolumeWorld, writeFile } from '../../support/volume-world.ts'

/** The code that a promise or a call fails with. */
async function failure(work: () => unknown): Promise<string | undefined> {
  try {
    await work()
    return undefined
  } catch (caught) {
    return codeOf(caught)
  }
}

/** A volume with some commits, closed. */
async function written(world: VolumeWorld, commits: number, minCommits = 1000): Promise<string> {
  const volume = await world.open(world.disk(), { snapshotCommitsMin: minCommits })
  for (let i = 0; i < commits; i++) {
    await writeFile(volume, `f${i}`, pattern(300, i))
    await volume.syncDispersed()
    await world.clock.advance(1)
  }
  const look = await fingerprint(volume)
  await volume.close()
  return look
}

const replica = (world: VolumeWorld, index: number): Replica => world.commitWorld.replicas[index]!

describe('A writer that was replaced', () => {
  it('turns read-only, goes on reading, and says so', async () => {
    const world = new VolumeWorld()
    const old = await world.open(world.disk())
    await writeFile(old, 'a', pattern(9000))
    await old.syncDispersed()
    world.commitWorld.epoch = 2
    const next = await world.open(world.disk(2))
    await writeFile(old, 'tail', pattern(100, 3))
    assert.equal(await failure(() => old.syncDispersed()), 'WRITER_FENCED')
    assert.equal(old.figures().state, 'fenced')
    assert.match(old.figures().problem ?? '', /WRITER_FENCED/)
    assert.equal(await failure(() => writeFile(old, 'b', pattern(1))), 'READ_ONLY')
    assert.deepEqual(await readFile(old, 'a'), pattern(9000))
    assert.deepEqual(await readFile(old, 'tail'), pattern(100, 3))
    await old.close()
    await next.close()
  })

  it('keeps its undispersed tail aside when it comes back to a history that went on', async () => {
    const world = new VolumeWorld()
    const disk = world.disk()
    const first = await world.open(disk)
    await writeFile(first, 'a', pattern(9000))
    await first.syncDispersed()
    await writeFile(first, 'tail', pattern(5000, 3))
    await first.close()
    world.commitWorld.epoch = 2
    const second = await world.open(world.disk(2))
    await writeFile(second, 'b', pattern(10))
    await second.syncDispersed()
    const look = await fingerprint(second)
    await second.close()

    world.commitWorld.epoch = 3
    const third = await world.open(disk)
    assert.equal(await fingerprint(third), look)
    const { aside } = third.figures()
    assert.equal(aside.length, 1)
    assert.match(aside[0]?.reason ?? '', /went on/)
    const kept = disk.files().filter(({ path }) => path.startsWith(aside[0]?.path ?? 'none'))
    assert.isTrue(kept.some(({ sizeBytes }) => sizeBytes > 5000))
    await third.close()
    const again = await world.open(disk)
    assert.equal(await fingerprint(again), look)
    await again.close()
  })

  it('goes on with its tail when nobody wrote in between, even under a newer epoch', async () => {
    const world = new VolumeWorld()
    const disk = world.disk()
    const first = await world.open(disk)
    await writeFile(first, 'a', pattern(9000))
    await first.syncDispersed()
    await writeFile(first, 'tail', pattern(5000, 3))
    await first.close()
    world.commitWorld.epoch = 2
    const again = await world.open(disk)
    assert.deepEqual(await readFile(again, 'tail'), pattern(5000, 3))
    assert.deepEqual(again.figures().aside, [])
    await again.syncDispersed()
    await again.close()
  })

  it('is refused when it asks with an old epoch on an empty machine', async () => {
    const world = new VolumeWorld()
    world.commitWorld.epoch = 2
    await written(world, 1)
    assert.equal(await failure(() => world.open(world.disk(9), { epoch: 1 })), 'VOLUME_EPOCH_OLD')
  })

  it('loses to its successor where both wrote the same sequence, also for who followed it', async () => {
    const world = new VolumeWorld()
    const old = await world.open(world.disk())
    await writeFile(old, 'a', pattern(100))
    await old.syncDispersed()
    // The old writer's second commit reaches one store only.
    replica(world, 1).isAway = true
    replica(world, 2).isAway = true
    await writeFile(old, 'lost', pattern(100, 2))
    old.syncDispersed().catch(() => undefined)
    await world.clock.advance(100)
    assert.equal(replica(world, 0).records.size, 2)
    const reader = await world.open(world.disk(5), { readOnly: true })
    assert.deepEqual(await readFile(reader, 'lost'), pattern(100, 2))

    replica(world, 0).isAway = true
    replica(world, 1).isAway = false
    replica(world, 2).isAway = false
    world.commitWorld.epoch = 2
    const next = await world.open(world.disk(2))
    await writeFile(next, 'kept', pattern(100, 3))
    await next.syncDispersed()
    const look = await fingerprint(next)
    replica(world, 0).isAway = false

    const fresh = await world.open(world.disk(6), { readOnly: true })
    assert.equal(await fingerprint(fresh), look)
    await reader.follow()
    assert.equal(await fingerprint(reader), look)
    await reader.close()
    await fresh.close()
    await next.close()
    await old.close()
  })
})

describe('Metadata stores that lie', () => {
  const lies: [what: string, tell: (replica: Replica) => void][] = [
    ['show garbage', (one) => (one.lie = { read: () => pattern(500) })],
    ['cut records short', (one) => (one.lie = { read: (_, truth) => truth?.subarray(0, 40) })],
    ['show nothing', (one) => (one.lie = { read: () => undefined, head: 0, snapshots: () => [] })],
    [
      'claim an old head',
      (one) => (one.lie = { head: 2, read: (s, t) => (s <= 2 ? t : undefined) }),
    ],
    ['claim what nobody has', (one) => (one.lie = { head: 1e9 })],
    [
      'show a record under another sequence',
      (one) => (one.lie = { read: (s) => one.records.get(Math.max(1, s - 1)) }),
    ],
    [
      'show broken snapshots',
      (one) => (one.lie = { snapshots: () => [{ sequence: 99, bytes: pattern(100) }] }),
    ],
    [
      'show a snapshot under another sequence',
      (one) =>
        (one.lie = {
          snapshots: (truth) => [...truth].map(([s, bytes]) => ({ sequence: s + 1, bytes })),
        }),
    ],
    [
      'show a commit as a snapshot',
      (one) =>
        (one.lie = { snapshots: () => [{ sequence: 3, bytes: one.records.get(3) ?? pattern(1) }] }),
    ],
  ]
  for (const [what, tell] of lies) {
    it(`change nothing when they ${what}`, async () => {
      const world = new VolumeWorld()
      const look = await written(world, 7, 4)
      tell(replica(world, 0))
      world.commitWorld.epoch = 2
      const writer = await world.open(world.disk(2))
      assert.equal(await fingerprint(writer), look)
      assert.equal(writer.figures().commitSequence, 7)
      await writer.close()
      const reader = await world.open(world.disk(3), { readOnly: true })
      assert.equal(await fingerprint(reader), look)
      await reader.close()
    })
  }

  it('delay a writer that nobody else can reassure', async () => {
    const world = new VolumeWorld()
    await written(world, 3)
    replica(world, 0).lie = { head: 50 }
    replica(world, 1).isAway = true
    world.commitWorld.epoch = 2
    assert.equal(await failure(() => world.open(world.disk(2))), 'VOLUME_HEAD_UNKNOWN')
  })

  it('cannot hide that a commit is missing from a history that goes on', async () => {
    const world = new VolumeWorld()
    await written(world, 5)
    for (const one of world.commitWorld.replicas) one.records.delete(4)
    world.commitWorld.epoch = 2
    assert.equal(await failure(() => world.open(world.disk(2))), 'VOLUME_HISTORY_INCOMPLETE')
    replica(world, 0).lie = { head: 1e9 }
    assert.equal(await failure(() => world.open(world.disk(2))), 'VOLUME_HISTORY_INCOMPLETE')
  })
})

describe('Snapshots', () => {
  it('spare an empty machine the commits before them', async () => {
    const world = new VolumeWorld()
    const look = await written(world, 30, 8)
    await world.clock.advance(100)
    assert.isAtLeast(replica(world, 0).snapshots.size, 2)
    for (const one of world.commitWorld.replicas) {
      for (let sequence = 1; sequence <= 8; sequence++) one.records.delete(sequence)
    }
    world.commitWorld.epoch = 2
    const volume = await world.open(world.disk(2))
    assert.equal(await fingerprint(volume), look)
    await writeFile(volume, 'more', pattern(10))
    await volume.syncDispersed()
    await volume.close()
  })

  it('show the past where one asks for it', async () => {
    const world = new VolumeWorld()
    await written(world, 12, 4)
    for (const upToSequence of [1, 3, 6, 11]) {
      const past = await world.open(world.disk(2), { readOnly: true, upToSequence })
      assert.equal(past.figures().commitSequence, upToSequence)
      assert.equal(past.figures().files, upToSequence + 1)
      await past.close()
    }
  })
})

describe('A damaged local disk', () => {
  it('is made good from the stores when its commits are broken', async () => {
    const world = new VolumeWorld()
    const disk = world.disk()
    const volume = await world.open(disk)
    for (let i = 0; i < 4; i++) {
      await writeFile(volume, `f${i}`, pattern(400, i))
      await volume.syncDispersed()
    }
    await writeFile(volume, 'tail', pattern(400, 9))
    const look = await fingerprint(volume)
    await volume.close()
    disk.flipBit('commits/00000000000001.log', 60, 3)
    const again = await world.open(disk)
    assert.equal(await fingerprint(again), look)
    await again.close()
  })

  it('never passes damaged records off as the end: they are kept aside and reported', async () => {
    const world = new VolumeWorld()
    const disk = world.disk()
    const volume = await world.open(disk)
    await writeFile(volume, 'a', pattern(400))
    await writeFile(volume, 'b', pattern(400, 2))
    await volume.close()
    disk.flipBit('journal/000000000001.seg', 250, 1)
    const again = await world.open(disk)
    assert.equal(again.figures().aside.length, 1)
    assert.match(again.figures().aside[0]?.reason ?? '', /damaged/)
    assert.isTrue(disk.files().some(({ path }) => path.startsWith('aside/damaged')))
    await again.close()
  })

  it('fails reads and stops writes when the journal cannot be made durable', async () => {
    const world = new VolumeWorld()
    const disk = world.disk()
    const volume = await world.open(disk)
    await writeFile(volume, 'a', pattern(400))
    disk.onOperation = ({ kind, path }) => {
      if (kind === 'sync' && path.startsWith('journal')) throw new TypeError('EIO')
    }
    assert.equal(await failure(() => volume.sync(1, false)), 'IO')
    disk.onOperation = undefined
    assert.equal(await failure(() => volume.sync(1, false)), 'IO', 'a later flush proves nothing')
    assert.equal(await failure(() => writeFile(volume, 'b', pattern(4))), 'IO')
    await volume.close().catch(() => undefined)
  })
})

describe('A read-only volume', () => {
  it('follows its writer, writes nothing and releases nothing', async () => {
    const world = new VolumeWorld()
    const writer = await world.open(world.disk())
    const ino = await writeFile(writer, 'a', pattern(70_000))
    await writer.syncDispersed()
    const writerChunks = world.chunks
    const disk = world.disk(2)
    const seen: number[] = []
    const reader = await world.open(disk, {
      readOnly: true,
      changed: (inodes) => seen.push(...inodes),
    })
    const handle = reader.open(ino, 0)
    assert.equal(await failure(() => writeFile(reader, 'x', pattern(1))), 'READ_ONLY')
    assert.equal(await failure(() => reader.unlink(1, 'a')), 'READ_ONLY')
    assert.equal(await failure(() => reader.open(ino, 2)), 'READ_ONLY')

    const editing = writer.open(ino, 2)
    await writer.write(editing, 10, pattern(70_000, 5))
    await writer.syncDispersed()
    await world.clock.advance(2100)
    assert.equal(reader.figures().commitSequence, 2)
    assert.include(seen, ino)
    const into = Buffer.alloc(70_000)
    await reader.read(handle, 10, into)
    assert.deepEqual(into, pattern(70_000, 5))

    writer.unlink(1, 'a')
    writer.release(editing)
    writer.forget(ino)
    await writer.syncDispersed()
    await world.clock.advance(2100)
    assert.equal(await failure(() => reader.lookup(1, 'a')), 'NOT_FOUND')
    assert.equal(reader.attributes(ino).links, 0, 'an open file stays')
    reader.release(handle)
    reader.forget(ino)
    assert.equal(await failure(() => reader.attributes(ino)), 'NOT_FOUND')
    assert.isAbove(writerChunks.released.length, 0)
    assert.deepEqual(world.chunks.released, [])
    assert.deepEqual(disk.files(), [])
    await reader.close()
    await writer.close()
  })

  it('catches up with a writer that went on beyond the commits that the stores keep', async () => {
    const world = new VolumeWorld()
    const writer = await world.open(world.disk(), { snapshotCommitsMin: 3 })
    await writeFile(writer, 'first', pattern(10))
    await writer.syncDispersed()
    const reader = await world.open(world.disk(2), { readOnly: true })
    assert.equal(reader.figures().commitSequence, 1)
    for (let i = 0; i < 12; i++) {
      await writeFile(writer, `f${i}`, pattern(400, i))
      await writer.syncDispersed()
    }
    for (const { records } of world.commitWorld.replicas) {
      for (let sequence = 1; sequence <= 3; sequence++) records.delete(sequence)
    }
    await reader.follow()
    await reader.follow()
    assert.equal(reader.figures().commitSequence, writer.figures().commitSequence)
    assert.equal(await fingerprint(reader), await fingerprint(writer))
    await reader.close()
    await writer.close()
  })
})
