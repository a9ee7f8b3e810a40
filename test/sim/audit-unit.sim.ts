/**
 * The audit unit and a mount under seeds: shards are written, deleted and overwritten, the store compacts and restarts, the unit is
 * killed. Whatever happens, what the node claims it can show; and an epoch that was calm is proven.
 */
import { assert } from 'chai'
import { orderId } from '../../agent/base/ids.ts'
import { AuditWorld, BLOCK_SECONDS } from '../support/audit-world.ts'
import { seededChance } from '../support/seeded-chance.ts'

const SEEDS = Number(process.env['CAMPAIGN_SEEDS'] ?? 2)
const EPOCHS = 8
/** Blocks of an epoch, and some more for who draws late. */
const BLOCKS_PER_EPOCH = 600 / BLOCK_SECONDS + 12
/** Faults end so many blocks before the run does. */
const CALM_BLOCKS = 3 * BLOCKS_PER_EPOCH

async function trouble(world: AuditWorld, below: (bound: number) => number): Promise<void> {
  for (let left = below(4); left > 0; left--) await world.write()
  if (below(3) === 0) await world.delete()
  if (below(40) === 0) await world.overwrite()
  if (below(20) === 0) await world.scrub()
  if (below(10) === 0) await world.compact()
  if (below(60) === 0) await world.restartStore()
  if (below(50) === 0) {
    await world.killKeeper()
    world.startKeeper()
  }
}

async function run(seed: number): Promise<AuditWorld> {
  const chance = seededChance(seed)
  const world = new AuditWorld(seed)
  await world.start()
  const blocks = EPOCHS * BLOCKS_PER_EPOCH
  let calmSince = blocks
  const roots = new Map<number, string>()
  for (let at = 0; at < blocks; at++) {
    const isCalm = at >= blocks - CALM_BLOCKS
    if (!isCalm) await trouble(world, (bound) => chance.below(bound))
    else {
      await world.scrub()
      calmSince = Math.min(calmSince, world.epoch)
      await world.write()
    }
    await world.block()
    const doubts = await world.doubts()
    assert.deepEqual(doubts ?? [], [], `SEED=${seed}: what it claims it can show`)
    if (isCalm && world.isClosed && world.epoch > calmSince) {
      const status = JSON.stringify([world.keeperStatus, world.committedSlots])
      assert.isAbove(world.auditedUnits, 0, `SEED=${seed}: it stands for something ${status}`)
      roots.set(world.epoch, world.auditedRoot)
      assert.isTrue(world.isProven, `SEED=${seed}: epoch ${world.epoch} is proven ${status}`)
    }
  }
  // Shards came in every block; after trouble an epoch may pass until writer and node agree again.
  const different = new Set(roots.values()).size
  assert.isAtLeast(different, 2, `SEED=${seed}: it commits what came in`)
  return world
}

describe('the audit unit of a node', function () {
  this.timeout(300_000)

  it('proves what it can show, and shows what it claims, whatever its tenant and its machine do', async () => {
    const counts = new Map<string, number>()
    for (let seed = Number(process.env['SEED'] ?? 1), left = SEEDS; left > 0; seed++, left--) {
      const world = await run(seed)
      for (const [name, count] of world.counts) counts.set(name, (counts.get(name) ?? 0) + count)
      await world.stop()
    }
    for (const name of ['draw', 'commit', 'postDigest', 'openSample']) {
      assert.isAbove(counts.get(name) ?? 0, 0, `"${name}" happened`)
    }
  })

  it('replies to every kind of dispute, also after it was killed and when the next epoch has begun', async () => {
    const world = await run(33)
    while (!world.isClosed) await world.block()
    const { epoch } = world
    const common = { epoch, deadline: world.now + 7200, slot: undefined }
    const slot = { order: orderId(3), slot: 0, generation: 0 }
    world.disputes = [
      { ...common, id: 1, state: 'challenged', sample: 5 },
      { ...common, id: 2, state: 'located', sample: 9 },
      { ...common, id: 3, state: 'demanded', sample: 0, slot },
    ]
    const replies = () =>
      world.acts.flatMap(({ name, args }) =>
        ['locate', 'answer', 'show'].includes(name) ? [`${name} ${args[0]}`] : [],
      )
    const wanted = ['locate 1', 'answer 2', 'show 3']
    await world.block()
    assert.deepEqual(replies(), wanted)
    await world.killKeeper()
    world.startKeeper()
    for (let at = 0; at < 3; at++) await world.block()
    assert.deepEqual(replies(), wanted)
    while (world.epoch === epoch) await world.block()
    await world.block()
    assert.deepEqual(replies(), wanted, 'disputes go on into the next epoch')
    await world.stop()
  })

  it('claims nothing once its store is gone', async () => {
    const world = await run(77)
    await world.loseStore()
    const { epoch } = world
    for (let at = 0; at < 3 * BLOCKS_PER_EPOCH; at++) {
      await world.block()
      if (world.epoch > epoch) assert.isFalse(world.isProven, `epoch ${world.epoch}`)
    }
    assert.isAbove(world.epoch, epoch)
    await world.stop()
  })
})
