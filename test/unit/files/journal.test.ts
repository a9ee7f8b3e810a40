/** The journal and the choice of a history, each by itself. */
import { assert } from 'chai'
import { codeOf } from '../../../agent/base/errors.ts'
import { encodeCommit, hashRecord, NO_HASH } from '../../../agent/engines/files/commit-format.ts'
import { followHistory } from '../../../agent/engines/files/history.ts'
import { Journal } from '../../../agent/engines/files/journal.ts'
import { type FaultDisk, faultDisk } from '../../support/fault-disk.ts'
import { plainSealer } from '../../support/memory-commit-store.ts'
import { seededChance } from '../../support/virtual-clock.ts'
import { quietLog } from '../../support/volume-world.ts'

const BASE = { id: new Uint8Array(16).fill(7), epoch: 1, sequence: 0, hash: NO_HASH }

function openJournal(disk: FaultDisk, aside: string[] = []) {
  return Journal.open(disk, quietLog(), (paths) => aside.push(...paths), 200)
}

/** Texts of all records, in order. */
function textsOf(journal: Journal): string[] {
  const texts: string[] = []
  journal.replay(0, (payload) => texts.push(Buffer.from(payload).toString()))
  return texts
}

/** Three segments of two records each. */
function filled(disk: FaultDisk): Journal {
  const { journal } = openJournal(disk)
  journal.begin(BASE, 0)
  for (let i = 0; i < 6; i++) journal.append(Buffer.from(`r${i}`), Buffer.alloc(60, `${i}`))
  assert.lengthOf(journal.paths(), 3)
  return journal
}

describe('A journal', () => {
  it('gives back its records in order, and reads data where it lies', () => {
    const disk = faultDisk(seededChance(1))
    const journal = filled(disk)
    const position = journal.append(Buffer.from('head'), Buffer.from('data'))
    const into = Buffer.alloc(4)
    journal.read(position + 4, into)
    assert.equal(into.toString(), 'data')
    const texts = textsOf(openJournal(disk).journal)
    assert.deepEqual(
      texts.map((text) => text.slice(0, 2)),
      ['r0', 'r1', 'r2', 'r3', 'r4', 'r5', 'he'],
    )
  })

  it('ends at the first gap, and keeps aside what is behind', () => {
    const disk = faultDisk(seededChance(1))
    const middle = filled(disk).paths()[1] ?? ''
    const file = disk.open(middle, 'write')
    file.truncate(file.sizeBytes - 10)
    const aside: string[] = []
    const { journal, report } = openJournal(disk, aside)
    assert.lengthOf(textsOf(journal), 3)
    assert.isTrue(report.isSuspicious)
    assert.lengthOf(aside, 2)
    assert.lengthOf(journal.paths(), 2)
  })

  it('never takes a segment of another journal for its own', () => {
    const disk = faultDisk(seededChance(1))
    const paths = filled(disk).paths()
    const other = faultDisk(seededChance(2))
    const strange = openJournal(other).journal
    strange.begin({ ...BASE, id: new Uint8Array(16).fill(8) }, 0)
    for (let i = 0; i < 6; i++) strange.append(Buffer.from(`x${i}`), Buffer.alloc(60, 'x'))
    const path = paths[2] ?? ''
    const from = other.open(path, 'read')
    const bytes = Buffer.alloc(from.sizeBytes)
    from.read(bytes, 0)
    disk.remove(path)
    disk.open(path, 'new').write([bytes], 0)
    assert.lengthOf(textsOf(openJournal(disk).journal), 4)
  })

  it('flushes once for all who wait meanwhile', async () => {
    const disk = faultDisk(seededChance(1))
    const { journal } = openJournal(disk)
    journal.begin(BASE, 0)
    await journal.sync()
    let flushes = 0
    disk.onOperation = ({ kind }) => {
      if (kind === 'sync') flushes++
    }
    journal.append(Buffer.from('a'), undefined)
    const first = journal.sync()
    journal.append(Buffer.from('b'), undefined)
    await Promise.all([first, ...Array.from({ length: 50 }, () => journal.sync())])
    assert.equal(flushes, 2)
    assert.isTrue(journal.isDurable)
    await journal.sync()
    assert.equal(flushes, 2)
  })

  it('frees only what lies wholly before a position', () => {
    const journal = filled(faultDisk(seededChance(1)))
    const paths = journal.paths()
    const boundary = Math.floor(journal.end / 2 ** 27) * 2 ** 27
    journal.drop(boundary - 2 ** 27)
    assert.deepEqual(journal.paths(), paths.slice(1))
    journal.drop(journal.end)
    assert.deepEqual(journal.paths(), paths.slice(2), 'the one being written stays')
  })

  it('leaves nothing of a record that did not fit', () => {
    const disk = faultDisk(seededChance(1))
    const { journal } = openJournal(disk)
    journal.begin(BASE, 0)
    journal.append(Buffer.from('a'), undefined)
    disk.capacityBytes = disk.files().reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) + 20
    let code: string | undefined
    try {
      journal.append(Buffer.from('b'), Buffer.alloc(50))
    } catch (caught) {
      code = codeOf(caught)
    }
    assert.equal(code, 'DISK_FULL')
    journal.append(Buffer.from('c'), undefined)
    assert.deepEqual(textsOf(openJournal(disk).journal), ['a', 'c'])
  })
})

describe('The history that is believed', () => {
  const sealer = plainSealer()

  /** A chain of empty commits. */
  function chain(previous: Uint8Array, from: number, epochs: readonly number[], mark: number) {
    const records = new Map<number, Uint8Array>()
    let hash = previous
    for (const [index, epoch] of epochs.entries()) {
      const sequence = from + index
      const plain = encodeCommit({
        ...{ sequence, previous: hash, epoch, journalId: BASE.id, cut: mark, timeMs: 0 },
        ...{ nextIno: 2, removed: [], dropped: [], inodes: Uint8Array.of(0), contents: [] },
        sections: [],
      })
      const sealed = sealer.seal(sequence, plain)
      records.set(sequence, sealed)
      hash = hashRecord(sealed)
    }
    return { records, hash }
  }

  async function follow(...all: { records: Map<number, Uint8Array> }[]): Promise<number[]> {
    const settled: number[] = []
    await followHistory(
      { sequence: 0, hash: NO_HASH, epoch: 0 },
      10,
      async (sequence) => all.flatMap(({ records }) => records.get(sequence) ?? []),
      sealer,
      (link) => settled.push(link.commit.cut),
    )
    return settled
  }

  it('is the one of the newest writer, even if the old one went on further', async () => {
    const common = chain(NO_HASH, 1, [1, 1], 0)
    const old = chain(common.hash, 3, [1, 1, 1, 1], 1)
    const next = chain(common.hash, 3, [2], 2)
    assert.deepEqual(await follow(common, old, next), [0, 0, 2])
    assert.deepEqual(await follow(next, old, common), [0, 0, 2])
  })

  it('is the longest where one writer forked itself', async () => {
    const common = chain(NO_HASH, 1, [1], 0)
    const short = chain(common.hash, 2, [1], 1)
    const long = chain(common.hash, 2, [1, 1], 2)
    assert.deepEqual(await follow(common, short, long), [0, 2, 2])
  })

  it('never goes back to an older epoch', async () => {
    const common = chain(NO_HASH, 1, [2], 0)
    assert.deepEqual(await follow(common, chain(common.hash, 2, [1], 1)), [0])
  })

  it('stays with one of many forks within its memory', async () => {
    const common = chain(NO_HASH, 1, [1], 0)
    const forks = Array.from({ length: 40 }, (_, i) => chain(common.hash, 2, [1, 1, 1], i + 1))
    const best = chain(common.hash, 2, [1, 1, 1, 2], 99)
    assert.lengthOf(await follow(common, best, ...forks.slice(0, 5)), 5)
    assert.isAtLeast((await follow(common, ...forks)).length, 4)
  })
})
