/** Heartbeats: once in each period, and only while all that they claim is true; else withheld, with the reason and since when. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from 'chai'
import fc from 'fast-check'
import { writeProbe } from '../../../agent/adapters/disk/write-probe.ts'
import { codeOf, NodeError } from '../../../agent/base/errors.ts'
import { orderId } from '../../../agent/base/ids.ts'
import { RECORDS } from '../../../agent/ledger/records.ts'
import type { LedgerNode } from '../../../agent/ledger/types.ts'
import { type HeartbeatsWorld, planHeartbeats } from '../../../agent/plan/heartbeats.ts'
import { anyController, viewOf } from '../../../agent/reconcile/controller.ts'
import { type DiskProbe, heartbeatsController } from '../../../agent/reconcile/heartbeats.ts'
import { memoryJournal } from '../../../agent/state/journal.ts'
import type { SlotStatus, UnitStatus } from '../../../agent/state/kinds.ts'
import { put, State } from '../../../agent/state/state.ts'
import { aNode, aPolicy, NOW } from '../../support/fake-orders.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

const NOW_MS = 1_000_000_000

function aUnit(kind: UnitStatus['kind'], more: Partial<UnitStatus> = {}): UnitStatus {
  return {
    ...{
      name: kind,
      kind,
      state: 'running',
      pid: 1,
      configured: true,
      adopted: false,
      restarts: 0,
    },
    ...{ code: undefined, message: undefined, figures: {} },
    ...more,
  }
}

const store = (namespaces: readonly object[]) => aUnit('store', { figures: { namespaces } })
const slot = (namespace: string, state: SlotStatus['state'] = 'live'): SlotStatus => ({
  ...{ namespace, order: orderId(1), slot: 0, sizeBytes: 1, state },
})

/** A node whose heartbeat is due and that serves two slots. */
function aWorld(more: Partial<HeartbeatsWorld> = {}): HeartbeatsWorld {
  return {
    own: aNode(1, { lastHeartbeat: NOW - 9 }),
    ledger: { state: 'following', code: undefined, headTime: NOW, waitingSinceMs: undefined },
    nowMs: NOW_MS,
    policy: aPolicy(),
    slots: [slot('o1.0'), slot('o2.0')],
    units: [store([{ name: 'o1.0' }, { name: 'o2.0' }]), aUnit('links')],
    diskFailure: undefined,
    before: undefined,
    ...more,
  }
}

const waiting = (seconds: number, code: string): HeartbeatsWorld['ledger'] => ({
  ...{ state: 'waiting', code, headTime: NOW, waitingSinceMs: NOW_MS - seconds * 1000 },
})

describe('a heartbeat', () => {
  const beat = (own: LedgerNode | undefined, headTime: number | undefined) => {
    const ledger = {
      state: 'following',
      code: undefined,
      headTime,
      waitingSinceMs: undefined,
    } as const
    return planHeartbeats(aWorld({ own, ledger })).transactions.map(({ id }) => id)
  }

  it('comes once in each period of the ledger’s time', () => {
    const own = aNode(1, { lastHeartbeat: NOW })
    assert.deepEqual(beat(own, NOW + 7), [])
    assert.deepEqual(beat(own, NOW + 8), [`heartbeat/${(NOW + 8) / 8}`])
    assert.deepEqual(beat(own, NOW + 15), beat(own, NOW + 8))
    assert.notDeepEqual(beat(own, NOW + 16), beat(own, NOW + 8))
  })

  it('comes while draining, and not before or after', () => {
    assert.lengthOf(beat(aNode(1, { state: 'draining', lastHeartbeat: 1 }), NOW), 1)
    assert.lengthOf(beat(aNode(1, { state: 'exited', lastHeartbeat: 1 }), NOW), 0)
    assert.lengthOf(beat(undefined, NOW), 0)
    assert.lengthOf(beat(aNode(1), undefined), 0)
  })

  // Heartbeat 10 s, so a view is stale after 5.
  const UNTRUE: [claim: string, more: Partial<HeartbeatsWorld>, code: string, message: RegExp][] = [
    ['a fresh view', { ledger: waiting(6, 'LEDGER_FORKED') }, 'VIEW_STALE', /LEDGER_FORKED/],
    ['a store', { units: [aUnit('links')] }, 'STORE_NOT_SERVING', /store is not there/],
    [
      'a store that runs',
      { units: [aUnit('store', { state: 'backing-off', code: 'UNIT_DIED' }), aUnit('links')] },
      'STORE_NOT_SERVING',
      /backing-off \(UNIT_DIED\)/,
    ],
    [
      'links that run',
      {
        units: [store([{ name: 'o1.0' }, { name: 'o2.0' }]), aUnit('links', { state: 'starting' })],
      },
      'STORE_NOT_SERVING',
      /links is starting/,
    ],
    [
      'a namespace for each slot',
      { units: [store([{ name: 'o1.0' }]), aUnit('links')] },
      'STORE_NOT_SERVING',
      /1 slots are not served, the first is o2.0/,
    ],
    [
      'namespaces that did not fail',
      { units: [store([{ name: 'o1.0', failure: 'EIO' }, { name: 'o2.0' }]), aUnit('links')] },
      'STORE_NOT_SERVING',
      /o1.0/,
    ],
    [
      'a store that says what it has',
      { units: [aUnit('store', { figures: undefined }), aUnit('links')] },
      'STORE_NOT_SERVING',
      /2 slots/,
    ],
    ['a disk that takes writes', { diskFailure: 'ENOSPC: full' }, 'DISK_UNWRITABLE', /ENOSPC/],
  ]
  for (const [claim, more, code, message] of UNTRUE) {
    it(`claims ${claim}, and is withheld without`, () => {
      const { transactions, status } = planHeartbeats(aWorld(more))
      assert.deepEqual([...transactions], [])
      assert.equal(status.code, `HEARTBEAT_${code}`)
      assert.match(status.message ?? '', message)
      const later = planHeartbeats(aWorld({ ...more, nowMs: NOW_MS + 5, before: status }))
      assert.equal(later.status.sinceMs, NOW_MS)
      assert.equal(planHeartbeats(aWorld({ before: status })).status.sinceMs, undefined)
    })
  }

  // What a heartbeat does not claim.
  const TRUE: [claim: string, more: Partial<HeartbeatsWorld>][] = [
    ['a view that was lost a moment ago', { ledger: waiting(4, 'LEDGER_UNREACHABLE') }],
    ['a chain that makes final blocks', { ledger: waiting(600, 'LEDGER_STALLED') }],
    ['slots that are not live', { slots: [slot('o9.0', 'released'), slot('o8.0', 'suspended')] }],
    ['units that nobody ordered', { slots: [], units: [] }],
  ]
  for (const [claim, more] of TRUE) {
    it(`does not claim ${claim}`, () => {
      assert.lengthOf(planHeartbeats(aWorld(more)).transactions, 1)
    })
  }

  it('is sent for no state of the store in which a live slot is not open and well', () =>
    fc.assert(
      fc.property(
        fc.subarray(['a', 'b', 'c']),
        fc.subarray(['a', 'b', 'c']),
        fc.subarray(['a', 'b', 'c']),
        (ordered, open, failed) => {
          const namespaces = open.map((name) => ({
            name,
            ...(failed.includes(name) && { failure: 'x' }),
          }))
          const world = aWorld({
            slots: ordered.map((name) => slot(name)),
            units: [store(namespaces), aUnit('links')],
          })
          const isServed = ordered.every((name) => open.includes(name) && !failed.includes(name))
          assert.equal(planHeartbeats(world).transactions.length === 1, isServed)
        },
      ),
    ))
})

describe('the controller of heartbeats', () => {
  async function run(disk: DiskProbe, clock: VirtualClock) {
    const state = await State.open(memoryJournal(), RECORDS)
    await state.apply([
      put('registry.own', aNode(1, { lastHeartbeat: NOW - 9 })),
      put('policy', aPolicy()),
      put('ledger.status', {
        ...{ state: 'following', code: undefined, message: undefined, hint: undefined },
        ...{ waitingSinceMs: undefined, headNumber: 1, headTime: NOW, finalNumber: 1, sources: [] },
      }),
    ])
    const controller = anyController(heartbeatsController({ clock, disk }))
    const { view, changes } = viewOf(state, controller)
    const running = controller.reconcile(view, new AbortController().signal)
    await clock.advance(20_000)
    await running
    await state.apply(changes())
    const [status] = state.list('status.heartbeat')
    return { code: status?.code, sent: state.list('transaction.heartbeat').length }
  }

  it('asks the disk first, and withholds the heartbeat while that fails or hangs', async () => {
    const full = async () => {
      throw new NodeError('ENOSPC', 'no space left')
    }
    const hanging = () => new Promise<void>(() => undefined)
    const unwritable = { code: 'HEARTBEAT_DISK_UNWRITABLE', sent: 0 }
    assert.deepEqual(await run({ probe: full }, new VirtualClock()), unwritable)
    const clock = new VirtualClock()
    assert.deepEqual(await run({ probe: hanging }, clock), unwritable)
    assert.equal(clock.sleeping, 0)
    const well = { code: undefined, sent: 1 }
    assert.deepEqual(await run({ probe: async () => undefined }, clock), well)
    assert.equal(clock.sleeping, 0)
  })
})

describe('the probe of a disk', () => {
  it('writes, and leaves nothing; it fails where nothing can be written', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'vp-'))
    try {
      const probe = writeProbe(folder)
      await Promise.all([probe.probe(), probe.probe()])
      await probe.probe()
      writeFileSync(join(folder, 'file'), '')
      const failure = await writeProbe(join(folder, 'file')).probe().catch(codeOf)
      assert.equal(failure, 'ENOTDIR')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
