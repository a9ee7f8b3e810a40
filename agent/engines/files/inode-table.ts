/**
 * The fixed part of every inode, 80 bytes in pages, found by number.
 *
 * An object each would cost three times as much, and volumes of millions of files are wanted. What differs by kind
 * (extents, entries, target) is beside it in `content`.
 */
import { required } from '../../base/assert.ts'
import type { ExtentList } from './extent-list.ts'

/** Names of a directory. */
export type Directory = Map<string, number>
/** What an inode holds besides its attributes: extents, entries, or the target of a symlink. */
export type Content = ExtentList | Directory | string | undefined

/** Place of an inode in the table, valid while it exists. */
export type Slot = number

const RECORD_BYTES = 80
const PAGE_RECORDS = 1024

const AT_INO = 0
const AT_MODE = 8
const AT_LINKS = 12
const AT_UID = 16
const AT_GID = 20
const AT_DEVICE = 24
const AT_SIZE = 32
const AT_ACCESSED = 40
const AT_MODIFIED = 48
const AT_CHANGED = 56
const AT_PARENT = 64

/** All inodes of a volume. */
export class InodeTable {
  readonly #slots = new Map<number, Slot>()
  readonly #pages: DataView[] = []
  readonly #content: Content[] = []
  readonly #free: Slot[] = []
  #used = 0

  /** Number of inodes. */
  get count(): number {
    return this.#slots.size
  }

  /** Inode numbers, in order of making. */
  numbers(): IterableIterator<number> {
    return this.#slots.keys()
  }

  find(ino: number): Slot | undefined {
    return this.#slots.get(ino)
  }

  /** The slot of an inode that must exist. */
  at(ino: number): Slot {
    return required(this.#slots.get(ino), `inode ${ino} exists`)
  }

  /** Makes an inode whose fields are all zero. */
  add(ino: number): Slot {
    const slot = this.#free.pop() ?? this.#used++
    if (slot % PAGE_RECORDS === 0 && this.#pages.length * PAGE_RECORDS === slot) {
      this.#pages.push(new DataView(new ArrayBuffer(PAGE_RECORDS * RECORD_BYTES)))
    }
    const at = this.#at(slot)
    const page = this.#page(slot)
    for (let byte = 0; byte < RECORD_BYTES; byte += 8) page.setFloat64(at + byte, 0, true)
    page.setFloat64(at + AT_INO, ino, true)
    this.#content[slot] = undefined
    this.#slots.set(ino, slot)
    return slot
  }

  remove(ino: number): void {
    const slot = this.at(ino)
    this.#content[slot] = undefined
    this.#slots.delete(ino)
    this.#free.push(slot)
  }

  content(slot: Slot): Content {
    return this.#content[slot]
  }

  setContent(slot: Slot, content: Content): void {
    this.#content[slot] = content
  }

  ino(slot: Slot): number {
    return this.#page(slot).getFloat64(this.#at(slot) + AT_INO, true)
  }

  mode(slot: Slot): number {
    return this.#page(slot).getUint32(this.#at(slot) + AT_MODE, true)
  }

  setMode(slot: Slot, mode: number): void {
    this.#page(slot).setUint32(this.#at(slot) + AT_MODE, mode, true)
  }

  links(slot: Slot): number {
    return this.#page(slot).getUint32(this.#at(slot) + AT_LINKS, true)
  }

  setLinks(slot: Slot, links: number): void {
    this.#page(slot).setUint32(this.#at(slot) + AT_LINKS, links, true)
  }

  uid(slot: Slot): number {
    return this.#page(slot).getUint32(this.#at(slot) + AT_UID, true)
  }

  gid(slot: Slot): number {
    return this.#page(slot).getUint32(this.#at(slot) + AT_GID, true)
  }

  setOwner(slot: Slot, uid: number, gid: number): void {
    this.#page(slot).setUint32(this.#at(slot) + AT_UID, uid, true)
    this.#page(slot).setUint32(this.#at(slot) + AT_GID, gid, true)
  }

  device(slot: Slot): number {
    return this.#page(slot).getUint32(this.#at(slot) + AT_DEVICE, true)
  }

  setDevice(slot: Slot, device: number): void {
    this.#page(slot).setUint32(this.#at(slot) + AT_DEVICE, device, true)
  }

  size(slot: Slot): number {
    return this.#page(slot).getFloat64(this.#at(slot) + AT_SIZE, true)
  }

  setSize(slot: Slot, bytes: number): void {
    this.#page(slot).setFloat64(this.#at(slot) + AT_SIZE, bytes, true)
  }

  accessed(slot: Slot): bigint {
    return this.#page(slot).getBigInt64(this.#at(slot) + AT_ACCESSED, true)
  }

  setAccessed(slot: Slot, ns: bigint): void {
    this.#page(slot).setBigInt64(this.#at(slot) + AT_ACCESSED, ns, true)
  }

  modified(slot: Slot): bigint {
    return this.#page(slot).getBigInt64(this.#at(slot) + AT_MODIFIED, true)
  }

  setModified(slot: Slot, ns: bigint): void {
    this.#page(slot).setBigInt64(this.#at(slot) + AT_MODIFIED, ns, true)
  }

  changed(slot: Slot): bigint {
    return this.#page(slot).getBigInt64(this.#at(slot) + AT_CHANGED, true)
  }

  setChanged(slot: Slot, ns: bigint): void {
    this.#page(slot).setBigInt64(this.#at(slot) + AT_CHANGED, ns, true)
  }

  /** The directory that a directory is in; 0 for all else. */
  parent(slot: Slot): number {
    return this.#page(slot).getFloat64(this.#at(slot) + AT_PARENT, true)
  }

  setParent(slot: Slot, ino: number): void {
    this.#page(slot).setFloat64(this.#at(slot) + AT_PARENT, ino, true)
  }

  #page(slot: Slot): DataView {
    return required(this.#pages[Math.floor(slot / PAGE_RECORDS)], 'a slot has a page')
  }

  #at(slot: Slot): number {
    return (slot % PAGE_RECORDS) * RECORD_BYTES
  }
}
