/** The whole path of a volume: write, make durable, disperse, open again with and without the local disk. */
import { assert } from 'chai'
import { codeOf } from '../../../agent/base/errors.ts'
import { CALLER, pattern, readFile, VolumeWorld, writeFile } from '../../support/volume-world.ts'

describe('A volume', () => {
  it('shows what was written after a restart from the local disk alone', async () => {
    const world = new VolumeWorld()
    const disk = world.disk()
    const volume = await world.open(disk)
    await writeFile(volume, 'a', pattern(200_000))
    await volume.syncDispersed()
    await writeFile(volume, 'b', pattern(5000, 2))
    await volume.sync(1, false)
    disk.crash()
    for (const replica of world.commitWorld.replicas) replica.isAway = true

    const again = await world.open(disk)
    assert.deepEqual(await readFile(again, 'a'), pattern(200_000))
    assert.deepEqual(await readFile(again, 'b'), pattern(5000, 2))
    await again.close()
  })

  it('shows what was dispersed on a machine that has nothing', async () => {
    const world = new VolumeWorld()
    const volume = await world.open(world.disk())
    await writeFile(volume, 'a', pattern(200_000))
    volume.makeDirectory(1, 'd', 0o755, CALLER)
    await volume.syncDispersed()
    await writeFile(volume, 'late', pattern(10))
    await volume.close()

    world.commitWorld.epoch = 2
    const other = await world.open(world.disk(2))
    assert.deepEqual(await readFile(other, 'a'), pattern(200_000))
    assert.deepEqual(
      other.readDirectory(other.openDirectory(1), 0, 10).map(({ name }) => name),
      ['a', 'd'],
    )
    await other.close()
  })

  it('disperses by itself when the oldest change is old enough, and frees the journal', async () => {
    const world = new VolumeWorld()
    const volume = await world.open(world.disk(), { segmentBytes: 65_536 })
    for (let i = 0; i < 10; i++) await writeFile(volume, `f${i}`, pattern(50_000, i))
    assert.isAbove(volume.figures().undispersedBytes, 500_000)
    await world.clock.advance(4999)
    assert.isAbove(volume.figures().undispersedBytes, 500_000)
    await world.clock.advance(2)
    const figures = volume.figures()
    assert.equal(figures.undispersedBytes, 0)
    assert.equal(figures.state, 'ok')
    assert.equal(figures.commitSequence, 1)
    assert.isBelow(figures.journalBytes, 130_000)
    for (let i = 0; i < 10; i++) {
      assert.deepEqual(await readFile(volume, `f${i}`), pattern(50_000, i))
    }
    await volume.close()
  })

  it('refuses to write on a machine that cannot know the newest commit', async () => {
    const world = new VolumeWorld()
    const volume = await world.open(world.disk())
    await volume.syncDispersed()
    await volume.close()
    for (const replica of world.commitWorld.replicas.slice(0, 2)) replica.isAway = true
    let code: string | undefined
    await world.open(world.disk(2)).catch((caught: unknown) => {
      code = codeOf(caught)
    })
    assert.equal(code, 'VOLUME_HEAD_UNKNOWN')
    const reader = await world.open(world.disk(3), { readOnly: true })
    assert.equal(reader.figures().commitSequence, 1)
    await reader.close()
  })
})
