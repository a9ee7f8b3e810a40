/** The first exchange: what is taken of what the kernel offers. */
import { assert } from 'chai'
import { codeOf } from '../../../agent/base/errors.ts'
import { ERRNO } from '../../../agent/engines/fuse/errno.ts'
import type { CachePolicy } from '../../../agent/engines/fuse/init.ts'
import { INIT, OP } from '../../../agent/engines/fuse/protocol.ts'
import { FuseSession } from '../../../agent/engines/fuse/session.ts'
import { FakeFuseDevice } from '../../support/fake-fuse-device.ts'
import { MemoryFileSystem } from '../../support/memory-file-system.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'
import { ErrorLog } from './connected.ts'
import { initBody, u32 } from './requests.ts'

function negotiate(body: Buffer, cache: CachePolicy = 'exclusive') {
  const device = new FakeFuseDevice()
  const fileSystem = new MemoryFileSystem()
  const clock = new VirtualClock()
  const session = new FuseSession({ fileSystem, device, cache, clock, log: new ErrorLog() })
  device.start(session)
  const reply = device.ask(OP.INIT, body)
  const has = (bit: number): boolean => {
    const word = reply.body.readUInt32LE(bit < 32 ? 12 : 32)
    return ((word >>> (bit % 32)) & 1) === 1
  }
  return { device, session, reply, has }
}

describe('the first exchange', () => {
  it('agrees on the newest version that both know, and on sizes', async () => {
    for (const [offered, taken] of [
      [31, 31],
      [38, 38],
      [45, 45],
      [60, 45],
    ] as const) {
      const { reply, session } = negotiate(initBody(7, offered))
      assert.equal(reply.errno, 0)
      assert.equal(reply.body.length, 64)
      assert.deepEqual([reply.body.readUInt32LE(0), reply.body.readUInt32LE(4)], [7, taken])
      assert.equal(reply.body.readUInt32LE(20), 2 ** 20, 'max_write')
      assert.equal(reply.body.readUInt16LE(28), 256, 'max_pages')
      await session.ready
    }
  })

  it('takes what makes it fast and right, and nothing that could lose a write', () => {
    const { has } = negotiate(initBody())
    for (const bit of Object.values(INIT))
      assert.equal(has(bit), bit !== INIT.AUTO_INVAL_DATA, `bit ${bit}`)
    const never = {
      POSIX_LOCKS: 1,
      EXPORT: 4,
      FLOCK: 10,
      WRITEBACK: 16,
      KILLPRIV_V1: 19,
      POSIX_ACL: 20,
      PASSTHROUGH: 37,
    }
    for (const [name, bit] of Object.entries(never)) assert.isFalse(has(bit), name)
  })

  it('takes nothing that was not offered', () => {
    const { reply } = negotiate(initBody(7, 31, 1 << INIT.BIG_WRITES))
    assert.equal(reply.body.readUInt32LE(12), 1 << INIT.BIG_WRITES)
    assert.equal(reply.body.readUInt32LE(32), 0)
  })

  it('of a kernel without the second word of flags reads only the first', () => {
    const { reply } = negotiate(u32(7, 33, 131_072, 0x3fffffff))
    assert.equal(reply.errno, 0)
    assert.equal(reply.body.readUInt32LE(32), 0)
  })

  it('has the kernel check for changes only where another may make them', () => {
    assert.isTrue(negotiate(initBody(), 'shared').has(INIT.AUTO_INVAL_DATA))
    assert.isFalse(negotiate(initBody(), 'frozen').has(INIT.AUTO_INVAL_DATA))
  })

  it('names its version to a kernel of a newer major version and waits to be asked again', async () => {
    const { device, reply, session } = negotiate(initBody(8, 0))
    assert.deepEqual([reply.errno, reply.body.readUInt32LE(0)], [0, 7])
    let isReady = false
    void session.ready.then(() => {
      isReady = true
    })
    await Promise.resolve()
    assert.isFalse(isReady)
    device.ask(OP.INIT, initBody(7, 45))
    await session.ready
  })

  it('refuses a kernel that is too old, and says so to who mounts', async () => {
    for (const body of [initBody(7, 30), initBody(6, 99)]) {
      const { reply, session } = negotiate(body)
      assert.equal(reply.errno, ERRNO.EPROTO)
      assert.equal(await session.ready.catch(codeOf), 'FUSE_VERSION')
    }
  })
})
