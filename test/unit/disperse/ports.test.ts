/** The engines fit together: what `files` and `chunks` ask for is what `chunks` and `disperse` are. Checked by the compiler. */
import { assert } from 'chai'
import type { PackStore } from '../../../agent/engines/chunks/index.ts'
import type { ChunkStore, CommitStore, Section } from '../../../agent/engines/files/ports.ts'
import { openWorld } from './fixture.ts'

describe('the ports of a volume', () => {
  it('are satisfied by the engines next to them', () => {
    const { chunks, dispersal } = openWorld()
    const packs: PackStore = dispersal
    const store: ChunkStore = chunks
    const commits: CommitStore = dispersal.commits
    const sections: Section[] = [chunks.section, dispersal.section]
    assert.deepEqual(
      sections.map((section) => section.name),
      ['chunks', 'packs'],
    )
    for (const port of [packs, store, commits]) assert.isObject(port)
  })
})
