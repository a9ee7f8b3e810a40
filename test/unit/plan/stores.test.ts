/** What the store unit is told: a table to read down, then laws over any world. */
import { assert } from 'chai'
import fc from 'fast-check'
import { nodeId } from '../../../agent/base/ids.ts'
import type { MountOrder, StoreOrder, VolumeOrder } from '../../../agent/ledger/types.ts'
import { planStores, type StoresWorld, writingMount } from '../../../agent/plan/stores.ts'
import {
  aMount,
  aNode,
  aSlot,
  aStore,
  aVolume,
  identityOf,
  NOW,
} from '../../support/fake-orders.ts'

const NODES = [aNode(1), aNode(2), aNode(3), aNode(4)]
const accountName = new Map(NODES.map(({ account, id }) => [account, String(id)]))

function world(more: Partial<StoresWorld>): StoresWorld {
  return {
    self: nodeId(1),
    now: NOW,
    graceSeconds: 100,
    stores: [],
    volumes: [],
    mounts: [],
    unreadable: [],
    nodes: NODES,
    holds: 'off',
    ...more,
  }
}

/** `o1.0 live w2 r3` for each namespace, `-o1.0` for each that may go. */
function show(more: Partial<StoresWorld>): string {
  const { config } = planStores(world(more))
  const names = (accounts: readonly string[]) =>
    accounts.map((one) => accountName.get(one as never) ?? '?').join(',')
  const kept = config.namespaces.map(
    ({ name, state, writers, readers }) => `${name} ${state} w${names(writers)} r${names(readers)}`,
  )
  return [...kept, ...config.ended.map((name) => `-${name}`)].join('; ') || 'nothing'
}

const released = (at: number) => [{ slot: 0, node: nodeId(1), at }]
const ended = (deletableAt: number) => ({ state: 'ended' as const, endedAt: NOW - 5, deletableAt })

// biome-ignore format: a table
const CASES: [why: string, world: Partial<StoresWorld>, want: string][] = [
  ['opens what a store order asks for',            { stores: [aStore(1)] },                                        'o1.0 live w2 r3'],
  ['leaves orders of other nodes alone',           { stores: [aStore(1, { slots: [aSlot(2)] })] },                 'nothing'],
  ['says nothing of anything without orders',      {},                                                             'nothing'],
  ['keeps but does not serve what is not paid',    { stores: [aStore(1, { state: 'suspended' })] },                'o1.0 suspended w r'],
  ['keeps what ended until its grace is over',     { stores: [aStore(1, ended(NOW + 1))] },                        'o1.0 suspended w r'],
  ['lets go what ended when its grace is over',    { stores: [aStore(1, ended(NOW))] },                            '-o1.0'],
  ['never lets go without a date from the ledger', { stores: [aStore(1, ended(0))] },                              'o1.0 suspended w r'],
  ['opens a slot of a volume to nobody at first',  { volumes: [aVolume(1)] },                                      'o1.0 live w r'],
  ['lets the mounting node write',                 { volumes: [aVolume(1)], mounts: [aMount(2, 1, 4)] },           'o1.0 live w4 r'],
  ['lets the newest mount write, the older read',  { volumes: [aVolume(1)], mounts: [aMount(3, 1, 2), aMount(2, 1, 4)] }, 'o1.0 live w2 r4'],
  ['lets a read-only mount only read',             { volumes: [aVolume(1)], mounts: [aMount(2, 1, 4, { readOnly: true })] }, 'o1.0 live w r4'],
  ['forgets a mount that ended',                   { volumes: [aVolume(1)], mounts: [aMount(2, 1, 4, ended(NOW))] }, 'o1.0 live w r'],
  ['ignores mounts of other volumes',              { volumes: [aVolume(1)], mounts: [aMount(2, 9, 4)] },           'o1.0 live w r'],
  ['shows mounts a slot that moved away',          { volumes: [aVolume(1, { slots: [aSlot(4), aSlot(2), aSlot(3)], releases: released(NOW - 99) })], mounts: [aMount(9, 1, 2)] }, 'o1.0 live w r2'],
  ['keeps it however long ago that was',           { volumes: [aVolume(1, { slots: [aSlot(4), aSlot(2), aSlot(3)], releases: released(1) })] }, 'o1.0 live w r'],
  ['lets it go with its volume',                   { volumes: [aVolume(1, { state: 'ended', deletableAt: NOW, slots: [aSlot(4), aSlot(2), aSlot(3)], releases: released(1) })] }, '-o1.0'],
  ['lets go a store that moved, after the grace',  { stores: [aStore(1, { slots: [aSlot(4)], releases: released(NOW - 100) })] }, '-o1.0'],
  ['keeps a store that moved, for the grace',      { stores: [aStore(1, { slots: [aSlot(4)], releases: released(NOW - 99) })] }, 'o1.0 suspended w r'],
  ['serves a slot that moved away and came back',  { volumes: [aVolume(1, { releases: released(NOW - 500) })] },   'o1.0 live w r'],
  ['does nothing before it is registered',         { self: undefined, stores: [aStore(1)] },                       'nothing'],
]

describe('planStores', () => {
  for (const [why, given, want] of CASES) it(why, () => assert.equal(show(given), want))

  it('shows every order that it cannot read as refused, and removes nothing for it', () => {
    const { state: _state, kind: _kind, mode, worm, writers, readers, ...common } = aStore(5)
    const unreadable = {
      ...common,
      state: 'ended' as const,
      deletableAt: 1,
      kind: 'unreadable' as const,
      kindNumber: 9,
      parent: 0,
      mounts: [],
      code: 'ORDER_KIND_UNSUPPORTED' as const,
      message: 'kind 9',
    }
    assert.isNotNull([mode, worm, writers, readers])
    const plan = planStores(world({ unreadable: [unreadable] }))
    assert.deepEqual(plan.config, { namespaces: [], ended: [] })
    assert.deepInclude(plan.orders[0], { state: 'refused', code: 'ORDER_KIND_UNSUPPORTED' })
  })

  const anyState = fc.constantFrom('live' as const, 'suspended' as const, 'ended' as const)
  const anyTimes = fc.record({
    state: anyState,
    deletableAt: fc.integer({ min: 0, max: 2 * NOW }),
  })
  const anyStore: fc.Arbitrary<StoreOrder> = fc
    .tuple(anyTimes, fc.integer({ min: 1, max: 4 }))
    .map(([times, node]) => aStore(1, { ...times, slots: [aSlot(node)] }))
  const anyVolume: fc.Arbitrary<VolumeOrder> = fc
    .tuple(anyTimes, fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 3, maxLength: 3 }))
    .chain(([times, nodes]) =>
      fc
        .array(
          fc.record({
            slot: fc.integer({ min: 0, max: 2 }),
            node: fc.integer({ min: 1, max: 4 }).map(nodeId),
            at: fc.integer({ min: 1, max: NOW }),
          }),
          { maxLength: 4 },
        )
        .map((releases) =>
          aVolume(1, { ...times, slots: nodes.map((node) => aSlot(node)), releases }),
        ),
    )
  const anyOrders = fc
    .array(fc.oneof(anyStore, anyVolume), { maxLength: 8 })
    .map((orders) => orders.map((order, index) => ({ ...order, id: (index + 1) as never })))

  it('lets go only what the ledger dated, and only after that date', () =>
    fc.assert(
      fc.property(anyOrders, fc.integer({ min: 1, max: 2 * NOW }), (orders, now) => {
        const stores = orders.filter((order) => order.kind === 'store')
        const volumes = orders.filter((order) => order.kind === 'volume')
        const { config } = planStores(world({ stores, volumes, now }))
        const names = config.namespaces.map(({ name }) => name)
        assert.equal(new Set([...names, ...config.ended]).size, names.length + config.ended.length)
        for (const name of config.ended) {
          const [id, slot] = name.slice(1).split('.').map(Number)
          const order = orders.find((one) => one.id === id)
          assert.isDefined(order)
          const isHeld = order?.slots[slot as number]?.node === 1
          const byOrder =
            order?.state === 'ended' && order.deletableAt > 0 && order.deletableAt <= now
          const last = order?.releases.filter((one) => one.slot === slot && one.node === 1).at(-1)
          const byAge = order?.kind === 'store' && last !== undefined && last.at + 100 <= now
          assert.isTrue(byOrder || (!isHeld && byAge))
        }
      }),
    ))

  it('lets the newest writer write a volume, and the one it replaced for a minute more', () =>
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            node: fc.integer({ min: 1, max: 4 }),
            readOnly: fc.boolean(),
            state: anyState,
          }),
          { maxLength: 6 },
        ),
        fc.integer({ min: -5, max: 120 }),
        (given, sincePlaced) => {
          const now = 10_000
          const mounts: MountOrder[] = given.map(({ node, readOnly, state }, index) => ({
            ...aMount(index + 2, 1, node, { readOnly, state, sealedKey: '0x' }),
            placedAt: now - sincePlaced,
          }))
          const { config } = planStores(world({ now, volumes: [aVolume(1)], mounts }))
          const [namespace] = config.namespaces
          assert.isFalse(namespace?.readers.some((one) => namespace.writers.includes(one)))
          const accountOf = (mount: MountOrder) => identityOf(Number(mount.slots[0]?.node)).account
          const writing = mounts.filter(({ readOnly, state }) => !readOnly && state === 'live')
          assert.deepEqual(writing.at(-1), writingMount(1, mounts))
          const isOver = sincePlaced >= 60
          const expected = writing
            .slice(isOver ? -1 : -2)
            .reverse()
            .map(accountOf)
          assert.deepEqual(namespace?.writers, [...new Set(expected)])
        },
      ),
    ))
})
