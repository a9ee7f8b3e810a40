/** Which mounts run, which are refused and why. */
import { assert } from 'chai'
import { fromHex, toHex } from '../../../agent/base/bytes.ts'
import { account, nodeId } from '../../../agent/base/ids.ts'
import { seal } from '../../../agent/base/sealing.ts'
import { volumeKeyContext } from '../../../agent/base/volume-keys.ts'
import { type MountsWorld, mountPath, planMounts } from '../../../agent/plan/mounts.ts'
import {
  aMount,
  aNode,
  aPolicy,
  aSlot,
  aVolume,
  CHAIN_ID,
  GRID,
  identityOf,
  NOW,
  VOLUME_KEY,
} from '../../support/fake-orders.ts'

function world(more: Partial<MountsWorld>): MountsWorld {
  return {
    self: nodeId(1),
    now: NOW,
    mounts: [],
    volumes: [aVolume(1)],
    nodes: [aNode(1), aNode(2), aNode(3)],
    policy: aPolicy(),
    chainId: CHAIN_ID,
    grid: account(GRID),
    identity: identityOf(1),
    mountRoot: '/data/mnt',
    cacheBytes: 10,
    ...more,
  }
}

/** `2 run`, `2 stop MOUNT_...`, `2 discard`, joined. */
function show(more: Partial<MountsWorld>): string {
  const { units, orders } = planMounts(world(more))
  return (
    units
      .map((unit, index) => {
        const status = orders[index]
        const what = unit.run ? 'run' : unit.discard ? 'discard' : 'stop'
        return [status?.order, what, status?.code ?? ''].join(' ').trim()
      })
      .join('; ') || 'nothing'
  )
}

const sealedFor = (node: number, volume: number, key = VOLUME_KEY) => {
  const { sealingKey } = identityOf(node)
  const context = volumeKeyContext({
    chainId: CHAIN_ID,
    grid: GRID,
    volume,
    account: identityOf(node).account,
  })
  return `0x${toHex(seal(sealingKey, key, context))}`
}
const ended = (deletableAt: number) => ({ state: 'ended' as const, endedAt: 1, deletableAt })

// biome-ignore format: a table
const CASES: [why: string, world: Partial<MountsWorld>, want: string][] = [
  ['mounts what is ordered here',                    { mounts: [aMount(2, 1, 1)] },                                  '2 run'],
  ['leaves mounts of other nodes alone',             { mounts: [aMount(2, 1, 3)] },                                  'nothing'],
  ['stops a mount that is not paid',                 { mounts: [aMount(2, 1, 1, { state: 'suspended' })] },          '2 stop'],
  ['stops a mount that ended, and keeps its data',   { mounts: [aMount(2, 1, 1, ended(NOW + 1))] },                  '2 stop'],
  ['drops its data when the grace is over',          { mounts: [aMount(2, 1, 1, ended(NOW))] },                      '2 discard'],
  ['refuses a path that leaves the root',            { mounts: [aMount(2, 1, 1, { name: '../x' })] },                '2 stop MOUNT_NAME_INVALID'],
  ['refuses an absolute path',                       { mounts: [aMount(2, 1, 1, { name: '/etc' })] },                '2 stop MOUNT_NAME_INVALID'],
  ['refuses a second mount of a path',               { mounts: [aMount(2, 1, 1, { name: 'a' }), aMount(3, 1, 1, { name: 'a' })] }, '2 run; 3 stop MOUNT_DUPLICATE'],
  ['lets the older mount win whatever their order',  { mounts: [aMount(3, 1, 1, { name: 'a' }), aMount(2, 1, 1, { name: 'a' })] }, '2 run; 3 stop MOUNT_DUPLICATE'],
  ['mounts again where an ended order was',          { mounts: [aMount(2, 1, 1, { name: 'a', ...ended(NOW) }), aMount(3, 1, 1, { name: 'a' })] }, '2 discard; 3 run'],
  ['refuses a mount inside another',                 { mounts: [aMount(2, 1, 1, { name: 'a' }), aMount(3, 1, 1, { name: 'a/b' })] }, '2 run; 3 stop MOUNT_NESTED'],
  ['refuses a mount around another',                 { mounts: [aMount(2, 1, 1, { name: 'a/b' }), aMount(3, 1, 1, { name: 'a' })] }, '2 run; 3 stop MOUNT_NESTED'],
  ['takes names that only begin alike',              { mounts: [aMount(2, 1, 1, { name: 'a' }), aMount(3, 1, 1, { name: 'ab' })] }, '2 run; 3 run'],
  ['waits for a volume that is not there',           { mounts: [aMount(2, 8, 1)] },                                  '2 stop MOUNT_VOLUME_MISSING'],
  ['waits for a volume that is not paid',            { volumes: [aVolume(1, { state: 'suspended' })], mounts: [aMount(2, 1, 1)] }, '2 stop MOUNT_VOLUME_SUSPENDED'],
  ['refuses a volume that ended',                    { volumes: [aVolume(1, ended(NOW))], mounts: [aMount(2, 1, 1)] }, '2 stop MOUNT_VOLUME_ENDED'],
  ['refuses a key sealed to another node',           { mounts: [aMount(2, 1, 1, { sealedKey: sealedFor(3, 1) })] },  '2 stop MOUNT_KEY_UNREADABLE'],
  ['refuses a key sealed for another volume',        { mounts: [aMount(2, 1, 1, { sealedKey: sealedFor(1, 5) })] },  '2 stop MOUNT_KEY_UNREADABLE'],
  ['refuses bytes that are no sealed key',           { mounts: [aMount(2, 1, 1, { sealedKey: '0x00' })] },           '2 stop MOUNT_KEY_UNREADABLE'],
  ['refuses a key that is not the volume’s',         { mounts: [aMount(2, 1, 1, { sealedKey: sealedFor(1, 1, new Uint8Array(32)) })] }, '2 stop MOUNT_KEY_WRONG'],
  ['waits for a node that the registry lacks',       { nodes: [aNode(1), aNode(2)], mounts: [aMount(2, 1, 1)] },     '2 stop MOUNT_SLOT_UNKNOWN'],
]

describe('planMounts', () => {
  for (const [why, given, want] of CASES) it(why, () => assert.equal(show(given), want))

  it('tells the unit everything it needs', () => {
    const [unit] = planMounts(world({ mounts: [aMount(2, 1, 1, { name: 'geth/ancient' })] })).units
    assert.isTrue(unit?.run)
    if (!unit?.run) return
    const { volumeKey, privateKey, slots, ...rest } = unit.config
    assert.deepEqual(rest as unknown, {
      order: 2,
      volume: 1,
      path: '/data/mnt/geth/ancient',
      readOnly: false,
      sizeBytes: 50,
      dataShards: 1,
      parityShards: 1,
      writerEpoch: 1,
      grid: GRID,
      chainId: CHAIN_ID,
      writers: [identityOf(1).account],
      dispersalAgeMs: 5000,
      scrubMs: 60_000,
      cacheBytes: 10,
    })
    assert.deepEqual(fromHex(volumeKey), VOLUME_KEY)
    assert.deepEqual(fromHex(privateKey), identityOf(1).privateKey)
    assert.deepEqual(
      slots.map(({ index, account: peer, namespace }) => [index, peer, namespace]),
      [1, 2, 3].map((n, index) => [index, identityOf(n).account, `o1.${index}`]),
    )
  })

  it('makes a writer that was replaced a reader, and believes what it wrote', () => {
    const mounts = [aMount(2, 1, 1), aMount(3, 1, 2)]
    const [unit] = planMounts(world({ mounts })).units
    assert.isTrue(unit?.run && unit.config.readOnly)
    const accounts = [identityOf(1).account, identityOf(2).account].sort()
    assert.deepEqual(unit?.run && unit.config.writers, accounts)
  })

  it('keeps every path strictly below the root', () => {
    const bad = [
      '',
      '.',
      '..',
      'a/..',
      'a//b',
      'a/./b',
      '/a',
      'a/',
      'ä',
      'a b',
      'a\0b',
      'a\\b',
      '~',
    ]
    for (const name of bad) assert.isUndefined(mountPath('/r', name), name)
    assert.equal(mountPath('/r/', 'a/..b'), '/r/a/..b')
  })

  it('mounts nothing before it is registered', () => {
    assert.equal(
      show({ self: undefined, mounts: [aMount(2, 1, 1, { slots: [aSlot(1)] })] }),
      'nothing',
    )
  })
})
