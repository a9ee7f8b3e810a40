/** The kernel really wants huge pages under what was asked for, and nothing else is touched. */
import { readFileSync } from 'node:fs'
import { assert } from 'chai'
import { addressOf } from '../../../agent/adapters/kernel/buffer-address.ts'
import { hugePages } from '../../../agent/adapters/kernel/huge-pages.ts'
import { required } from '../../../agent/base/assert.ts'
import { MIB } from '../../../agent/base/units.ts'
import { keyIndex } from '../../../agent/engines/log/key-index.ts'

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
  const advise = hugePages()

  before(function () {
    // Other systems, other C libraries and kernels without huge pages serve with small ones.
    if (!advise || !readFileSync('/proc/self/smaps', 'utf8').includes('AnonHugePages')) this.skip()
  })

  it('are wanted under the whole of what is long, and change no byte of it', () => {
    const memory = new ArrayBuffer(64 * MIB)
    const bytes = new Uint8Array(memory)
    bytes[12_345] = 7
    required(advise, 'the call is there')(memory)
    assert.equal(bytes[12_345], 7)
    for (const at of [0, 32 * MIB, 64 * MIB - 1]) {
      assert.include(flagsAt(addressOf(bytes) + at), 'hg', `at ${at}`)
    }
  })

  it('are not wanted under what is short', () => {
    const bytes = new Uint8Array(512 * 1024)
    required(advise, 'the call is there')(bytes.buffer)
    assert.notInclude(flagsAt(addressOf(bytes)), 'hg')
  })

  it('are wanted by an index for all it reads', () => {
    const asked: number[] = []
    const index = keyIndex(1, (memory) => asked.push(memory.byteLength))
    const key = Buffer.alloc(16)
    for (let at = 0; at < 300_000; at++) {
      key.writeUInt32LE(at, 0)
      index.place(index.add(key, 0, 16), 1, at, 1, 1, false)
    }
    // What was outgrown was asked for, too.
    assert.isAtLeast(
      asked.reduce((sum, one) => sum + one, 0),
      index.memoryBytes,
    )
  })
})
