/** The kernel really wants huge pages under what was asked for, and nothing else is touched. */
import { readFileSync } from 'node:fs'
import { assert } from 'chai'
import { addressOf } from '../../../agent/adapters/kernel/buffer-address.ts'
import { hugePages } from '../../../agent/adapters/kernel/huge-pages.ts'
import { required } from '../../../agent/base/assert.ts'
import { MIB } from '../../../agent/base/units.ts'
import { keyIndex } from '../../../agent/engines/store/key-index.ts'

/** What `/proc/self/smaps` says of the mapping that holds a place in memory: its flags, two letters each. */
function flagsAt(address: number): string[] {
  let isThere = false
  for (const line of readFileSync('/proc/self/smaps', 'utf8').split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line)
    if (range) {
      isThere = address >= parseInt(`${range[1]}`, 16) && address < parseInt(`${range[2]}`, 16)
    } else if (isThere && line.startsWith('VmFlags:')) return line.slice(8).trim().split(' ')
  }
  return []
}

describe('huge pages', () => {
  const pages = hugePages()

  before(function () {
    // Other systems, other C libraries and kernels without huge pages serve with small ones.
    if (!pages || !readFileSync('/proc/self/smaps', 'utf8').includes('AnonHugePages')) this.skip()
  })

  it('are wanted under the whole of what is long, and change no byte of it', () => {
    const memory = new ArrayBuffer(64 * MIB)
    const bytes = new Uint8Array(memory)
    bytes[12_345] = 7
    required(pages, 'the calls are there').want(memory)
    assert.equal(bytes[12_345], 7)
    for (const at of [0, 32 * MIB, 64 * MIB - 1]) {
      assert.include(flagsAt(addressOf(bytes) + at), 'hg', `at ${at}`)
    }
  })

  it('are not wanted under what is short', () => {
    const bytes = new Uint8Array(512 * 1024)
    required(pages, 'the calls are there').want(bytes.buffer)
    assert.notInclude(flagsAt(addressOf(bytes)), 'hg')
  })

  it('go back to the system where a part is dropped, and only whole pages of it', () => {
    const memory = new ArrayBuffer(64 * MIB)
    const { want, drop } = required(pages, 'the calls are there')
    want(memory)
    const bytes = new Uint8Array(memory).fill(1)
    const before = process.memoryUsage.rss()
    drop(bytes.subarray(8 * MIB + 1, 56 * MIB - 1))
    assert.isBelow(process.memoryUsage.rss(), before - 40 * MIB)
    for (const at of [0, 8 * MIB, 56 * MIB - 1, 64 * MIB - 1])
      assert.equal(bytes[at], 1, `at ${at}`)
    drop(bytes.subarray(5, 9))
    assert.equal(bytes[7], 1)
  })

  it('hold an index that finds every key, whatever was dropped while it grew', () => {
    const index = keyIndex(1, pages)
    const key = Buffer.alloc(16)
    for (let at = 0; at < 300_000; at++) {
      key.writeUInt32LE(at, 0)
      index.place(index.add(key, 0, 16), 1, at, 1, 1, false)
    }
    for (let at = 0; at < 300_000; at++) {
      key.writeUInt32LE(at, 0)
      const entry = index.find(key, 0, 16)
      if (entry < 0 || index.offsetOf(entry) !== at) assert.fail(`key ${at}`)
    }
  })
})
