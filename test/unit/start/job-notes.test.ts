/** What a start knows of the one before, and which figures count. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from 'chai'
import { JobNotes } from '../../../scripts/start/job-notes.ts'
import { Report } from '../../../scripts/start/report.ts'

describe('the notes of the main job', () => {
  it('are there for the next start, each stage once', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'varve-notes-'))
    try {
      const notes = new JobNotes(directory)
      assert.deepEqual(notes.now, { done: [] })
      await notes.note({ ordersBefore: 3 })
      await notes.note({ historyDir: '/h', done: 'filled' })
      await notes.note({ done: 'filled' })
      const later = new JobNotes(directory)
      assert.deepEqual(later.now, { ordersBefore: 3, historyDir: '/h', done: ['filled'] })
      assert.isTrue(later.has('filled'))
      assert.isFalse(later.has('voted'))
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})

describe('the report of the main job', () => {
  const figure = { name: 'a figure', value: 4, unit: 'seconds' } as const
  it('holds although a time was missed, and says that it is late', () => {
    const report = new Report()
    report.add({ ...figure, goal: { text: '<= 3 s', met: false, isOfTime: true } })
    assert.isTrue(report.held)
    assert.include(report.table(), 'late (<= 3 s)')
  })

  it('does not hold when anything else was missed', () => {
    const report = new Report()
    report.add({ ...figure, goal: { text: '6 of 6', met: false } })
    assert.isFalse(report.held)
    assert.include(report.table(), 'MISSED (6 of 6)')
  })
})
