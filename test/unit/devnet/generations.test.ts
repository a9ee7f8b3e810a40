/** Which dump and journals a ledger is restored from: a table of directories. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { assert } from 'chai'
import { codeOf } from '../../../agent/base/errors.ts'
import {
  dumpPath,
  journalPath,
  readRestorePlan,
  removeOldGenerations,
} from '../../../scripts/devnet/generations.ts'
import { encodeRecord } from '../../../scripts/devnet/journal.ts'

/** Journals as `[first block, last block]`, dumps as block numbers, `bad` dumps are there but torn. */
interface Directory {
  readonly journals: readonly (readonly [number, number])[]
  readonly dumps: readonly number[]
  readonly bad?: readonly number[]
}

// biome-ignore format: a table is read line by line
const cases: [why: string, directory: Directory, from: number | string, replayed: number[][]][] = [
  ['starts at the genesis in an empty directory', { journals: [], dumps: [] }, 0, [[]]],
  ['replays everything where there is no dump', { journals: [[1, 3]], dumps: [] }, 0, [[1, 2, 3]]],
  ['takes the dump below the newest journal, however near the head', { journals: [[1, 5], [6, 7]], dumps: [5] }, 5, [[6, 7]]],
  ['takes it where nothing happened since', { journals: [[1, 5], [6, 5]], dumps: [5] }, 5, [[]]],
  ['leaves a dump alone whose journal was never begun', { journals: [[1, 5], [6, 9]], dumps: [5, 9] }, 5, [[6, 7, 8, 9]]],
  ['takes the older dump where the newer is torn', { journals: [[6, 7], [8, 9]], dumps: [5, 7], bad: [7] }, 5, [[6, 7], [8, 9]]],
  ['takes the older dump where the newer is gone', { journals: [[6, 7], [8, 9]], dumps: [5] }, 5, [[6, 7], [8, 9]]],
  ['takes the genesis where every dump is torn', { journals: [[1, 5], [6, 7]], dumps: [5], bad: [5] }, 0, [[1, 2, 3, 4, 5], [6, 7]]],
  ['refuses when a journal is missing', { journals: [[8, 20]], dumps: [5] }, 'DEVNET_JOURNAL_CORRUPT', []],
  ['refuses when a journal is missing between two', { journals: [[1, 5], [8, 9]], dumps: [5] }, 'DEVNET_JOURNAL_CORRUPT', []],
  ['refuses when every dump is torn and the first journal is gone', { journals: [[6, 20]], dumps: [5], bad: [5] }, 'DEVNET_JOURNAL_CORRUPT', []],
]

describe('devnet generations', () => {
  let root: string
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'varve-generations-'))
  })
  afterEach(() => rmSync(root, { recursive: true }))

  for (const [why, directory, from, replayed] of cases) {
    it(why, () => {
      lay(root, directory)
      try {
        const plan = readRestorePlan(root)
        assert.equal(plan.dump?.block ?? 0, from)
        const blocks = plan.segments.map(({ records }) =>
          records.flatMap((record) => (record.kind === 'block' ? [record.number] : [])),
        )
        assert.deepEqual(blocks, replayed)
      } catch (caught) {
        assert.equal(codeOf(caught), from, String(caught))
      }
    })
  }

  it('keeps two dumps and the journals that go on from them', () => {
    lay(root, {
      journals: [
        [1, 5],
        [6, 7],
        [8, 20],
        [21, 22],
      ],
      dumps: [5, 7, 20],
    })
    removeOldGenerations(root)
    assert.sameMembers(readdirSync(root), [
      ...['state-7.json.gz', 'state-20.json.gz', 'journal-8.log', 'journal-21.log'],
    ])
    assert.equal(readRestorePlan(root).dump?.block, 20)
  })

  it('keeps everything while there is one dump', () => {
    lay(root, {
      journals: [
        [1, 5],
        [6, 7],
      ],
      dumps: [5],
    })
    removeOldGenerations(root)
    assert.equal(readdirSync(root).length, 3)
  })
})

function lay(root: string, { journals, dumps, bad = [] }: Directory): void {
  for (const [first, last] of journals) {
    const records: Uint8Array[] = []
    for (let number = first; number <= last; number++) {
      records.push(encodeRecord({ kind: 'block', number, timestamp: number }))
    }
    writeFileSync(journalPath(root, first), Buffer.concat(records))
  }
  for (const block of dumps) {
    const whole = gzipSync(`{"block":${block}}`)
    writeFileSync(dumpPath(root, block), bad.includes(block) ? whole.subarray(0, -4) : whole)
  }
}
