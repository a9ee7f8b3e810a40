/**
 * A disk in memory that loses, tears, reorders, fails and fills up, as a seed decides.
 *
 * It keeps for each file what is durable and the writes since, in order. `crash` throws the process view away: of the writes
 * not yet synced each 512-byte sector survives or not by chance, so a record may be torn and a later write may
 * outlive an earlier one; names not synced by `syncDirectory` may be lost likewise. A hook sees every operation before it
 * happens and may throw, which is how a campaign kills a program at each boundary.
 */
import { assert } from '../../agent/base/assert.ts'
import type { Disk, DiskErrorCode, DiskFile } from '../../agent/base/disk.ts'
import { NodeError } from '../../agent/base/errors.ts'
import type { Chance } from '../../agent/base/ports.ts'

/** What a device writes in one piece. */
const SECTOR_BYTES = 512

/** An operation that is about to happen. */
export interface DiskOperation {
  readonly kind: 'write' | 'sync' | 'truncate' | 'rename' | 'remove' | 'create' | 'syncDirectory'
  readonly path: string
}

/** Thrown by a hook to stand for the death of the process; never caught by production code as a disk error. */
export class Crash extends Error {
  override readonly name = 'Crash'
}

interface Inode {
  /** Content after a crash, if nothing unsynced survives. */
  durable: Uint8Array
  /** Content as the process sees it. */
  live: Uint8Array
  liveBytes: number
  /** Byte ranges written since the last sync. */
  dirty: { from: number; to: number }[]
}

/** The disk and what a test does to it. */
export interface FaultDisk extends Disk {
  /** Called before every operation that changes something; may throw {@link Crash} or a NodeError. */
  onOperation: ((operation: DiskOperation) => void) | undefined
  /** Bytes that may be written in all; `Infinity` at first. */
  capacityBytes: number
  /** Operations so far that changed something. */
  readonly operations: number
  /** Forgets what was not durable, by chance, and everything that was open. */
  crash(): void
  /** Flips one bit. */
  flipBit(path: string, byte: number, bit: number): void
  /** All files with their sizes. */
  files(): { path: string; sizeBytes: number }[]
}

/**
 * Makes a disk in memory.
 *
 * @param chance - Decides what survives a crash.
 * @returns An empty disk.
 * @example
 * const disk = faultDisk(seededChance(1))
 */
export function faultDisk(chance: Chance): FaultDisk {
  // Names as the process sees them, and as they would be found after a crash.
  let names = new Map<string, Inode>()
  let durableNames = new Map<string, Inode>()
  let directories = new Set<string>([''])
  let epoch = 0
  let operations = 0

  function before(kind: DiskOperation['kind'], path: string): void {
    operations++
    disk.onOperation?.({ kind, path })
  }

  function open(path: string, mode: 'read' | 'write' | 'create' | 'new'): DiskFile {
    const found = names.get(path)
    if (found && mode === 'new') throw diskError('DISK_EXISTS', path)
    if (!found && (mode === 'read' || mode === 'write')) throw diskError('DISK_NOT_FOUND', path)
    if (found) return handle(found, path)
    if (!directories.has(parent(path))) throw diskError('DISK_NOT_FOUND', path)
    before('create', path)
    const inode = { durable: new Uint8Array(0), live: new Uint8Array(0), liveBytes: 0, dirty: [] }
    names.set(path, inode)
    return handle(inode, path)
  }

  function handle(inode: Inode, path: string): DiskFile {
    const opened = epoch
    let closed = false
    const alive = () => {
      if (opened !== epoch) throw new Crash('this file belongs to a process that crashed')
      assert(!closed, 'a closed file is not used')
    }
    const flush = () => {
      alive()
      before('sync', path)
      inode.durable = inode.live.slice(0, inode.liveBytes)
      inode.dirty = []
    }
    return {
      get sizeBytes() {
        return inode.liveBytes
      },
      read(into, offset, at = 0, lengthBytes = into.byteLength - at) {
        alive()
        const end = Math.min(inode.liveBytes, offset + lengthBytes)
        if (end <= offset) return 0
        into.set(inode.live.subarray(offset, end), at)
        return end - offset
      },
      write(parts, offset) {
        alive()
        before('write', path)
        let at = offset
        for (const part of parts) {
          const room = disk.capacityBytes - usedBytes() + Math.max(0, inode.liveBytes - at)
          const take = Math.min(part.byteLength, Math.max(0, room))
          grow(inode, at + take)
          inode.live.set(part.subarray(0, take), at)
          if (take > 0) inode.dirty.push({ from: at, to: at + take })
          at += take
          if (take < part.byteLength) throw diskError('DISK_FULL', path)
        }
      },
      truncate(sizeBytes) {
        alive()
        before('truncate', path)
        if (sizeBytes > inode.liveBytes) grow(inode, sizeBytes)
        inode.live.fill(0, sizeBytes, inode.liveBytes)
        inode.liveBytes = sizeBytes
      },
      async sync() {
        flush()
      },
      syncNow: flush,
      close() {
        closed = true
      },
    }
  }

  function usedBytes(): number {
    let total = 0
    for (const inode of new Set(names.values())) total += inode.liveBytes
    return total
  }

  const disk: FaultDisk = {
    onOperation: undefined,
    capacityBytes: Number.POSITIVE_INFINITY,
    get operations() {
      return operations
    },
    open,
    list(directory) {
      const prefix = directory === '' ? '' : `${directory}/`
      const below = [...names.keys(), ...directories].filter(
        (path) => path !== '' && path.startsWith(prefix) && path !== directory,
      )
      return [...new Set(below.map((path) => path.slice(prefix.length).split('/')[0] ?? ''))].sort()
    },
    exists: (path) => names.has(path) || directories.has(path),
    makeDirectory(path) {
      let at = path
      while (at !== '') {
        directories.add(at)
        at = parent(at)
      }
    },
    rename(from, to) {
      before('rename', to)
      const inode = names.get(from)
      if (inode) {
        names.delete(from)
        names.set(to, inode)
        return
      }
      if (!directories.has(from)) throw diskError('DISK_NOT_FOUND', from)
      const moved = (path: string) => (path === from ? to : to + path.slice(from.length))
      const within = (path: string) => path === from || path.startsWith(`${from}/`)
      names = new Map([...names].map(([path, one]) => [within(path) ? moved(path) : path, one]))
      directories = new Set([...directories].map((path) => (within(path) ? moved(path) : path)))
    },
    remove(path) {
      if (!disk.exists(path)) return
      before('remove', path)
      const within = (one: string) => one === path || one.startsWith(`${path}/`)
      names = new Map([...names].filter(([one]) => !within(one)))
      directories = new Set([...directories].filter((one) => !within(one)))
    },
    async syncDirectory(path) {
      before('syncDirectory', path)
      const within = (one: string) => parent(one) === path || parent(parent(one)) === path
      durableNames = new Map([
        ...[...durableNames].filter(([one]) => !within(one)),
        ...[...names].filter(([one]) => within(one)),
      ])
    },
    space: () => ({
      freeBytes: Math.max(0, Math.min(2 ** 40, disk.capacityBytes) - usedBytes()),
      totalBytes: Math.min(2 ** 40, disk.capacityBytes),
    }),
    crash() {
      epoch++
      for (const inode of new Set([...names.values(), ...durableNames.values()])) {
        tear(inode, chance)
      }
      // A change of names that was not synced took effect or not: all of them or none, as a journal would have it.
      if (chance.below(2) === 0) names = new Map(durableNames)
      durableNames = new Map(names)
      for (const path of names.keys()) disk.makeDirectory(parent(path))
    },
    flipBit(path, byte, bit) {
      const inode = names.get(path)
      assert(inode && byte < inode.liveBytes, 'the byte is in the file')
      inode.live[byte] = (inode.live[byte] ?? 0) ^ (1 << bit)
      inode.durable = inode.live.slice(0, inode.liveBytes)
    },
    files: () => [...names].map(([path, inode]) => ({ path, sizeBytes: inode.liveBytes })),
  }
  return disk
}

function grow(inode: Inode, sizeBytes: number): void {
  if (sizeBytes > inode.live.byteLength) {
    const larger = new Uint8Array(Math.max(sizeBytes, inode.live.byteLength * 2, 4096))
    larger.set(inode.live.subarray(0, inode.liveBytes))
    inode.live = larger
  }
  if (sizeBytes > inode.liveBytes) inode.liveBytes = sizeBytes
}

/** What a device holds after power is lost: of unsynced sectors some are there, of an unsynced growth a part. */
function tear(inode: Inode, chance: Chance): void {
  const after = inode.durable.slice()
  const grownTo = Math.max(0, ...inode.dirty.map((range) => range.to))
  const sizeBytes =
    inode.liveBytes <= after.byteLength
      ? chance.below(2) === 0
        ? inode.liveBytes
        : after.byteLength
      : after.byteLength + chance.below(Math.min(grownTo, inode.liveBytes) - after.byteLength + 1)
  const result = new Uint8Array(Math.max(sizeBytes, 0))
  result.set(after.subarray(0, result.byteLength))
  const sectors = new Set<number>()
  for (const { from, to } of inode.dirty) {
    for (let at = from - (from % SECTOR_BYTES); at < to; at += SECTOR_BYTES) sectors.add(at)
  }
  for (const at of sectors) {
    if (chance.below(2) === 0) continue
    const end = Math.min(at + SECTOR_BYTES, result.byteLength, inode.liveBytes)
    if (end > at) result.set(inode.live.subarray(at, end), at)
  }
  inode.durable = result.slice()
  inode.live = result
  inode.liveBytes = result.byteLength
  inode.dirty = []
}

function parent(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? '' : path.slice(0, slash)
}

function diskError(code: DiskErrorCode, path: string): NodeError<DiskErrorCode> {
  return new NodeError(code, path)
}
