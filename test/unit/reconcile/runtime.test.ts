/** Controllers: woken, slowed, stopped, and kept to what they declared. */

import { assert } from 'chai'
import { AssertionError } from '../../../agent/base/assert.ts'
import { codeOf, NodeError } from '../../../agent/base/errors.ts'
import type { Log } from '../../../agent/base/ports.ts'
import { agentGraph } from '../../../agent/graph.ts'
import { RECORDS } from '../../../agent/ledger/records.ts'
import { anyController, type Controller } from '../../../agent/reconcile/controller.ts'
import { checkOwnership, runControllers } from '../../../agent/reconcile/runtime.ts'
import { memoryJournal } from '../../../agent/state/journal.ts'
import type { Kind } from '../../../agent/state/kinds.ts'
import { put, State } from '../../../agent/state/state.ts'
import { aNode, aPolicy } from '../../support/fake-orders.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

const log: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => log,
}
const turns = async () => {
  for (let i = 0; i < 20; i++) await new Promise(setImmediate)
}

async function running(...controllers: Controller<Kind, Kind>[]) {
  const state = await State.open(memoryJournal(), RECORDS)
  const clock = new VirtualClock()
  const end = new AbortController()
  const done = runControllers(controllers, { state, clock, log }, end.signal)
  await turns()
  return {
    state,
    clock,
    status: (name: string) => state.get('status.controller', name),
    async stop() {
      end.abort()
      await done
    },
  }
}

function counting(reconcile: () => void, inputs: Kind[] = [], outputs: Kind[] = []) {
  const controller = {
    name: 'counting',
    inputs,
    outputs,
    periodMs: 1000,
    runs: 0,
    async reconcile() {
      controller.runs++
      reconcile()
    },
  }
  return controller
}

/** Writes the policy, so that others may read it. */
const source = anyController({
  name: 'source',
  inputs: [],
  outputs: ['policy', 'registry.node'],
  periodMs: 3_600_000,
  reconcile: async () => undefined,
})

describe('the runtime of controllers', () => {
  it('runs a controller at once, when what it reads changes, and after its period', async () => {
    const one = counting(() => undefined, ['policy'])
    const r = await running(source, one)
    assert.equal(one.runs, 1)
    await r.state.apply([put('policy', aPolicy())])
    await turns()
    assert.equal(one.runs, 2)
    await r.state.apply([put('registry.node', aNode(1))])
    await turns()
    assert.equal(one.runs, 2)
    await r.clock.advance(1000)
    assert.equal(one.runs, 3)
    await r.stop()
  })

  it('runs a failing one again, later and later, and shows why', async () => {
    let isBroken = true
    const one = counting(() => {
      if (isBroken) throw new NodeError('DISK_FULL', 'no room')
    })
    const r = await running(one)
    assert.deepInclude(r.status('counting'), { state: 'failing', code: 'DISK_FULL' })
    await r.clock.advance(200)
    await r.clock.advance(200)
    assert.equal(one.runs, 2)
    await r.clock.advance(200)
    assert.equal(one.runs, 3)
    isBroken = false
    await r.clock.advance(800)
    assert.deepInclude(r.status('counting'), { state: 'ok', code: undefined })
    await r.stop()
  })

  it('stops one that has a bug, and leaves the others running', async () => {
    const bug = counting(() => {
      throw new AssertionError('this cannot be')
    })
    const other = { ...counting(() => undefined), name: 'other' }
    const r = await running(bug, other)
    await r.clock.advance(10_000)
    assert.equal(bug.runs, 1)
    assert.deepInclude(r.status('counting'), { state: 'stopped', code: 'BUG' })
    assert.equal(r.status('other')?.state, 'ok')
    await r.stop()
  })

  it('stops one that reads or writes what it did not declare', async () => {
    const nosy = anyController({
      name: 'nosy',
      inputs: ['registry.node'],
      outputs: [],
      periodMs: 1000,
      async reconcile(view) {
        // @ts-expect-error: reading an undeclared kind does not compile
        view.list('policy')
      },
    })
    const pushy = anyController({
      name: 'pushy',
      inputs: ['registry.node'],
      outputs: ['status.slot'],
      periodMs: 1000,
      async reconcile(view) {
        // @ts-expect-error: writing an undeclared kind does not compile
        view.put('status.repair', {})
      },
    })
    const r = await running(source, nosy, pushy)
    for (const name of ['nosy', 'pushy']) {
      assert.deepInclude(r.status(name), { state: 'stopped', code: 'BUG' })
    }
    await r.stop()
  })

  it('lets nothing of a failed run take effect', async () => {
    const half = anyController({
      name: 'half',
      inputs: [],
      outputs: ['policy'],
      periodMs: 1000,
      async reconcile(view) {
        view.put('policy', aPolicy())
        throw new NodeError('DISK_FULL', 'after the first half')
      },
    })
    const r = await running(half)
    assert.deepEqual(r.state.list('policy'), [])
    await r.stop()
  })

  it('does not start two writers of one kind, or a reader of what nobody writes', () => {
    const writer = (name: string) => ({ ...counting(() => undefined, [], ['policy']), name })
    const codeOfCheck = (...controllers: Controller<Kind, Kind>[]) => {
      try {
        checkOwnership(controllers)
        return 'fine'
      } catch (caught) {
        return codeOf(caught)
      }
    }
    assert.equal(codeOfCheck(writer('a'), writer('b')), 'STATE_TWO_WRITERS')
    assert.equal(codeOfCheck(counting(() => undefined, ['policy'])), 'STATE_UNDECLARED')
    assert.equal(
      codeOfCheck(
        writer('a'),
        counting(() => undefined, ['policy']),
      ),
      'fine',
    )
  })

  it('draws the controllers of the agent, in which every kind has one writer', () => {
    assert.match(agentGraph(), /^stores +reads .*order\.volume/m)
    assert.match(agentGraph(), /^ +writes +unit\.links$/m)
  })

  it('leaves nothing sleeping behind', async () => {
    const one = counting(() => undefined)
    const r = await running(one)
    await r.clock.advance(20_000)
    assert.equal(r.clock.sleeping, 1)
    await r.stop()
    assert.equal(r.clock.sleeping, 0)
  })
})
