/** State that survives, watchers that never fall behind, and views that keep controllers to what they declared. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from 'chai'
import { RECORDS } from '../../../agent/ledger/records.ts'
import { type Journal, memoryJournal, openJournal } from '../../../agent/state/journal.ts'
import { put, State } from '../../../agent/state/state.ts'
import { aNode, aPolicy, aStore } from '../../support/fake-orders.ts'

const signal = new AbortController().signal

for (const [name, make] of [
  ['in memory', async () => ({ journal: memoryJournal(), end: async () => undefined })],
  ['in level', levelJournal],
] as const) {
  describe(`the journal ${name}`, () => {
    it('gives back what was written, removed and written again, after it was opened anew', async () => {
      const { journal, reopen, end } = { reopen: undefined, ...(await make()) }
      await journal.write([
        { key: 'a', text: '1' },
        { key: 'b', text: '2' },
      ])
      await journal.write([
        { key: 'a', text: undefined },
        { key: 'b', text: '3' },
      ])
      const again: Journal = reopen ? await (reopen as () => Promise<Journal>)() : journal
      assert.deepEqual(await again.load(), [{ key: 'b', text: '3' }])
      await end()
    })
  })
}

async function levelJournal() {
  const directory = mkdtempSync(join(tmpdir(), 'varve-state-'))
  let journal = await openJournal(directory)
  return {
    journal,
    reopen: async () => {
      await journal.close()
      journal = await openJournal(directory)
      return journal
    },
    end: async () => {
      await journal.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

describe('State', () => {
  it('keeps what the ledger said over a restart, bigints and all, and forgets what follows from it', async () => {
    const journal = memoryJournal()
    const state = await State.open(journal, RECORDS)
    const slot = {
      namespace: 'o1.0',
      order: aStore(1).id,
      slot: 0,
      sizeBytes: 1,
      state: 'live' as const,
    }
    await state.apply([
      put('order.store', aStore(1)),
      put('registry.node', aNode(1)),
      put('policy', aPolicy()),
      put('status.slot', slot),
      put('unit.store', { name: 'store', run: true, config: { namespaces: [], ended: [] } }),
    ])
    const again = await State.open(journal, RECORDS)
    assert.deepEqual(again.list('order.store'), [aStore(1)])
    assert.deepEqual(again.list('registry.node'), [aNode(1)])
    assert.deepEqual(again.list('policy'), [aPolicy()])
    assert.deepEqual(again.list('status.slot'), [])
    assert.deepEqual(again.list('unit.store'), [])
  })

  it('lists by number, not by text', async () => {
    const state = await State.open(memoryJournal(), RECORDS)
    await state.apply([10, 9, 100].map((id) => put('order.store', aStore(id))))
    assert.deepEqual(
      state.list('order.store').map(({ id }) => Number(id)),
      [9, 10, 100],
    )
  })

  it('gives the same list until something of the kind changes', async () => {
    const state = await State.open(memoryJournal(), RECORDS)
    const node = aNode(1)
    await state.apply([put('registry.node', node), put('registry.node', aNode(2))])
    const list = state.list('registry.node')
    await state.apply([
      put('registry.node', node),
      put('registry.node', aNode(1)),
      put('policy', aPolicy()),
    ])
    assert.equal(state.list('registry.node'), list)
    await state.apply([put('registry.node', aNode(1, { stake: 9n }))])
    assert.notEqual(state.list('registry.node'), list)
    assert.equal(list[0], node)
    await state.apply([{ kind: 'registry.node', id: '1', resource: undefined }])
    assert.deepEqual(
      state.list('registry.node').map(({ id }) => Number(id)),
      [2],
    )
  })

  it('applies all changes or none', async () => {
    const journal: Journal = {
      ...memoryJournal(),
      write: async () => {
        throw new TypeError('disk full')
      },
    }
    const state = await State.open(journal, RECORDS)
    await state.apply([put('policy', aPolicy())]).catch(() => undefined)
    assert.deepEqual(state.list('policy'), [])
  })

  it('writes nothing for what did not change', async () => {
    let writes = 0
    const inner = memoryJournal()
    const journal: Journal = {
      ...inner,
      write: (changes) => {
        writes++
        return inner.write(changes)
      },
    }
    const state = await State.open(journal, RECORDS)
    await state.apply([put('policy', aPolicy())])
    await state.apply([put('policy', aPolicy())])
    assert.equal(writes, 1)
  })

  it('tells a watcher once of however many changes, and only of its kinds', async () => {
    const state = await State.open(memoryJournal(), RECORDS)
    const watch = state.watch(['policy', 'order.store'])
    for (let version = 1; version <= 50; version++) {
      await state.apply([put('policy', { ...aPolicy(), version }), put('registry.node', aNode(1))])
    }
    assert.deepEqual([...(await watch.next(signal))], ['policy'])
    const end = new AbortController()
    const waiting = watch.next(end.signal).then(
      () => 'told',
      () => 'aborted',
    )
    await state.apply([put('registry.node', { ...aNode(1), stake: 9n })])
    end.abort()
    assert.equal(await waiting, 'aborted')
    watch.close()
  })
})
