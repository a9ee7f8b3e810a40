/** The session: one answer to every request, whatever the file system or the kernel does. */
import { assert } from 'chai'
import fc from 'fast-check'
import { NodeError } from '../../../agent/base/errors.ts'
import { ERRNO } from '../../../agent/engines/fuse/errno.ts'
import type { FileSystem } from '../../../agent/engines/fuse/ports.ts'
import { FATTR, OP, WRITE_KILL_SUIDGID } from '../../../agent/engines/fuse/protocol.ts'
import { READ_BUFFERS_MAX } from '../../../agent/engines/fuse/reads.ts'
import { REQUESTS_MAX } from '../../../agent/engines/fuse/session.ts'
import { MemoryFileSystem } from '../../support/memory-file-system.ts'
import { connect, createFile, settle, withMethods } from './connected.ts'
import {
  createBody,
  join,
  openBody,
  readBody,
  SOUND,
  setAttributesBody,
  text,
  u32,
  u64,
  writeBody,
} from './requests.ts'

const WITHOUT_REPLY: readonly number[] = [OP.FORGET, OP.BATCH_FORGET, OP.INTERRUPT]
/** Bytes that are read of a body, where that is not all of it. */
const NEEDED_BYTES = new Map<number, number>([
  ...([OP.GETATTR, OP.OPENDIR, OP.FSYNCDIR] as const).map((opcode) => [opcode, 0] as const),
  ...([OP.READ, OP.READDIR, OP.READDIRPLUS, OP.LSEEK] as const).map(
    (opcode) => [opcode, 20] as const,
  ),
  ...([OP.RELEASE, OP.RELEASEDIR] as const).map((opcode) => [opcode, 8] as const),
  [OP.FLUSH, 0], // the model has nothing to flush
  [OP.SETATTR, 84],
  [OP.FSYNC, 12],
  [OP.LISTXATTR, 4],
  [OP.INIT, 20],
  [OP.FALLOCATE, 28],
])
const MODE_AT = 16 + 60

/** A file system whose reads wait until the test says so. */
function slowReads() {
  const memory = new MemoryFileSystem()
  const waiting: {
    resolve(bytes: number): void
    reject(caught: unknown): void
    signal?: AbortSignal | undefined
  }[] = []
  const fileSystem = withMethods(memory, {
    read: (_handle, _offset, into, signal) => {
      into.fill(0x72)
      const { promise, resolve, reject } = Promise.withResolvers<number>()
      waiting.push({ resolve, reject, signal })
      return promise
    },
  })
  return { fileSystem, memory, waiting }
}

describe('a FUSE session', () => {
  describe('with requests of any shape', () => {
    it('answers each sound one once, and gives its buffer back', () => {
      const { device } = connect(new MemoryFileSystem())
      for (const [opcode, body] of SOUND) {
        const unique = device.request(opcode, body)
        assert.equal(
          device.replies.has(unique),
          !WITHOUT_REPLY.includes(opcode),
          `opcode ${opcode}`,
        )
      }
      assert.equal(device.held.size, 0)
    })

    it('answers each one that is cut short with EINVAL, and goes on', () => {
      const { device } = connect(new MemoryFileSystem())
      for (const [opcode, body] of SOUND) {
        if (WITHOUT_REPLY.includes(opcode) || opcode === OP.IOCTL) continue
        for (let length = 0; length < (NEEDED_BYTES.get(opcode) ?? body.length); length++) {
          const { errno } = device.ask(opcode, body.subarray(0, length))
          assert.equal(errno, ERRNO.EINVAL, `opcode ${opcode}, ${length} bytes`)
        }
      }
      assert.equal(device.ask(OP.GETATTR).errno, 0)
      assert.equal(device.held.size, 0)
    })

    it('answers one whose stated length is wrong with EINVAL', () => {
      const { device, log } = connect(new MemoryFileSystem())
      assert.equal(device.ask(OP.STATFS, Buffer.alloc(0), { statedBytes: 41 }).errno, ERRNO.EINVAL)
      assert.lengthOf(log.errors, 0)
    })

    it('drops one without a whole header, because nobody can be answered', () => {
      const { device, log } = connect(new MemoryFileSystem())
      device.deliver(Buffer.alloc(39), 77)
      assert.equal(device.held.size, 0)
      assert.lengthOf(log.errors, 1)
      assert.equal(device.ask(OP.GETATTR).errno, 0)
    })

    it('says ENOSYS to what it does not know and ENOTTY to ioctl', () => {
      const { device } = connect(new MemoryFileSystem())
      for (const opcode of [0, 31, 34, 37, 40, 47, 52, 53, 4096, 0xffffffff]) {
        assert.equal(device.ask(opcode, Buffer.alloc(64)).errno, ERRNO.ENOSYS, `opcode ${opcode}`)
      }
      assert.equal(device.ask(OP.IOCTL, Buffer.alloc(32)).errno, ERRNO.ENOTTY)
    })

    it('survives any bytes', () => {
      const opcodes = Object.values(OP)
      fc.assert(
        fc.property(
          fc.array(
            fc.record({
              opcode: fc.constantFrom(...opcodes),
              body: fc.oneof(
                fc.uint8Array({ maxLength: 120 }),
                fc.constantFrom(...SOUND.map(([, body]) => body)),
              ),
              ino: fc.oneof(fc.nat(5), fc.maxSafeNat()),
            }),
            { maxLength: 40 },
          ),
          (requests) => {
            const { device } = connect(new MemoryFileSystem({ totalBytes: 2 ** 24 }))
            for (const { opcode, body, ino } of requests) {
              const unique = device.request(opcode, body, { ino })
              assert.equal(device.replies.has(unique), !WITHOUT_REPLY.includes(opcode))
            }
            assert.equal(device.held.size, 0)
            assert.equal(device.ask(OP.STATFS).errno, 0)
          },
        ),
        { numRuns: 300 },
      )
    })
  })

  describe('with names', () => {
    const refused: [name: Buffer, errno: number][] = [
      [Buffer.from(`${'x'.repeat(256)}\0`), ERRNO.ENAMETOOLONG],
      [Buffer.from('\0'), ERRNO.EINVAL],
      [Buffer.from('a/b\0'), ERRNO.EINVAL],
      [Buffer.from('..\0'), ERRNO.EINVAL],
      [Buffer.from('.\0'), ERRNO.EINVAL],
      [Buffer.from('no end'), ERRNO.EINVAL],
    ]
    for (const [name, errno] of refused) {
      it(`refuses ${JSON.stringify(name.toString('latin1')).slice(0, 24)}`, () => {
        const { device } = connect(new MemoryFileSystem())
        assert.equal(device.ask(OP.MKDIR, join(u32(0o755, 0), name)).errno, errno)
      })
    }

    it('takes the replacement character itself and names that begin with dots', () => {
      const { device } = connect(new MemoryFileSystem())
      for (const name of ['\ufffd', '...', '..a', '.b']) {
        assert.equal(device.ask(OP.MKDIR, join(u32(0o755, 0), text(name))).errno, 0)
        assert.equal(device.ask(OP.LOOKUP, text(name)).errno, 0)
      }
    })

    it('lets the kernel remember that a name is missing, unless others make names', () => {
      const exclusive = connect(new MemoryFileSystem()).device.ask(OP.LOOKUP, text('none'))
      assert.equal(exclusive.errno, 0)
      assert.equal(exclusive.body.length, 128)
      assert.equal(exclusive.body.readBigUInt64LE(0), 0n)
      assert.equal(exclusive.body.readBigUInt64LE(16), 3600n)
      const shared = connect(new MemoryFileSystem(), 'shared').device.ask(OP.LOOKUP, text('none'))
      assert.equal(shared.body.readBigUInt64LE(16), 1n)
    })
  })

  describe('with failures', () => {
    it('answers EIO to what the table does not know, logs it, and goes on', () => {
      const fileSystem = withMethods(new MemoryFileSystem(), {
        attributes: () => {
          throw new TypeError('a bug')
        },
      })
      const { device, log } = connect(fileSystem)
      assert.equal(device.ask(OP.GETATTR).errno, ERRNO.EIO)
      assert.deepInclude(log.errors[0], { operation: 'getattr', ino: 1 })
      assert.equal(device.ask(OP.STATFS).errno, 0)
    })

    it('answers the known ones without a line in the log', () => {
      const { device, log } = connect(new MemoryFileSystem())
      assert.equal(device.ask(OP.UNLINK, text('none')).errno, ERRNO.ENOENT)
      assert.lengthOf(log.errors, 0)
    })

    it('answers those that come later likewise', async () => {
      const fileSystem = withMethods(new MemoryFileSystem(), {
        space: () => Promise.reject(new NodeError('NO_MEMORY', 'x')),
      })
      const { device } = connect(fileSystem)
      const unique = device.request(OP.STATFS)
      await settle()
      assert.equal(device.reply(unique).errno, ERRNO.ENOMEM)
    })

    it('tells EIO where the kernel refuses a reply, so that nobody waits for ever', () => {
      const { device, log } = connect(new MemoryFileSystem())
      device.refusesReplies = true
      assert.equal(device.ask(OP.STATFS).errno, ERRNO.EIO)
      assert.lengthOf(log.errors, 1)
    })

    it('never writes a reply of which the encoding failed', () => {
      const fileSystem = withMethods(new MemoryFileSystem(), {
        readLink: () => 'x'.repeat(1_000_000),
        attributes: () => ({ ...new MemoryFileSystem().attributes(1), mode: -1 }),
      })
      const { device } = connect(fileSystem)
      assert.equal(device.ask(OP.GETATTR).errno, ERRNO.EIO)
    })
  })

  describe('with what the kernel knows', () => {
    it('counts each naming and forgets at the last', () => {
      const forgotten: number[] = []
      const memory = new MemoryFileSystem()
      const { device } = connect(withMethods(memory, { forget: (ino) => void forgotten.push(ino) }))
      const { ino } = createFile(device, 'x')
      device.ask(OP.LOOKUP, text('x'))
      device.ask(OP.LOOKUP, text('x'))
      device.request(OP.FORGET, u64(2), { ino })
      assert.deepEqual(forgotten, [])
      device.request(OP.BATCH_FORGET, join(u32(2, 0), u64(ino, 1), u64(1, 5)))
      assert.deepEqual(forgotten, [ino])
    })

    it('counts the entries of READDIRPLUS, those of READDIR not', () => {
      const { device, session } = connect(new MemoryFileSystem())
      device.ask(OP.MKDIR, join(u32(0o755, 0), text('d')))
      assert.equal(session.figures.inodesKnown, 1)
      device.request(OP.FORGET, u64(1), { ino: 2 })
      const handle = Number(device.ask(OP.OPENDIR, openBody()).body.readBigUInt64LE(0))
      device.ask(OP.READDIR, readBody(handle, 0, 4096))
      assert.equal(session.figures.inodesKnown, 0)
      device.ask(OP.READDIRPLUS, readBody(handle, 0, 4096))
      assert.equal(session.figures.inodesKnown, 1)
    })

    it('gives everything back when the connection ends', async () => {
      const memory = new MemoryFileSystem()
      const { device, session } = connect(memory)
      createFile(device, 'gone')
      device.ask(OP.UNLINK, text('gone'))
      createFile(device, 'kept')
      device.ask(OP.OPENDIR, openBody())
      assert.deepEqual(memory.counts, { inodes: 3, handles: 3 })
      device.disconnect()
      await session.closed
      assert.deepEqual(memory.counts, { inodes: 2, handles: 0 })
      assert.deepInclude(session.figures, { inodesKnown: 0, handlesOpen: 0 })
    })

    it('knows the parent of a directory, also after a move', () => {
      const { device } = connect(new MemoryFileSystem())
      const made = (name: string, ino = 1) =>
        Number(
          device.ask(OP.MKDIR, join(u32(0o755, 0), text(name)), { ino }).body.readBigUInt64LE(0),
        )
      const [a, b] = [made('a'), made('b')]
      const inner = made('inner', a)
      const parentOf = (ino: number): number => {
        const handle = Number(device.ask(OP.OPENDIR, openBody(), { ino }).body.readBigUInt64LE(0))
        return Number(
          device.ask(OP.READDIR, readBody(handle, 1, 64), { ino }).body.readBigUInt64LE(0),
        )
      }
      assert.equal(parentOf(inner), a)
      device.ask(OP.RENAME, join(u64(b), text('inner', 'moved')), { ino: a })
      assert.equal(parentOf(inner), b)
      assert.equal(parentOf(1), 1)
    })
  })

  describe('with directories', () => {
    for (const opcode of [OP.READDIR, OP.READDIRPLUS]) {
      it(`lists any number of names once in replies of any size (opcode ${opcode})`, () => {
        const { device } = connect(new MemoryFileSystem())
        const expected = ['.', '..']
        for (let at = 0; at < 100; at++) {
          const name = `${at}-${'n'.repeat((at * 7) % 240)}`
          expected.push(name)
          device.ask(OP.MKNOD, join(u32(0o100644, 0, 0, 0), text(name)))
        }
        for (const room of [420, 512, 4096, 65_536]) {
          const handle = Number(device.ask(OP.OPENDIR, openBody()).body.readBigUInt64LE(0))
          const seen: string[] = []
          for (let offset = 0; ; ) {
            const { body } = device.ask(opcode, readBody(handle, offset, room))
            assert.isAtMost(body.length, room)
            if (body.length === 0) break
            for (let at = 0; at < body.length; ) {
              const dirent = opcode === OP.READDIRPLUS ? at + 128 : at
              const nameBytes = body.readUInt32LE(dirent + 16)
              seen.push(body.toString('utf8', dirent + 24, dirent + 24 + nameBytes))
              offset = Number(body.readBigUInt64LE(dirent + 8))
              at = dirent + ((24 + nameBytes + 7) & ~7)
            }
          }
          assert.deepEqual(seen, expected, `room ${room}`)
        }
      })
    }
  })

  describe('with slow answers', () => {
    it('serves others meanwhile, and answers when it can', async () => {
      const { fileSystem, waiting } = slowReads()
      const { device, session } = connect(fileSystem)
      const { handle } = createFile(device, 'x')
      const unique = device.request(OP.READ, readBody(handle, 0, 4))
      assert.isFalse(device.replies.has(unique))
      assert.equal(session.figures.pending, 1)
      assert.equal(device.ask(OP.GETATTR).errno, 0)
      waiting[0]?.resolve(4)
      await settle()
      assert.equal(device.reply(unique).body.toString(), 'rrrr')
      assert.equal(session.figures.pending, 0)
    })

    it('drops what a program asked that is being killed: EINTR at once, the read aborted, its answer ignored', async () => {
      const { fileSystem, waiting } = slowReads()
      const { device } = connect(fileSystem)
      const { handle } = createFile(device, 'x')
      device.ending.add(77)
      const unique = device.request(OP.READ, readBody(handle, 0, 4), { pid: 77 })
      device.request(OP.INTERRUPT, u64(unique))
      assert.equal(device.reply(unique).errno, ERRNO.EINTR)
      assert.isTrue(waiting[0]?.signal?.aborted)
      device.request(OP.INTERRUPT, u64(unique))
      waiting[0]?.resolve(4)
      await settle()
      assert.equal(device.reply(unique).errno, ERRNO.EINTR)
    })

    it('finishes what a program asked that got a signal and lives, and drops it if it is killed afterwards', async () => {
      const { fileSystem, waiting } = slowReads()
      const { device, clock } = connect(fileSystem)
      const { handle } = createFile(device, 'x')
      const uniques = [71, 72].map((pid) => {
        const unique = device.request(OP.READ, readBody(handle, 0, 4), { pid })
        device.request(OP.INTERRUPT, u64(unique))
        return unique
      })
      await clock.advance(1000)
      for (const unique of uniques) assert.isFalse(device.replies.has(unique))
      device.ending.add(71)
      await clock.advance(1000)
      assert.equal(device.reply(uniques[0] ?? 0).errno, ERRNO.EINTR)
      waiting[1]?.resolve(4)
      await clock.advance(1000)
      assert.equal(device.reply(uniques[1] ?? 0).body.toString(), 'rrrr')
      assert.equal(clock.sleeping, 0, 'nobody is looked at any more')
    })

    it('never answers EINTR where something has or may have happened, not even to a program that is being killed', async () => {
      const asks = new Set<number>([
        ...[OP.LOOKUP, OP.GETATTR, OP.READLINK, OP.STATFS, OP.GETXATTR, OP.LISTXATTR],
        ...[OP.READ, OP.READDIR, OP.READDIRPLUS, OP.LSEEK],
      ])
      const unanswered = new Set<number>([OP.FORGET, OP.BATCH_FORGET, OP.INTERRUPT])
      for (const [opcode, body] of SOUND) {
        if (unanswered.has(opcode)) continue
        const never: FileSystem = new Proxy(new MemoryFileSystem(), {
          get: () => () => new Promise(() => {}),
        })
        const { device } = connect(never)
        device.ending.add(77)
        const unique = device.request(opcode, body, { pid: 77 })
        device.request(OP.INTERRUPT, u64(unique))
        const told = device.replies.get(unique)?.errno
        if (asks.has(opcode)) assert.equal(told, ERRNO.EINTR, `operation ${opcode} only asks`)
        else assert.notEqual(told, ERRNO.EINTR, `operation ${opcode} may have an effect`)
      }
    })

    it('does not abort a read because an earlier one was', async () => {
      const { fileSystem, waiting } = slowReads()
      const { device } = connect(fileSystem)
      const { handle } = createFile(device, 'x')
      const first = device.request(OP.READ, readBody(handle, 0, 4))
      const second = device.request(OP.READ, readBody(handle, 0, 4))
      device.ending.add(0)
      device.request(OP.INTERRUPT, u64(first))
      assert.isFalse(waiting[1]?.signal?.aborted)
      waiting[1]?.resolve(2)
      await settle()
      assert.equal(device.reply(second).body.toString(), 'rr')
    })

    it('lets changes finish though the caller left', async () => {
      const done = Promise.withResolvers<void>()
      const memory = new MemoryFileSystem()
      const { device } = connect(withMethods(memory, { unlink: () => done.promise }))
      device.ending.add(0)
      const unique = device.request(OP.UNLINK, text('x'))
      device.request(OP.INTERRUPT, u64(unique))
      assert.isFalse(device.replies.has(unique))
      done.resolve()
      await settle()
      assert.equal(device.reply(unique).errno, 0)
    })

    it('keeps the buffer of a write until the file system has taken the bytes', async () => {
      const done = Promise.withResolvers<void>()
      let seen = ''
      const memory = new MemoryFileSystem()
      const fileSystem: FileSystem = withMethods(memory, {
        write: async (_handle, _offset, bytes) => {
          await done.promise
          seen = Buffer.from(bytes).toString()
          return bytes.byteLength
        },
      })
      const { device } = connect(fileSystem)
      const { handle } = createFile(device, 'x')
      const unique = device.request(OP.WRITE, writeBody(handle, 0, Buffer.from('bytes')))
      assert.isTrue(device.held.has(unique))
      done.resolve()
      await settle()
      assert.equal(seen, 'bytes')
      assert.equal(device.reply(unique).body.readUInt32LE(0), 5)
      assert.isFalse(device.held.has(unique))
    })

    it(`reads into ${READ_BUFFERS_MAX} buffers at most and lets further reads wait their turn`, async () => {
      const { fileSystem, waiting } = slowReads()
      const { device } = connect(fileSystem)
      const { handle } = createFile(device, 'x')
      const uniques = Array.from({ length: READ_BUFFERS_MAX + 2 }, () =>
        device.request(OP.READ, readBody(handle, 0, 4)),
      )
      assert.lengthOf(waiting, READ_BUFFERS_MAX)
      device.ending.add(0)
      device.request(OP.INTERRUPT, u64(uniques.at(-2) ?? 0))
      for (const one of waiting.slice(0, 2)) one.resolve(4)
      await settle()
      assert.lengthOf(waiting, READ_BUFFERS_MAX + 1)
      for (const one of waiting) one.resolve(4)
      await settle()
      assert.equal(device.reply(uniques.at(-1) ?? 0).body.length, 4)
      assert.equal(device.reply(uniques.at(-2) ?? 0).errno, ERRNO.EINTR)
    })

    it(`leaves requests in the kernel beyond ${REQUESTS_MAX} that wait, until half are done`, async () => {
      const waiting: (() => void)[] = []
      const memory = new MemoryFileSystem()
      const { device } = connect(
        withMethods(memory, {
          space: () => new Promise((resolve) => waiting.push(() => resolve(memory.space()))),
        }),
      )
      for (let at = 0; at < REQUESTS_MAX; at++) device.request(OP.STATFS)
      assert.isTrue(device.isPaused)
      for (const answer of waiting.slice(0, REQUESTS_MAX / 2 - 1)) answer()
      await settle()
      assert.isTrue(device.isPaused)
      for (const answer of waiting) answer()
      await settle()
      assert.isFalse(device.isPaused)
      assert.equal(device.replies.size, REQUESTS_MAX + 1)
    })

    it('ends only when what is under way has ended, and answers nothing after', async () => {
      const { fileSystem, waiting } = slowReads()
      const { device, session } = connect(fileSystem)
      const { handle } = createFile(device, 'x')
      const unique = device.request(OP.READ, readBody(handle, 0, 4))
      let isClosed = false
      void session.closed.then(() => {
        isClosed = true
      })
      device.disconnect()
      await settle()
      assert.isFalse(isClosed)
      assert.isTrue(waiting[0]?.signal?.aborted)
      waiting[0]?.reject(new NodeError('IO', 'aborted'))
      await session.closed
      assert.isFalse(device.replies.has(unique))
    })
  })

  describe('with setuid and setgid', () => {
    const modeOf = (device: ReturnType<typeof connect>['device'], ino: number): number =>
      device.ask(OP.GETATTR, u32(0, 0, 0, 0), { ino }).body.readUInt32LE(MODE_AT) & 0o7777

    const cases: [
      why: string,
      before: number,
      act: 'write' | 'cut' | 'own' | 'plain write',
      after: number,
    ][] = [
      ['a write by another drops both', 0o6755, 'write', 0o755],
      ['a write by another keeps setgid of what no group executes', 0o6744, 'write', 0o2744],
      ['a write by who may keep them keeps them', 0o6755, 'plain write', 0o6755],
      ['a truncation by another drops both', 0o6755, 'cut', 0o755],
      ['a new owner drops both', 0o6755, 'own', 0o755],
    ]
    for (const [why, before, act, after] of cases) {
      it(why, () => {
        const { device } = connect(new MemoryFileSystem())
        const { ino, handle } = createFile(device, 'x')
        device.ask(OP.SETATTR, setAttributesBody(FATTR.MODE, { mode: before }), { ino })
        const flags = act === 'write' ? WRITE_KILL_SUIDGID : 0
        if (act.endsWith('write'))
          device.ask(OP.WRITE, writeBody(handle, 0, Buffer.from('x'), flags), { ino })
        if (act === 'cut')
          device.ask(OP.SETATTR, setAttributesBody(FATTR.SIZE | FATTR.KILL_SUIDGID, { size: 0 }), {
            ino,
          })
        if (act === 'own') device.ask(OP.SETATTR, setAttributesBody(FATTR.UID, { uid: 5 }), { ino })
        assert.equal(modeOf(device, ino).toString(8), after.toString(8))
      })
    }
  })

  describe('with attributes', () => {
    it('keeps times to the nanosecond on the way in and out', () => {
      const { device } = connect(new MemoryFileSystem())
      const { ino } = createFile(device, 'x')
      for (const [seconds, nanoseconds] of [
        [0n, 0],
        [-1n, 999_999_999],
        [4_294_967_296n, 1],
        [-2n, 0],
      ] as const) {
        const body = setAttributesBody(FATTR.ATIME | FATTR.MTIME, { seconds, nanoseconds })
        const reply = device.ask(OP.SETATTR, body, { ino }).body
        assert.deepEqual([reply.readBigInt64LE(40), reply.readBigInt64LE(48)], [seconds, seconds])
        assert.deepEqual(
          [reply.readUInt32LE(64), reply.readUInt32LE(68)],
          [nanoseconds, nanoseconds],
        )
      }
    })

    it('answers sizes first and values when there is room', () => {
      const { device } = connect(new MemoryFileSystem())
      device.ask(OP.SETXATTR, join(u32(5, 0), text('user.a'), Buffer.from('value')))
      const get = (room: number) => device.ask(OP.GETXATTR, join(u32(room, 0), text('user.a')))
      assert.equal(get(0).body.readUInt32LE(0), 5)
      assert.equal(get(4).errno, ERRNO.ERANGE)
      assert.equal(get(5).body.toString(), 'value')
      assert.equal(device.ask(OP.LISTXATTR, u32(0, 0)).body.readUInt32LE(0), 7)
      assert.equal(device.ask(OP.LISTXATTR, u32(7, 0)).body.toString(), 'user.a\0')
    })

    it('refuses file capabilities and ACLs, which it does not enforce', () => {
      const { device } = connect(new MemoryFileSystem())
      for (const name of ['security.capability', 'system.posix_acl_access']) {
        assert.equal(
          device.ask(OP.SETXATTR, join(u32(1, 0), text(name), Buffer.alloc(1))).errno,
          ERRNO.EOPNOTSUPP,
        )
        assert.equal(device.ask(OP.GETXATTR, join(u32(0, 0), text(name))).errno, ERRNO.EOPNOTSUPP)
      }
    })

    it('keeps pages and lists over close and open where nobody else changes the volume', () => {
      const flagsOf = (
        cache: 'exclusive' | 'frozen' | 'shared',
      ): [file: number, directory: number] => {
        const { device } = connect(new MemoryFileSystem(), cache)
        const file = device.ask(OP.CREATE, createBody('x')).body.readUInt32LE(128 + 8)
        return [file, device.ask(OP.OPENDIR, openBody()).body.readUInt32LE(8)]
      }
      const [keep, list, noFlush] = [1 << 1, 1 << 3, 1 << 5]
      assert.deepEqual(flagsOf('exclusive'), [keep | noFlush, keep | list])
      assert.deepEqual(flagsOf('frozen'), [keep | noFlush, keep | list])
      assert.deepEqual(flagsOf('shared'), [keep | noFlush, 0])
    })
  })

  it('passes on who asks, so that files have the right owner', () => {
    const { device } = connect(new MemoryFileSystem())
    const { body } = device.ask(OP.CREATE, createBody('x'), { uid: 12, gid: 34 })
    assert.deepEqual([body.readUInt32LE(40 + 68), body.readUInt32LE(40 + 72)], [12, 34])
  })

  it('refuses fallocate modes and rename flags that no port has', () => {
    const { device } = connect(new MemoryFileSystem())
    const { handle } = createFile(device, 'x')
    for (const mode of [2, 8, 18, 19, 32]) {
      const body = join(u64(handle, 0, 10), u32(mode, 0))
      assert.equal(device.ask(OP.FALLOCATE, body).errno, ERRNO.EOPNOTSUPP)
    }
    assert.equal(
      device.ask(OP.RENAME2, join(u64(1), u32(4, 0), text('x', 'y'))).errno,
      ERRNO.EINVAL,
    )
  })
})
