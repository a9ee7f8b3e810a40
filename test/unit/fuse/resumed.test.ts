/** A session that goes on where the process before it died: what was done is not done again, what was not done is done. */
import { assert } from 'chai'
import { ERRNO } from '../../../agent/engines/fuse/errno.ts'
import type { LastChange } from '../../../agent/engines/fuse/ports.ts'
import { OP } from '../../../agent/engines/fuse/protocol.ts'
import { FuseSession } from '../../../agent/engines/fuse/session.ts'
import { FakeFuseDevice } from '../../support/fake-fuse-device.ts'
import { MemoryFileSystem } from '../../support/memory-file-system.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'
import { ErrorLog } from './connected.ts'
import { createBody, initBody, join, readBody, SOUND, text, u32, u64 } from './requests.ts'

/** The note in memory. */
class Note implements LastChange {
  unique = 0
  position = 0
  note(unique: number, position: number): void {
    this.unique = unique
    this.position = position
  }
}

/** What two processes after one another share: the files, the note, the numbers of requests. */
class World {
  readonly memory = new MemoryFileSystem()
  readonly lastChange = new Note()

  serve(resumed?: { isLastChangeDone: boolean }): FakeFuseDevice {
    const device = new FakeFuseDevice()
    const session = new FuseSession({
      ...{ fileSystem: this.memory, device, cache: 'exclusive', lastChange: this.lastChange },
      ...{ clock: new VirtualClock(), log: new ErrorLog() },
      ...(resumed && { resumed }),
    })
    device.start(session)
    if (resumed) session.resend()
    else device.ask(OP.INIT, initBody())
    return device
  }
}

const names = (memory: MemoryFileSystem): string[] =>
  memory.readDirectory(memory.openDirectory(1), 0, 100).map(({ name }) => name)

type Change = readonly [what: string, opcode: number, body: Buffer]
/** Each would fail, or do something else, the second time. In the root are the file `a` (inode 2), `b`, and the directory `d`. */
const CHANGES: readonly Change[] = [
  ['mknod', OP.MKNOD, join(u32(0o100644, 0, 0o22, 0), text('new'))],
  ['mkdir', OP.MKDIR, join(u32(0o755, 0o22), text('new'))],
  ['symlink', OP.SYMLINK, text('new', 'target')],
  ['link', OP.LINK, join(u64(2), text('new'))],
  ['create', OP.CREATE, createBody('new')],
  ['unlink', OP.UNLINK, text('a')],
  ['rmdir', OP.RMDIR, text('d')],
  ['rename', OP.RENAME, join(u64(1), text('a', 'new'))],
  ['rename over another', OP.RENAME2, join(u64(1), u32(0, 0), text('a', 'b'))],
  ['exchange', OP.RENAME2, join(u64(1), u32(2, 0), text('a', 'b'))],
  ['setxattr that must be new', OP.SETXATTR, join(u32(2, 1), text('user.x'), Buffer.from('ab'))],
  ['removexattr', OP.REMOVEXATTR, text('user.there')],
]

function worldWithFiles(): World {
  const world = new World()
  const caller = { uid: 0, gid: 0, pid: 0 }
  world.memory.create(1, 'a', 0o644, 2, caller)
  world.memory.create(1, 'b', 0o644, 2, caller)
  world.memory.makeDirectory(1, 'd', 0o755, caller)
  world.memory.setExtended(1, 'user.there', Buffer.from('x'), 'any')
  return world
}

describe('a session that goes on for another', () => {
  for (const [what, opcode, body] of CHANGES) {
    it(`answers a ${what} that was done, and does not do it again`, () => {
      const world = worldWithFiles()
      const first = world.serve()
      const unique = first.request(opcode, body)
      const answered = first.reply(unique)
      assert.equal(answered.errno, 0)
      const after = names(world.memory)
      assert.equal(world.lastChange.unique, unique)

      const second = world.serve({ isLastChangeDone: true })
      assert.deepEqual(second.notifications, [7])
      const again = second.ask(opcode, body, { again: unique })
      assert.equal(again.errno, 0)
      assert.equal(again.body.length, answered.body.length)
      // The inode that is named, where one is.
      assert.isTrue(again.body.subarray(0, 8).equals(answered.body.subarray(0, 8)))
      assert.deepEqual(names(world.memory), after)
    })

    it(`does a ${what} that was noted and not done`, () => {
      const world = worldWithFiles()
      const before = names(world.memory)
      const unique = 100
      world.lastChange.note(unique, 0)
      const second = world.serve({ isLastChangeDone: false })
      assert.equal(second.ask(opcode, body, { again: unique }).errno, 0)
      const isOfNames = opcode !== OP.SETXATTR && opcode !== OP.REMOVEXATTR
      const isSwap = what === 'exchange'
      if (isOfNames && !isSwap) assert.notDeepEqual(names(world.memory), before)
    })

    it(`does a ${what} that is sent again while another was the last that was done`, () => {
      const world = worldWithFiles()
      world.lastChange.note(98, 0)
      const second = world.serve({ isLastChangeDone: true })
      assert.equal(second.ask(opcode, body, { again: 100 }).errno, 0)
      assert.equal(world.lastChange.unique, 100)
    })
  }

  it('notes a change before it is done, and nothing that can be done twice', () => {
    const noted = new Set<number>(CHANGES.map(([, opcode]) => opcode))
    for (const [opcode, body] of SOUND) {
      const world = worldWithFiles()
      const device = world.serve()
      world.lastChange.note(0, 0)
      const unique = device.request(opcode, body)
      assert.equal(world.lastChange.unique, noted.has(opcode) ? unique : 0, `operation ${opcode}`)
    }
  })

  it('takes what the kernel gives back of things that it was told by another', () => {
    const world = worldWithFiles()
    const device = world.serve({ isLastChangeDone: false })
    device.request(OP.FORGET, u64(5), { ino: 2 })
    device.request(OP.BATCH_FORGET, join(u32(2, 0), u64(3, 1), u64(77, 9)))
    assert.equal(device.ask(OP.GETATTR, u32(0, 0, 0, 0)).errno, 0)
  })

  it('answers reads and interrupts of requests that are sent again', () => {
    const world = worldWithFiles()
    const handle = world.memory.open(2, 2)
    world.memory.write(handle, 0, Buffer.from('kept'))
    const device = world.serve({ isLastChangeDone: false })
    const read = device.ask(OP.READ, readBody(handle, 0, 10), { again: 50 })
    assert.equal(read.body.toString(), 'kept')
    assert.equal(device.ask(OP.LOOKUP, text('none'), { again: 52 }).errno, 0)
    assert.equal(device.ask(OP.UNLINK, text('none'), { again: 54 }).errno, ERRNO.ENOENT)
    device.request(OP.INTERRUPT, u64((1n << 63n) | 50n))
  })
})
