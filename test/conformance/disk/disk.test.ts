/** What every disk must do, run on the real file system and on the one in memory. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from 'chai'
import { nodeDisk } from '../../../agent/adapters/disk/node-disk.ts'
import type { Disk } from '../../../agent/base/disk.ts'
import { codeOf } from '../../../agent/base/errors.ts'
import { faultDisk } from '../../support/fault-disk.ts'
import { seededChance } from '../../support/seeded-chance.ts'

const makers: [name: string, make: () => { disk: Disk; remove: () => void }][] = [
  [
    'node-disk',
    () => {
      const root = mkdtempSync(join(tmpdir(), 'varve-disk-'))
      return { disk: nodeDisk(root), remove: () => rmSync(root, { recursive: true }) }
    },
  ],
  ['fault-disk', () => ({ disk: faultDisk(seededChance(1)), remove: () => undefined })],
]

for (const [name, make] of makers) {
  describe(`disk port: ${name}`, () => {
    let disk: Disk
    let remove: () => void
    beforeEach(() => {
      const made = make()
      disk = made.disk
      remove = made.remove
    })
    afterEach(() => remove())

    const text = (value: string) => Buffer.from(value)
    function content(path: string): string {
      const file = disk.open(path, 'read')
      const into = Buffer.alloc(file.sizeBytes)
      file.read(into, 0)
      file.close()
      return into.toString()
    }
    function codeIn(act: () => unknown): string | undefined {
      try {
        act()
      } catch (caught) {
        return codeOf(caught)
      }
      return undefined
    }

    it('reads back what was written, part after part', () => {
      const file = disk.open('a', 'new')
      file.write([text('he'), text(''), text('llo')], 0)
      file.write([text('!')], 5)
      assert.equal(file.sizeBytes, 6)
      assert.equal(content('a'), 'hello!')
      file.close()
    })

    it('writes many parts at once', () => {
      const file = disk.open('a', 'new')
      file.write(
        Array.from({ length: 3000 }, (_, at) => text(String(at % 10))),
        0,
      )
      assert.equal(file.sizeBytes, 3000)
      assert.equal(content('a').slice(1990, 2001), '01234567890')
      file.close()
    })

    it('fills a hole with zeros', () => {
      const file = disk.open('a', 'new')
      file.write([text('x')], 3)
      assert.equal(content('a'), '\0\0\0x')
      file.close()
    })

    it('reads less only at the end', () => {
      const file = disk.open('a', 'new')
      file.write([text('abc')], 0)
      const into = Buffer.alloc(8)
      assert.equal(file.read(into, 1), 2)
      assert.equal(file.read(into, 3), 0)
      assert.equal(file.read(into, 9), 0)
      file.close()
    })

    it('reads into the middle of a buffer and touches nothing around it', () => {
      const file = disk.open('a', 'new')
      file.write([text('abcdef')], 0)
      const whole = Buffer.alloc(12, '.')
      const into = whole.subarray(2, 10)
      assert.equal(file.read(into, 1, 3, 4), 4)
      assert.equal(whole.toString(), '.....bcde...')
      assert.equal(file.read(into, 4, 6), 2)
      assert.equal(whole.toString(), '.....bcdef..')
      assert.equal(file.read(into, 0, 0, 0), 0)
      file.close()
    })

    it('reads no file that is closed', () => {
      const file = disk.open('a', 'new')
      file.write([text('abc')], 0)
      file.close()
      // Takes the number that became free.
      const other = disk.open('b', 'new')
      other.write([text('xyz')], 0)
      assert.equal(
        codeIn(() => file.read(Buffer.alloc(3), 0)),
        'BUG',
      )
      other.close()
    })

    it('cuts and extends', () => {
      const file = disk.open('a', 'new')
      file.write([text('abcdef')], 0)
      file.truncate(2)
      file.truncate(4)
      assert.equal(content('a'), 'ab\0\0')
      assert.equal(file.sizeBytes, 4)
      file.close()
    })

    it('tells missing from present by codes', () => {
      assert.equal(
        codeIn(() => disk.open('a', 'read')),
        'DISK_NOT_FOUND',
      )
      assert.equal(
        codeIn(() => disk.open('a', 'write')),
        'DISK_NOT_FOUND',
      )
      disk.open('a', 'new').close()
      assert.equal(
        codeIn(() => disk.open('a', 'new')),
        'DISK_EXISTS',
      )
      assert.equal(
        codeIn(() => disk.open('no/such/directory', 'new')),
        'DISK_NOT_FOUND',
      )
    })

    it('opens what is there without emptying it', () => {
      const file = disk.open('a', 'create')
      file.write([text('kept')], 0)
      file.close()
      disk.open('a', 'create').close()
      disk.open('a', 'write').close()
      assert.equal(content('a'), 'kept')
    })

    it('lists names in order, files and directories, and nothing of a missing one', () => {
      disk.makeDirectory('d/e')
      disk.open('d/b', 'new').close()
      disk.open('d/a', 'new').close()
      assert.deepEqual(disk.list('d'), ['a', 'b', 'e'])
      assert.deepEqual(disk.list('missing'), [])
      assert.isTrue(disk.exists('d/e'))
      assert.isFalse(disk.exists('d/f'))
    })

    it('renames over what is there, directories too', () => {
      disk.makeDirectory('d')
      const file = disk.open('d/a', 'new')
      file.write([text('new')], 0)
      disk.open('d/b', 'new').close()
      disk.rename('d/a', 'd/b')
      assert.equal(content('d/b'), 'new')
      disk.rename('d', 'f')
      assert.equal(content('f/b'), 'new')
      assert.isFalse(disk.exists('d'))
      file.close()
      assert.equal(
        codeIn(() => disk.rename('gone', 'x')),
        'DISK_NOT_FOUND',
      )
    })

    it('removes files and trees, and nothing twice', () => {
      disk.makeDirectory('d/e')
      disk.open('d/e/a', 'new').close()
      disk.remove('d')
      assert.isFalse(disk.exists('d/e/a'))
      assert.isFalse(disk.exists('d'))
      disk.remove('d')
    })

    it('makes files and names durable when asked', async () => {
      disk.makeDirectory('d')
      const file = disk.open('d/a', 'new')
      file.write([text('x')], 0)
      await file.sync()
      file.syncNow()
      await disk.syncDirectory('d')
      file.close()
      assert.equal(content('d/a'), 'x')
    })

    it('tells its room', () => {
      const { freeBytes, totalBytes } = disk.space()
      assert.isAbove(freeBytes, 0)
      assert.isAtLeast(totalBytes, freeBytes)
    })
  })
}

describe('fault-disk', () => {
  it('keeps what was synced and only a part of what was not', async () => {
    const outcomes = new Set<string>()
    for (let seed = 0; seed < 40; seed++) {
      const disk = faultDisk(seededChance(seed))
      const file = disk.open('a', 'new')
      file.write([Buffer.alloc(1024, 'A')], 0)
      await file.sync()
      await disk.syncDirectory('')
      file.write([Buffer.alloc(1024, 'B')], 1024)
      disk.crash()
      const after = disk.open('a', 'read')
      const bytes = Buffer.alloc(after.sizeBytes)
      after.read(bytes, 0)
      assert.isTrue(
        bytes.subarray(0, 1024).every((byte) => byte === 65),
        'synced bytes stay',
      )
      outcomes.add(
        bytes
          .subarray(1024)
          .toString('latin1')
          .replace(/(.)\1*/g, '$1'),
      )
    }
    assert.isAbove(outcomes.size, 2, 'crashes differ: nothing, all, or torn')
  })

  it('fills up and says so', () => {
    const disk = faultDisk(seededChance(1))
    disk.capacityBytes = 10
    const file = disk.open('a', 'new')
    assert.throws(() => file.write([Buffer.alloc(11)], 0), /a/)
    assert.equal(file.sizeBytes, 10)
  })
})
