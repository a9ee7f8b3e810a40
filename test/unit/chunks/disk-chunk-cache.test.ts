/** The cache on disk: forgets at will, never fails, and stays within its limit. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from 'chai'
import { nodeDisk } from '../../../agent/adapters/disk/node-disk.ts'
import { bytesEqual } from '../../../agent/base/bytes.ts'
import type { Disk } from '../../../agent/base/disk.ts'
import { MIB } from '../../../agent/base/units.ts'
import { DiskChunkCache } from '../../../agent/engines/chunks/index.ts'
import { type FaultDisk, faultDisk } from '../../support/fault-disk.ts'
import { seededChance } from '../../support/virtual-clock.ts'
import { noise } from '../disperse/fixture.ts'

const directories: string[] = []
const disks: [string, () => Disk][] = [
  ['in memory', () => faultDisk(seededChance(1))],
  [
    'of this machine',
    () => {
      const directory = mkdtempSync(join(tmpdir(), 'varve-cache-'))
      directories.push(directory)
      return nodeDisk(directory)
    },
  ],
]

describe('the chunk cache', () => {
  after(() => {
    for (const directory of directories) rmSync(directory, { recursive: true, force: true })
  })

  it('gives way, oldest first, where the disk gets full, and to who asks', () => {
    const disk = faultDisk(seededChance(1))
    const cache = new DiskChunkCache(disk, 'cache', 16 * MIB)
    for (let n = 0; n < 8; n++) cache.put(idOf(n), noise(MIB / 2, n))
    const held = cache.sizeBytes
    const freed = cache.yieldSpace()
    assert.isAbove(freed, 0)
    assert.equal(cache.sizeBytes, held - freed)
    assert.isUndefined(cache.get(idOf(0)))
    assert.isDefined(cache.get(idOf(7)))
    disk.capacityBytes = 512 * MIB
    for (let n = 8; n < 20; n++) cache.put(idOf(n), noise(MIB / 2, n))
    assert.isAtMost(cache.sizeBytes, MIB)
    while (cache.yieldSpace() > 0);
    assert.equal(cache.sizeBytes, 0)
  })

  for (const [where, newDisk] of disks) {
    it(`gives back what was put, also after a restart, on a disk ${where}`, () => {
      const disk = newDisk()
      const first = new DiskChunkCache(disk, 'cache', 16 * MIB)
      for (let n = 0; n < 50; n++) first.put(idOf(n), noise(1000 + n, n))
      assertHolds(first, 50)
      first.close()
      assertHolds(new DiskChunkCache(disk, 'cache', 16 * MIB), 50)
    })

    it(`stays within its limit by dropping the oldest, on a disk ${where}`, () => {
      const cache = new DiskChunkCache(newDisk(), 'cache', 4 * MIB)
      for (let n = 0; n < 200; n++) {
        cache.put(idOf(n), noise(60_000, n))
        assert.isAtMost(cache.sizeBytes, 4 * MIB)
      }
      assert.isUndefined(cache.get(idOf(0)))
      assert.isDefined(cache.get(idOf(199)))
      assert.isAbove(cache.sizeBytes, 3 * MIB)
    })

    it(`forgets everything when told, and goes on, on a disk ${where}`, () => {
      const disk = newDisk()
      const cache = new DiskChunkCache(disk, 'cache', 16 * MIB)
      cache.put(idOf(1), noise(100, 1))
      cache.clear()
      assert.isUndefined(cache.get(idOf(1)))
      assert.deepEqual(disk.list('cache'), [])
      cache.put(idOf(1), noise(100, 1))
      assert.isDefined(cache.get(idOf(1)))
    })

    it(`goes on when its directory is removed under it, on a disk ${where}`, () => {
      const disk = newDisk()
      const cache = new DiskChunkCache(disk, 'cache', 16 * MIB)
      cache.put(idOf(1), noise(100, 1))
      disk.remove('cache')
      cache.get(idOf(1))
      cache.put(idOf(2), noise(100, 2))
      cache.clear()
      cache.put(idOf(3), noise(100, 3))
      assert.ok(bytesEqual(cache.get(idOf(3))!, noise(100, 3)))
    })
  }

  it('never throws and never takes more when the disk is full', () => {
    const disk: FaultDisk = faultDisk(seededChance(2))
    disk.capacityBytes = 10_000
    const cache = new DiskChunkCache(disk, 'cache', 16 * MIB)
    for (let n = 0; n < 50; n++) cache.put(idOf(n), noise(1000, n))
    for (let n = 0; n < 50; n++) {
      const found = cache.get(idOf(n))
      if (found !== undefined) assert.ok(bytesEqual(found, noise(1000, n)))
    }
  })

  it('starts with whatever a crash left, and serves whole entries only', () => {
    for (let seed = 0; seed < 20; seed++) {
      const disk = faultDisk(seededChance(seed))
      const cache = new DiskChunkCache(disk, 'cache', 16 * MIB)
      for (let n = 0; n < 20; n++) cache.put(idOf(n), noise(1000, n))
      disk.crash()
      const again = new DiskChunkCache(disk, 'cache', 16 * MIB)
      for (let n = 0; n < 20; n++) {
        const found = again.get(idOf(n))
        // Content may be torn: whoever reads verifies. Lengths are what the header says.
        if (found !== undefined) assert.equal(found.byteLength, 1000)
      }
      again.put(idOf(100), noise(500, 100))
      assert.ok(bytesEqual(again.get(idOf(100))!, noise(500, 100)))
    }
  })

  it('keeps nothing where the limit is nothing', () => {
    const cache = new DiskChunkCache(faultDisk(seededChance(3)), 'cache', 0)
    cache.put(idOf(1), noise(100, 1))
    assert.isUndefined(cache.get(idOf(1)))
    assert.equal(cache.sizeBytes, 0)
  })
})

function assertHolds(cache: DiskChunkCache, count: number): void {
  for (let n = 0; n < count; n++) assert.ok(bytesEqual(cache.get(idOf(n))!, noise(1000 + n, n)))
}

function idOf(n: number): Uint8Array {
  return noise(16, 1000 + n)
}
