/** What a program makes of a state that another version of it wrote, or that was damaged: nothing is taken for what it is not. */
import { assert } from 'chai'
import { RECORDS } from '../../../agent/ledger/records.ts'
import type { Journal } from '../../../agent/state/journal.ts'
import { memoryJournal } from '../../../agent/state/journal.ts'
import { PERSISTED } from '../../../agent/state/kinds.ts'
import type { RecordFormats } from '../../../agent/state/records.ts'
import { put, State } from '../../../agent/state/state.ts'
import { aCursor, aMount, aNode, aPolicy, aStore, aVolume } from '../../support/fake-orders.ts'

/** The formats of a program in which one kind is kept in another version. */
const other = (version: number): RecordFormats => ({
  ...RECORDS,
  'order.volume': { ...RECORDS['order.volume'], version },
})
const CURSOR = aCursor()

async function filled(formats = RECORDS): Promise<Journal> {
  const journal = memoryJournal()
  const state = await State.open(journal, formats)
  await state.apply([
    put('ledger.cursor', CURSOR),
    put('order.store', aStore(1)),
    put('order.volume', aVolume(2)),
    put('order.mount', aMount(3, 2, 1)),
    put('registry.node', aNode(1)),
    put('policy', aPolicy()),
  ])
  return journal
}

const keysOf = async (journal: Journal) => (await journal.load()).map(({ key }) => key).sort()

describe('records of the state', () => {
  it('are believed by the same version, cursor and all', async () => {
    const state = await State.open(await filled(), RECORDS)
    assert.deepEqual(state.list('ledger.cursor'), [CURSOR])
    assert.deepEqual(state.list('order.volume'), [aVolume(2)])
    assert.deepEqual(state.aside, [])
  })

  for (const [step, written, read] of [
    ['a newer', 1, 2],
    ['an older', 2, 1],
    ['a version two newer', 1, 3],
    ['a version two older', 3, 1],
  ] as const) {
    it(`are read by ${step} version: it starts, keeps what it understands, and reads the ledger again`, async () => {
      const journal = await filled(other(written))
      const state = await State.open(journal, other(read))
      assert.deepEqual(state.list('ledger.cursor'), [], 'so that the ledger is read from the start')
      assert.deepEqual(state.list('order.volume'), [])
      assert.deepEqual(state.list('order.store'), [aStore(1)])
      assert.deepEqual(state.aside, [{ key: 'order.volume/2', why: `version ${written}` }])
      // What the ledger says again is kept in this version's words.
      await state.apply([put('order.volume', aVolume(2)), put('ledger.cursor', CURSOR)])
      const again = await State.open(journal, other(read))
      assert.deepEqual(again.list('order.volume'), [aVolume(2)])
      assert.deepEqual(again.list('ledger.cursor'), [CURSOR])
      // And the way back is the same way.
      const back = await State.open(journal, other(written))
      assert.deepEqual(back.list('ledger.cursor'), [])
      assert.deepEqual(back.list('order.store'), [aStore(1)])
    })
  }

  it('of a kind that this version does not know do not keep it from starting', async () => {
    const journal = await filled()
    await journal.write([{ key: 'order.machine/9', text: '4 {"id":9,"kind":"machine"}' }])
    const state = await State.open(journal, RECORDS)
    assert.deepEqual(state.aside, [{ key: 'order.machine/9', why: 'no kind of this program' }])
    assert.deepEqual(state.list('ledger.cursor'), [], 'the order must not vanish silently')
    await state.apply([put('ledger.cursor', CURSOR)])
    assert.include(await keysOf(journal), 'aside/order.machine/9')
    const again = await State.open(journal, RECORDS)
    assert.deepEqual(again.aside, [])
    assert.deepEqual(again.list('ledger.cursor'), [CURSOR], 'only once')
  })

  it('that are not whole are no orders', async () => {
    for (const text of [
      '1 {"id":7,"kind":"mount"}',
      '1 {',
      '1 ',
      '',
      '{"id":7}',
      '1 null',
      'x {}',
    ]) {
      const journal = await filled()
      await journal.write([{ key: 'order.mount/7', text }])
      const state = await State.open(journal, RECORDS)
      assert.deepEqual(
        state.list('order.mount').map(({ id }) => Number(id)),
        [3],
        text,
      )
      assert.deepEqual(state.list('ledger.cursor'), [], text)
      assert.lengthOf(state.aside, 1, text)
    }
  })

  it('that lie under the key of another are nobody’s', async () => {
    const journal = await filled()
    const [record] = (await journal.load()).filter(({ key }) => key === 'order.store/1')
    await journal.write([{ key: 'order.store/5', text: record?.text }])
    const state = await State.open(journal, RECORDS)
    assert.deepEqual(state.list('order.store'), [aStore(1)])
    assert.equal(state.aside[0]?.why, 'under the key of another')
  })

  it('of a state that had no versions are set aside once', async () => {
    const journal = memoryJournal()
    await journal.write([
      { key: 'policy/policy', text: '{"version":3,"values":{}}' },
      { key: 'nonsense', text: '{}' },
    ])
    const state = await State.open(journal, RECORDS)
    assert.lengthOf(state.aside, 2)
    await state.apply([put('policy', aPolicy())])
    assert.lengthOf((await State.open(journal, RECORDS)).aside, 0)
  })

  it('fail their check with any field gone, of another type, or below zero', async () => {
    const samples = {
      'ledger.cursor': CURSOR,
      'order.store': aStore(1),
      'order.volume': aVolume(2),
      'order.mount': aMount(3, 2, 1),
      'registry.node': aNode(1),
      policy: aPolicy(),
    }
    const optional = new Set(['sweptAt', 'trail', 'time'])
    for (const [kind, sample] of Object.entries(samples)) {
      const { check } = RECORDS[kind as (typeof PERSISTED)[number]]
      assert.isTrue(check(sample), kind)
      for (const [field, value] of Object.entries(sample)) {
        const { [field]: _gone, ...without } = sample as unknown as Record<string, unknown>
        if (!optional.has(field)) assert.isFalse(check(without), `${kind} without ${field}`)
        assert.isFalse(
          check({ ...sample, [field]: Symbol('none') }),
          `${kind} with another ${field}`,
        )
        if (typeof value === 'number') {
          assert.isFalse(check({ ...sample, [field]: -1 }), `${kind} with ${field} below zero`)
          assert.isFalse(check({ ...sample, [field]: 0.5 }), `${kind} with half a ${field}`)
        }
      }
    }
  })

  it('have a format for every kind that outlives the process', () => {
    assert.sameMembers(Object.keys(RECORDS), [...PERSISTED])
  })
})
