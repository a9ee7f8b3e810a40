/**
 * What every `FileSystem` must do, whatever it keeps its bytes in: POSIX as far as the kernel leaves it to the file system.
 *
 * Run on the model in memory and on the real one. What the kernel itself takes care of (permissions, locks, path walks, `O_APPEND`)
 * is not here but in the tests on a real mount.
 */
import { assert } from 'chai'
import fc from 'fast-check'
import { codeOf } from '../../agent/base/errors.ts'
import type { Attributes, FileSystem, Handle, Ino, Reply } from '../../agent/engines/fuse/ports.ts'

/** A file system to try, and how to be rid of it. */
export interface FileSystemUnderTest {
  readonly fileSystem: FileSystem
  dispose?(): Promise<void>
}

/** What the suite must know of the one under test. */
export interface FileSystemTraits {
  /** Makes an empty one of a given size; left out if the size cannot be chosen. */
  readonly ofSize?: (totalBytes: number) => Promise<FileSystemUnderTest>
  /** Longest run of the random comparison, in operations. */
  readonly randomOperations?: number
}

const ROOT: Ino = 1
const CALLER = { uid: 1000, gid: 1001, pid: 7 }
const [REGULAR, DIRECTORY, SYMLINK, FIFO, CHARACTER] = [
  0o100000, 0o040000, 0o120000, 0o010000, 0o020000,
]
const TYPE = 0o170000
const [O_RDONLY, O_RDWR, O_TRUNC] = [0, 2, 0o1000]
const [KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE] = [1, 2, 16]
const PLAIN = { noReplace: false, exchange: false }
const NO_REPLACE = { noReplace: true, exchange: false }
const EXCHANGE = { noReplace: false, exchange: true }
/** Coarse enough for every granularity of holes that is allowed. */
const MIB = 2 ** 20

/**
 * Defines the suite.
 *
 * @param name - Of the file system.
 * @param make - Makes an empty one for each test.
 * @param traits - What differs.
 * @example
 * fileSystemConformance('memory', async () => ({ fileSystem: new MemoryFileSystem() }))
 */
export function fileSystemConformance(
  name: string,
  make: () => Promise<FileSystemUnderTest>,
  traits: FileSystemTraits = {},
): void {
  describe(`${name} as a file system`, () => {
    let under: FileSystemUnderTest
    let fs: FileSystem

    beforeEach(async () => {
      under = await make()
      fs = under.fileSystem
    })
    afterEach(() => under.dispose?.())

    const use = async (other: FileSystemUnderTest): Promise<void> => {
      await under.dispose?.()
      under = other
      fs = other.fileSystem
    }
    const file = async (
      path: string,
      parent = ROOT,
      mode = 0o644,
    ): Promise<{ ino: Ino; handle: Handle }> => {
      const made = await fs.create(parent, path, mode, O_RDWR, CALLER)
      return { ino: made.attributes.ino, handle: made.handle }
    }
    const directory = async (path: string, parent = ROOT, mode = 0o755): Promise<Ino> =>
      (await fs.makeDirectory(parent, path, mode, CALLER)).ino
    const attributes = async (ino: Ino): Promise<Attributes> => fs.attributes(ino)
    const write = async (handle: Handle, offset: number, text: string): Promise<void> => {
      assert.equal(await fs.write(handle, offset, Buffer.from(text)), Buffer.byteLength(text))
    }
    const read = async (handle: Handle, offset: number, length: number): Promise<string> => {
      const into = Buffer.alloc(length, 0xee)
      const bytes = await fs.read(handle, offset, into)
      return into.toString('latin1', 0, bytes)
    }
    const names = async (ino: Ino): Promise<string[]> => {
      const handle = await fs.openDirectory(ino)
      const found: string[] = []
      for (let cookie = 0; ; ) {
        const entries = await fs.readDirectory(handle, cookie, 7)
        if (entries.length === 0) break
        assert.isAtMost(entries.length, 7)
        for (const entry of entries) {
          found.push(entry.name)
          cookie = entry.cookie
        }
      }
      await fs.releaseDirectory(handle)
      return found.sort()
    }
    const exists = async (parent: Ino, path: string): Promise<boolean> =>
      (await codeFrom(() => fs.lookup(parent, path))) === undefined

    describe('the root', () => {
      it('is an empty directory with inode 1', async () => {
        const root = await attributes(ROOT)
        assert.equal(root.ino, ROOT)
        assert.equal(root.mode & TYPE, DIRECTORY)
        assert.equal(root.links, 2)
        assert.deepEqual(await names(ROOT), [])
      })
    })

    describe('what is made', () => {
      const kinds: [
        kind: string,
        make: (path: string) => Reply<Attributes>,
        mode: number,
        links: number,
      ][] = [
        [
          'a file by mknod',
          (path) => fs.makeNode(ROOT, path, REGULAR | 0o640, 0, CALLER),
          REGULAR | 0o640,
          1,
        ],
        ['a fifo', (path) => fs.makeNode(ROOT, path, FIFO | 0o600, 0, CALLER), FIFO | 0o600, 1],
        [
          'a device',
          (path) => fs.makeNode(ROOT, path, CHARACTER | 0o600, 0x103, CALLER),
          CHARACTER | 0o600,
          1,
        ],
        [
          'a directory',
          (path) => fs.makeDirectory(ROOT, path, 0o750, CALLER),
          DIRECTORY | 0o750,
          2,
        ],
        [
          'a symbolic link',
          (path) => fs.makeSymlink(ROOT, path, 'to/it', CALLER),
          SYMLINK | 0o777,
          1,
        ],
        [
          'a sticky directory',
          (path) => fs.makeDirectory(ROOT, path, 0o1777, CALLER),
          DIRECTORY | 0o1777,
          2,
        ],
      ]
      for (const [kind, made, mode, links] of kinds) {
        it(`${kind} has the type, mode and owner that were asked for`, async () => {
          const attributesMade = await made('x')
          assert.equal(attributesMade.mode.toString(8), mode.toString(8))
          assert.equal(attributesMade.links, links)
          assert.deepInclude(attributesMade, { uid: CALLER.uid, gid: CALLER.gid })
          assert.deepEqual(await fs.lookup(ROOT, 'x'), attributesMade)
          assert.equal(attributesMade.device, kind === 'a device' ? 0x103 : 0)
        })

        it(`${kind} is refused where the name is taken, and nothing changes`, async () => {
          const { ino } = await file('x')
          assert.equal(await codeFrom(() => made('x')), 'EXISTS')
          assert.equal((await fs.lookup(ROOT, 'x')).ino, ino)
        })
      }

      it('an open file of mode 0 is still written through its handle', async () => {
        const { handle } = await file('x', ROOT, 0)
        await write(handle, 0, 'kept')
        assert.equal(await read(handle, 0, 9), 'kept')
      })

      it('has a link count one higher for each subdirectory', async () => {
        const top = await directory('top')
        await directory('a', top)
        await directory('b', top)
        await file('c', top)
        assert.equal((await attributes(top)).links, 4)
        await fs.removeDirectory(top, 'a')
        assert.equal((await attributes(top)).links, 3)
      })

      it('in a directory with the set-group-id bit takes its group, directories the bit too', async () => {
        const shared = await directory('shared')
        await fs.setAttributes(shared, { gid: 4242, mode: 0o2775 })
        const { ino } = await file('f', shared)
        const inner = await fs.makeDirectory(shared, 'd', 0o755, CALLER)
        assert.equal((await attributes(ino)).gid, 4242)
        assert.equal(inner.gid, 4242)
        assert.equal(inner.mode & 0o7777, 0o2755)
      })

      it('changes the times of the directory, and its own times are of now', async () => {
        const before = await attributes(ROOT)
        const { ino } = await file('x')
        const after = await attributes(ROOT)
        assert.isTrue(after.modifiedNs >= before.modifiedNs && after.changedNs >= before.changedNs)
        const made = await attributes(ino)
        assert.isTrue(made.modifiedNs >= before.modifiedNs && made.accessedNs >= before.modifiedNs)
      })
    })

    describe('names', () => {
      const good = [
        'x'.repeat(255),
        'ß'.repeat(127),
        '💾'.repeat(63),
        ' ',
        '...',
        'a\nb',
        '-rf',
        'ÄÖ\u0301',
      ]
      for (const path of good) {
        it(`${JSON.stringify(path).slice(0, 20)} of ${Buffer.byteLength(path)} bytes is kept byte for byte`, async () => {
          const { ino } = await file(path)
          assert.equal((await fs.lookup(ROOT, path)).ino, ino)
          assert.deepEqual(await names(ROOT), [path])
        })
      }

      it('beyond 255 bytes are refused everywhere', async () => {
        const long = 'ä'.repeat(128)
        const { ino } = await file('x')
        const attempts = [
          () => fs.lookup(ROOT, long),
          () => fs.create(ROOT, long, 0o644, O_RDWR, CALLER),
          () => fs.makeDirectory(ROOT, long, 0o755, CALLER),
          () => fs.makeSymlink(ROOT, long, 'x', CALLER),
          () => fs.link(ino, ROOT, long),
          () => fs.rename({ parent: ROOT, name: 'x' }, { parent: ROOT, name: long }, PLAIN),
          () => fs.unlink(ROOT, long),
        ]
        for (const attempt of attempts) assert.equal(await codeFrom(attempt), 'NAME_TOO_LONG')
        assert.deepEqual(await names(ROOT), ['x'])
      })

      it('that differ in case or normalization are different', async () => {
        for (const path of ['a', 'A', '\u00e4', 'a\u0308']) await file(path)
        assert.lengthOf(await names(ROOT), 4)
      })

      it('are missing where nothing was made', async () => {
        const { ino } = await file('f')
        assert.equal(await codeFrom(() => fs.lookup(ROOT, 'nothing')), 'NOT_FOUND')
        assert.equal(await codeFrom(() => fs.lookup(ino, 'x')), 'NOT_DIRECTORY')
        assert.equal(
          await codeFrom(() => fs.create(ino, 'x', 0o644, O_RDWR, CALLER)),
          'NOT_DIRECTORY',
        )
      })
    })

    describe('reading and writing', () => {
      it('gives back what was written, and short at the end', async () => {
        const { ino, handle } = await file('x')
        await write(handle, 0, 'hello world')
        assert.equal(await read(handle, 6, 100), 'world')
        assert.equal(await read(handle, 11, 5), '')
        assert.equal(await read(handle, 1000, 5), '')
        assert.equal((await attributes(ino)).sizeBytes, 11)
      })

      it('does not keep the buffer of the writer', async () => {
        const { handle } = await file('x')
        const bytes = Buffer.from('before')
        await fs.write(handle, 0, bytes)
        bytes.fill(0x21)
        assert.equal(await read(handle, 0, 6), 'before')
      })

      it('overwrites in place, as the .meta of a freezer is', async () => {
        const { ino, handle } = await file('x')
        await write(handle, 0, 'aaaaaaaaaa')
        await write(handle, 0, 'bbb')
        await write(handle, 8, 'ccc')
        assert.equal(await read(handle, 0, 20), 'bbbaaaaaccc')
        assert.equal((await attributes(ino)).sizeBytes, 11)
      })

      it('past the end leaves zeros between', async () => {
        const { ino, handle } = await file('x')
        await write(handle, 0, 'a')
        await write(handle, 3 * MIB, 'z')
        assert.equal((await attributes(ino)).sizeBytes, 3 * MIB + 1)
        const middle = Buffer.alloc(2 * MIB, 1)
        assert.equal(await fs.read(handle, MIB / 2, middle), 2 * MIB)
        assert.isTrue(middle.equals(Buffer.alloc(2 * MIB)))
        assert.equal(await read(handle, 3 * MIB - 1, 9), '\0z')
      })

      it('of a megabyte across any boundary agrees', async () => {
        const { handle } = await file('x')
        const bytes = Buffer.from(
          Uint8Array.from({ length: MIB }, (_, at) => (at * 31 + (at >> 8)) & 0xff),
        )
        await fs.write(handle, 4093, bytes)
        const into = Buffer.alloc(MIB)
        assert.equal(await fs.read(handle, 4093, into), MIB)
        assert.isTrue(into.equals(bytes))
      })

      it('through two handles sees one file', async () => {
        const { ino, handle } = await file('x')
        const other = await fs.open(ino, O_RDONLY)
        await write(handle, 0, 'shared')
        assert.equal(await read(other, 0, 9), 'shared')
      })

      it('of nothing changes nothing', async () => {
        const { ino, handle } = await file('x')
        await write(handle, 5, '')
        assert.equal((await attributes(ino)).sizeBytes, 0)
      })

      it('is durable to the file system once synced, and goes on after', async () => {
        const { ino, handle } = await file('x')
        await write(handle, 0, 'one')
        await fs.sync(ino, false)
        await write(handle, 3, 'two')
        await fs.sync(ino, true)
        await fs.syncDirectory(ROOT)
        assert.equal(await read(handle, 0, 9), 'onetwo')
      })

      it('changes the modification time', async () => {
        const { ino, handle } = await file('x')
        await fs.setAttributes(ino, { modifiedNs: 5n })
        await write(handle, 0, 'x')
        assert.isTrue((await attributes(ino)).modifiedNs > 5n)
      })

      it('uses handles that are still open, and no others', async () => {
        const { handle } = await file('x')
        await fs.flush?.(handle)
        await fs.release(handle)
        assert.equal(await codeFrom(() => fs.read(handle, 0, Buffer.alloc(1))), 'STALE')
        assert.equal(await codeFrom(() => fs.write(handle, 0, Buffer.alloc(1))), 'STALE')
        assert.equal(await codeFrom(() => fs.release(handle)), 'STALE')
      })

      it('of a directory as a file is refused', async () => {
        const ino = await directory('d')
        assert.equal(await codeFrom(() => fs.open(ino, O_RDONLY)), 'IS_DIRECTORY')
        const { ino: plain } = await file('f')
        assert.equal(await codeFrom(() => fs.openDirectory(plain)), 'NOT_DIRECTORY')
      })
    })

    describe('sizes', () => {
      it('shrink and grow; what was cut off never comes back', async () => {
        const { ino, handle } = await file('x')
        await write(handle, 0, 'secret')
        await fs.setAttributes(ino, { sizeBytes: 2 })
        await fs.setAttributes(ino, { sizeBytes: 6 })
        assert.equal(await read(handle, 0, 9), 'se\0\0\0\0')
      })

      it('shrink below and grow over a large hole', async () => {
        const { ino, handle } = await file('x')
        await fs.setAttributes(ino, { sizeBytes: 5 * MIB })
        await write(handle, 4 * MIB, 'x')
        await fs.setAttributes(ino, { sizeBytes: MIB + 1 })
        await fs.setAttributes(ino, { sizeBytes: 5 * MIB })
        assert.equal(await read(handle, 4 * MIB, 1), '\0')
        assert.equal(await read(handle, 5 * MIB - 1, 5), '\0')
      })

      it('become 0 when opened with O_TRUNC', async () => {
        const { ino, handle } = await file('x')
        await write(handle, 0, 'gone')
        await fs.release(await fs.open(ino, O_RDWR | O_TRUNC))
        assert.equal((await attributes(ino)).sizeBytes, 0)
        assert.equal(await read(handle, 0, 9), '')
      })

      it('of sparse files may exceed what is allocated', async () => {
        const { ino } = await file('x')
        const { sizeBytes, allocatedBytes } = await fs.setAttributes(ino, { sizeBytes: 2 ** 35 })
        assert.equal(sizeBytes, 2 ** 35)
        assert.isBelow(allocatedBytes, MIB)
      })

      it('of directories cannot be set', async () => {
        const ino = await directory('d')
        assert.equal(await codeFrom(() => fs.setAttributes(ino, { sizeBytes: 0 })), 'IS_DIRECTORY')
      })
    })

    describe('attributes', () => {
      it('change one by one and leave the others', async () => {
        const { ino } = await file('x')
        const before = await attributes(ino)
        const after = await fs.setAttributes(ino, { mode: 0o4711 })
        assert.equal(after.mode, REGULAR | 0o4711)
        assert.deepInclude(after, {
          uid: before.uid,
          gid: before.gid,
          modifiedNs: before.modifiedNs,
        })
        assert.deepInclude(await fs.setAttributes(ino, { uid: 5 }), { uid: 5, gid: before.gid })
        assert.deepInclude(await fs.setAttributes(ino, { gid: 6 }), {
          uid: 5,
          gid: 6,
          mode: REGULAR | 0o4711,
        })
        assert.isTrue((await attributes(ino)).changedNs >= before.changedNs)
      })

      it('keep times to the nanosecond, before 1970 and beyond 2038', async () => {
        const { ino } = await file('x')
        for (const ns of [
          0n,
          1_234_567_890_123_456_789n,
          -1n,
          -86_400_000_000_001n,
          5_000_000_000_000_000_001n,
        ]) {
          const set = await fs.setAttributes(ino, { accessedNs: ns, modifiedNs: ns })
          assert.deepInclude(set, { accessedNs: ns, modifiedNs: ns })
        }
      })

      it('never lose the type with the mode', async () => {
        const ino = await directory('d')
        const { mode } = await fs.setAttributes(ino, { mode: 0o100000 | 0o700 })
        assert.equal(mode, DIRECTORY | 0o700)
      })

      it('of what was never there are refused', async () => {
        const code = await codeFrom(() => fs.attributes(987_654_321))
        assert.include(['NOT_FOUND', 'STALE'], code)
      })
    })

    describe('symbolic links', () => {
      it('keep any target up to a path long, and its length is the size', async () => {
        for (const [path, target] of [
          ['a', 'x'],
          ['b', '/ü/../'],
          ['c', 'y'.repeat(4095)],
        ] as const) {
          const { ino, sizeBytes } = await fs.makeSymlink(ROOT, path, target, CALLER)
          assert.equal(await fs.readLink(ino), target)
          assert.equal(sizeBytes, Buffer.byteLength(target))
        }
      })

      it('alone can be read as links', async () => {
        const { ino } = await file('x')
        assert.equal(await codeFrom(() => fs.readLink(ino)), 'INVALID')
      })
    })

    describe('hard links', () => {
      it('are names of one inode with a count', async () => {
        const { ino, handle } = await file('x')
        const linked = await fs.link(ino, ROOT, 'y')
        assert.deepInclude(linked, { ino, links: 2 })
        await write(handle, 0, 'one')
        assert.equal((await fs.lookup(ROOT, 'y')).sizeBytes, 3)
        await fs.unlink(ROOT, 'x')
        assert.equal((await fs.lookup(ROOT, 'y')).links, 1)
        assert.equal(await read(handle, 0, 9), 'one')
      })

      it('are refused for directories, taken names and files without a name', async () => {
        const { ino } = await file('x')
        const inner = await directory('d')
        assert.equal(await codeFrom(() => fs.link(inner, ROOT, 'e')), 'NOT_PERMITTED')
        assert.equal(await codeFrom(() => fs.link(ino, ROOT, 'd')), 'EXISTS')
        await fs.unlink(ROOT, 'x')
        assert.equal(await codeFrom(() => fs.link(ino, ROOT, 'y')), 'NOT_FOUND')
      })
    })

    describe('temporary files', () => {
      it('are in no directory, and gone after their last close', async () => {
        const { attributes, handle } = await fs.createTemporary(ROOT, 0o600, CALLER)
        const { ino } = attributes
        assert.deepEqual([attributes.links, attributes.mode, attributes.uid], [0, 0o100600, 1000])
        await write(handle, 0, 'here')
        assert.equal(await read(handle, 0, 9), 'here')
        assert.deepEqual(await names(ROOT), [])
        await fs.release(handle)
        await fs.forget(ino)
        assert.include(['NOT_FOUND', 'STALE'], await codeFrom(() => fs.attributes(ino)))
      })

      it('may be given a name, and are files like others then', async () => {
        const { attributes, handle } = await fs.createTemporary(ROOT, 0o600, CALLER)
        await write(handle, 0, 'kept')
        assert.equal((await fs.link(attributes.ino, ROOT, 'named')).links, 1)
        await fs.release(handle)
        await fs.forget(attributes.ino)
        assert.equal((await fs.lookup(ROOT, 'named')).sizeBytes, 4)
        await fs.unlink(ROOT, 'named')
        assert.include(
          ['NOT_FOUND', 'STALE'],
          await codeFrom(() => fs.link(attributes.ino, ROOT, 'again')),
        )
      })
    })

    describe('names of any bytes', () => {
      it('are told apart and listed as they are', async () => {
        const given = ['\udcff', '\udcfe', 'a\udc80b', 'é', '\ufffd', `${'n'.repeat(254)}\udcff`]
        for (const name of given) await file(name)
        assert.sameMembers(await names(ROOT), given)
        await fs.rename({ parent: ROOT, name: given[0] ?? '' }, { parent: ROOT, name: 'x' }, PLAIN)
        assert.sameMembers(await names(ROOT), ['x', ...given.slice(1)])
        assert.equal(
          await codeFrom(() => fs.lookup(ROOT, `${'n'.repeat(255)}\udcff`)),
          'NAME_TOO_LONG',
        )
        const { ino } = await fs.makeSymlink(ROOT, 'link', 'to/\udcff', CALLER)
        assert.equal(await fs.readLink(ino), 'to/\udcff')
        assert.equal((await fs.attributes(ino)).sizeBytes, 4)
      })
    })

    describe('removal', () => {
      it('of the last name leaves the file to its handles', async () => {
        const { ino, handle } = await file('x')
        await write(handle, 0, 'still here')
        await fs.unlink(ROOT, 'x')
        assert.isFalse(await exists(ROOT, 'x'))
        assert.equal((await attributes(ino)).links, 0)
        await fs.forget(ino)
        await write(handle, 5, '!')
        assert.equal(await read(handle, 0, 20), 'still!here')
        await fs.release(handle)
      })

      it('leaves an inode that the kernel knows until it forgets it', async () => {
        const { ino, handle } = await file('x')
        await fs.release(handle)
        await fs.unlink(ROOT, 'x')
        assert.equal((await attributes(ino)).links, 0)
        await fs.forget(ino)
        assert.include(['NOT_FOUND', 'STALE'], await codeFrom(() => fs.attributes(ino)))
      })

      it('gives the name free for another inode', async () => {
        const { ino } = await file('x')
        await fs.unlink(ROOT, 'x')
        const again = await file('x')
        assert.notEqual(again.ino, ino)
      })

      const refusals: [what: string, attempt: () => Reply<void>, code: string][] = [
        ['a missing name', () => fs.unlink(ROOT, 'none'), 'NOT_FOUND'],
        ['a missing directory', () => fs.removeDirectory(ROOT, 'none'), 'NOT_FOUND'],
        ['a directory as a file', () => fs.unlink(ROOT, 'd'), 'IS_DIRECTORY'],
        ['a file as a directory', () => fs.removeDirectory(ROOT, 'f'), 'NOT_DIRECTORY'],
        ['a directory with names', () => fs.removeDirectory(ROOT, 'd'), 'NOT_EMPTY'],
      ]
      for (const [what, attempt, code] of refusals) {
        it(`of ${what} is refused with ${code}`, async () => {
          await file('f')
          await file('inner', await directory('d'))
          assert.equal(await codeFrom(attempt), code)
          assert.deepEqual(await names(ROOT), ['d', 'f'])
        })
      }

      it('of a directory leaves it empty to those who have it open', async () => {
        const ino = await directory('d')
        const handle = await fs.openDirectory(ino)
        await fs.removeDirectory(ROOT, 'd')
        assert.deepEqual(await fs.readDirectory(handle, 0, 9), [])
        assert.equal(await codeFrom(() => fs.create(ino, 'x', 0o644, O_RDWR, CALLER)), 'NOT_FOUND')
        await fs.releaseDirectory(handle)
      })
    })

    describe('rename', () => {
      const at = (path: string, parent = ROOT) => ({ parent, name: path })

      it('moves a name and replaces what is there', async () => {
        const x = await file('x')
        const y = await file('y')
        await write(x.handle, 0, 'new')
        await write(y.handle, 0, 'old')
        await fs.rename(at('x'), at('y'), PLAIN)
        assert.deepEqual(await names(ROOT), ['y'])
        assert.equal((await fs.lookup(ROOT, 'y')).ino, x.ino)
        assert.equal((await attributes(y.ino)).links, 0)
        assert.equal(await read(y.handle, 0, 9), 'old')
      })

      it('moves a directory with all it holds, and its parents count it', async () => {
        const [a, b] = [await directory('a'), await directory('b')]
        const inner = await directory('inner', a)
        const { ino } = await file('f', inner)
        await fs.rename(at('inner', a), at('moved', b), PLAIN)
        assert.equal((await fs.lookup(await inoOf(fs, b, 'moved'), 'f')).ino, ino)
        assert.equal((await attributes(a)).links, 2)
        assert.equal((await attributes(b)).links, 3)
        assert.deepEqual(await names(a), [])
      })

      it('replaces an empty directory by a directory', async () => {
        const [a, b] = [await directory('a'), await directory('b')]
        await file('f', a)
        await fs.rename(at('a'), at('b'), PLAIN)
        assert.equal((await fs.lookup(ROOT, 'b')).ino, a)
        assert.equal((await attributes(b)).links, 0)
        assert.equal((await attributes(ROOT)).links, 3)
      })

      it('of one name of a file to another of its names changes nothing', async () => {
        const { ino } = await file('x')
        await fs.link(ino, ROOT, 'y')
        await fs.rename(at('x'), at('y'), PLAIN)
        assert.deepEqual(await names(ROOT), ['x', 'y'])
        assert.equal((await attributes(ino)).links, 2)
      })

      it('to itself changes nothing', async () => {
        const { ino } = await file('x')
        await fs.rename(at('x'), at('x'), PLAIN)
        assert.equal((await fs.lookup(ROOT, 'x')).ino, ino)
      })

      const refusals: [what: string, attempt: (d: Ino) => Reply<void>, code: string][] = [
        ['of a missing name', () => fs.rename(at('none'), at('z'), PLAIN), 'NOT_FOUND'],
        ['of a directory over a file', () => fs.rename(at('e'), at('f'), PLAIN), 'NOT_DIRECTORY'],
        ['of a file over a directory', () => fs.rename(at('f'), at('e'), PLAIN), 'IS_DIRECTORY'],
        ['over a directory with names', () => fs.rename(at('e'), at('d'), PLAIN), 'NOT_EMPTY'],
        ['of a directory into itself', (d) => fs.rename(at('d'), at('x', d), PLAIN), 'INVALID'],
        ['over a name with noReplace', () => fs.rename(at('f'), at('d'), NO_REPLACE), 'EXISTS'],
        ['as an exchange with nothing', () => fs.rename(at('f'), at('z'), EXCHANGE), 'NOT_FOUND'],
      ]
      for (const [what, attempt, code] of refusals) {
        it(`${what} is refused with ${code}`, async () => {
          const d = await directory('d')
          await directory('e')
          await file('f')
          await file('inner', d)
          assert.equal(await codeFrom(() => attempt(d)), code)
          assert.deepEqual(await names(ROOT), ['d', 'e', 'f'])
          assert.deepEqual(await names(d), ['inner'])
        })
      }

      it('into its own grandchild is refused', async () => {
        const a = await directory('a')
        const b = await directory('b', a)
        const c = await directory('c', b)
        assert.equal(await codeFrom(() => fs.rename(at('a'), at('x', c), PLAIN)), 'INVALID')
      })

      it('with noReplace moves to a free name', async () => {
        const { ino } = await file('x')
        await fs.rename(at('x'), at('y'), NO_REPLACE)
        assert.equal((await fs.lookup(ROOT, 'y')).ino, ino)
      })

      it('exchanges a file and a directory of different parents', async () => {
        const [a, b] = [await directory('a'), await directory('b')]
        const { ino } = await file('f', a)
        const inner = await directory('d', b)
        await fs.rename(at('f', a), at('d', b), EXCHANGE)
        assert.equal(await inoOf(fs, a, 'f'), inner)
        assert.equal(await inoOf(fs, b, 'd'), ino)
        assert.equal((await attributes(a)).links, 3)
        assert.equal((await attributes(b)).links, 2)
      })
    })

    describe('listing', () => {
      it('gives every name once with its attributes', async () => {
        const expected = Array.from(
          { length: 100 },
          (_, at) => `file-${String(at).padStart(3, '0')}`,
        )
        for (const path of expected) await fs.release((await file(path)).handle)
        assert.deepEqual(await names(ROOT), expected)
        const handle = await fs.openDirectory(ROOT)
        const [first] = await fs.readDirectory(handle, 0, 1)
        assert.isDefined(first)
        assert.deepEqual(first?.attributes, await fs.lookup(ROOT, first?.name ?? ''))
        assert.isAtLeast(first?.cookie ?? 0, 1)
        await fs.releaseDirectory(handle)
      })

      it('misses and repeats nothing while others remove and add', async () => {
        for (let at = 0; at < 60; at++) await fs.release((await file(`f${at}`)).handle)
        const handle = await fs.openDirectory(ROOT)
        const seen: string[] = []
        for (let cookie = 0; ; ) {
          const entries = await fs.readDirectory(handle, cookie, 5)
          if (entries.length === 0) break
          for (const entry of entries) {
            seen.push(entry.name)
            cookie = entry.cookie
            if (entry.name.startsWith('f')) await fs.unlink(ROOT, entry.name)
          }
          if (seen.length < 20) await fs.release((await file(`new${seen.length}`)).handle)
        }
        const old = seen.filter((path) => path.startsWith('f'))
        assert.lengthOf(old, 60)
        assert.equal(new Set(seen).size, seen.length)
        await fs.releaseDirectory(handle)
      })

      it('starts again at cookie 0 and then shows what is new', async () => {
        await file('a')
        const handle = await fs.openDirectory(ROOT)
        assert.lengthOf(await fs.readDirectory(handle, 0, 10), 1)
        await file('b')
        assert.lengthOf(await fs.readDirectory(handle, 0, 10), 2)
        await fs.releaseDirectory(handle)
      })

      it('goes on from any cookie that was given', async () => {
        for (const path of ['a', 'b', 'c', 'd']) await file(path)
        const handle = await fs.openDirectory(ROOT)
        const all = await fs.readDirectory(handle, 0, 10)
        for (const [index, entry] of all.entries()) {
          const rest = await fs.readDirectory(handle, entry.cookie, 10)
          assert.deepEqual(
            rest.map((one) => one.name),
            all.slice(index + 1).map((one) => one.name),
          )
        }
        await fs.releaseDirectory(handle)
      })
    })

    describe('preallocation and holes', () => {
      it('from offset 0 grows the file and keeps what is in it, as Bitcoin does', async () => {
        const { ino, handle } = await file('blk')
        await write(handle, 0, 'block')
        await fs.allocate(handle, 0, 0, 16 * MIB)
        assert.equal((await attributes(ino)).sizeBytes, 16 * MIB)
        await write(handle, 5, 'more')
        await fs.allocate(handle, 0, 0, 32 * MIB)
        assert.equal((await attributes(ino)).sizeBytes, 32 * MIB)
        assert.equal(await read(handle, 0, 12), 'blockmore\0\0\0')
        await fs.setAttributes(ino, { sizeBytes: 9 })
        assert.equal(await read(handle, 0, 99), 'blockmore')
      })

      it('within the file never shrinks it', async () => {
        const { ino, handle } = await file('x')
        await write(handle, 0, 'abcdef')
        await fs.allocate(handle, 0, 0, 2)
        assert.equal((await attributes(ino)).sizeBytes, 6)
        assert.equal(await read(handle, 0, 9), 'abcdef')
      })

      it('with KEEP_SIZE leaves the size', async () => {
        const { ino, handle } = await file('x')
        await write(handle, 0, 'abc')
        await fs.allocate(handle, KEEP_SIZE, 0, 4 * MIB)
        assert.equal((await attributes(ino)).sizeBytes, 3)
        assert.equal(await read(handle, 0, 9), 'abc')
      })

      it('punches holes that read as zeros, and leaves the rest', async () => {
        const { ino, handle } = await file('x')
        await fs.write(handle, 0, Buffer.alloc(6 * MIB, 0x61))
        await fs.allocate(handle, PUNCH_HOLE | KEEP_SIZE, MIB + 5, 4 * MIB)
        assert.equal(await read(handle, MIB + 3, 4), 'aa\0\0')
        assert.equal(await read(handle, 3 * MIB, 2), '\0\0')
        assert.equal(await read(handle, 5 * MIB + 4, 3), '\0aa')
        assert.equal((await attributes(ino)).sizeBytes, 6 * MIB)
      })

      it('makes ranges zeros, and grows the file unless told not to', async () => {
        const { ino, handle } = await file('x')
        await write(handle, 0, 'abcdef')
        await fs.allocate(handle, ZERO_RANGE | KEEP_SIZE, 1, 2)
        assert.equal(await read(handle, 0, 9), 'a\0\0def')
        await fs.allocate(handle, ZERO_RANGE | KEEP_SIZE, 4, 100)
        assert.equal(await read(handle, 0, 9), 'a\0\0d\0\0')
        await fs.allocate(handle, ZERO_RANGE, 3, 5)
        assert.equal((await attributes(ino)).sizeBytes, 8)
        assert.equal(await read(handle, 0, 9), 'a\0\0\0\0\0\0\0')
      })

      it('finds data and holes', async () => {
        const { ino, handle } = await file('x')
        await fs.setAttributes(ino, { sizeBytes: 8 * MIB })
        await fs.write(handle, 4 * MIB, Buffer.alloc(MIB, 1))
        assert.equal(await fs.seek(handle, 0, false), 0)
        assert.equal(await fs.seek(handle, 0, true), 4 * MIB)
        assert.equal(await fs.seek(handle, 4 * MIB + 10, true), 4 * MIB + 10)
        assert.equal(await fs.seek(handle, 4 * MIB, false), 5 * MIB)
        assert.equal(await codeFrom(() => fs.seek(handle, 8 * MIB, false)), 'NO_DATA')
        assert.equal(await codeFrom(() => fs.seek(handle, 6 * MIB, true)), 'NO_DATA')
      })

      it('has a hole at the end of every file', async () => {
        const { handle } = await file('x')
        await fs.write(handle, 0, Buffer.alloc(2 * MIB, 1))
        assert.equal(await fs.seek(handle, 7, false), 2 * MIB)
      })
    })

    describe('extended attributes', () => {
      it('are set, read, listed and removed', async () => {
        const { ino } = await file('x')
        await fs.setExtended(ino, 'user.a', Buffer.from('1'), 'any')
        await fs.setExtended(ino, 'user.b', Buffer.alloc(0), 'create')
        await fs.setExtended(ino, 'user.a', Buffer.from([0, 255]), 'replace')
        assert.deepEqual([...(await fs.getExtended(ino, 'user.a'))], [0, 255])
        assert.deepEqual([...(await fs.getExtended(ino, 'user.b'))], [])
        assert.deepEqual([...(await fs.listExtended(ino))].sort(), ['user.a', 'user.b'])
        await fs.removeExtended(ino, 'user.a')
        assert.deepEqual([...(await fs.listExtended(ino))], ['user.b'])
      })

      const refusals: [what: string, attempt: (ino: Ino) => Reply<unknown>, code: string][] = [
        ['reading none', (ino) => fs.getExtended(ino, 'user.none'), 'NO_ATTRIBUTE'],
        ['removing none', (ino) => fs.removeExtended(ino, 'user.none'), 'NO_ATTRIBUTE'],
        [
          'replacing none',
          (ino) => fs.setExtended(ino, 'user.none', Buffer.alloc(1), 'replace'),
          'NO_ATTRIBUTE',
        ],
        [
          'creating what is there',
          (ino) => fs.setExtended(ino, 'user.a', Buffer.alloc(1), 'create'),
          'EXISTS',
        ],
      ]
      for (const [what, attempt, code] of refusals) {
        it(`refuses ${what} with ${code}`, async () => {
          const { ino } = await file('x')
          await fs.setExtended(ino, 'user.a', Buffer.from('kept'), 'any')
          assert.equal(await codeFrom(() => attempt(ino)), code)
          assert.equal(Buffer.from(await fs.getExtended(ino, 'user.a')).toString(), 'kept')
        })
      }

      it('of directories and across renames are kept', async () => {
        const ino = await directory('d')
        await fs.setExtended(ino, 'user.a', Buffer.from('v'), 'any')
        await fs.rename({ parent: ROOT, name: 'd' }, { parent: ROOT, name: 'e' }, PLAIN)
        assert.equal(Buffer.from(await fs.getExtended(ino, 'user.a')).toString(), 'v')
      })

      it('do not keep the buffer of the caller', async () => {
        const { ino } = await file('x')
        const value = Buffer.from('ab')
        await fs.setExtended(ino, 'user.a', value, 'any')
        value.fill(0)
        assert.equal(Buffer.from(await fs.getExtended(ino, 'user.a')).toString(), 'ab')
      })
    })

    describe('space', () => {
      it('adds up', async () => {
        const { totalBytes, freeBytes, files, filesFree } = await fs.space()
        assert.isAtLeast(freeBytes, 0)
        assert.isAtMost(freeBytes, totalBytes)
        assert.isAtMost(filesFree, files)
      })

      const { ofSize } = traits
      if (ofSize) {
        it('that is used up says NO_SPACE, keeps what was written, and comes back', async () => {
          await use(await ofSize(16 * MIB))
          const { handle } = await file('x')
          const piece = Buffer.alloc(MIB, 0x7a)
          let offset = 0
          let code: string | undefined
          while (code === undefined && offset < 64 * MIB) {
            code = await codeFrom(() => fs.write(handle, offset, piece))
            if (code === undefined) offset += MIB
          }
          assert.equal(code, 'NO_SPACE')
          assert.isAtLeast(offset, 8 * MIB)
          assert.equal(await read(handle, offset - 2, 2), 'zz')
          assert.isBelow((await fs.space()).freeBytes, 2 * MIB)
        })
      }
    })

    it('agrees with a plain array of bytes after any writes, cuts, holes and syncs', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(anyChange, { maxLength: traits.randomOperations ?? 40 }),
          async (changes) => {
            await use(await make())
            const { ino, handle } = await file('x')
            let model = Buffer.alloc(0)
            for (const change of changes) {
              model = applyTo(model, change)
              await applyThrough(fs, ino, handle, change)
            }
            const into = Buffer.alloc(model.length + 10, 0xcc)
            const bytes = await fs.read(handle, 0, into)
            assert.equal(bytes, model.length)
            assert.isTrue(into.subarray(0, bytes).equals(model), 'bytes agree')
            assert.equal((await fs.attributes(ino)).sizeBytes, model.length)
          },
        ),
        { numRuns: 30 },
      )
    })
  })
}

type Change =
  | { kind: 'write'; offset: number; length: number; fill: number }
  | { kind: 'cut'; size: number }
  | { kind: 'punch'; offset: number; length: number }
  | { kind: 'allocate'; offset: number; length: number }
  | { kind: 'sync' }

const OFFSET_MAX = 300_000
const anyOffset = fc.oneof(
  fc.nat(OFFSET_MAX),
  fc.constantFrom(0, 4095, 4096, 65_535, 65_536, 131_072, 262_144),
)
const anyLength = fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 150_000 }))
const anyChange: fc.Arbitrary<Change> = fc.oneof(
  fc.record({
    kind: fc.constant('write' as const),
    offset: anyOffset,
    length: anyLength,
    fill: fc.nat(255),
  }),
  fc.record({ kind: fc.constant('cut' as const), size: anyOffset }),
  fc.record({ kind: fc.constant('punch' as const), offset: anyOffset, length: anyLength }),
  fc.record({ kind: fc.constant('allocate' as const), offset: anyOffset, length: anyLength }),
  fc.constant({ kind: 'sync' as const }),
)

/** Bytes that tell where they were written: a run moved by one byte is noticed. */
const pattern = (length: number, fill: number): Buffer =>
  Buffer.from(Uint8Array.from({ length }, (_, at) => (fill + at * 7 + (at >> 8)) & 0xff))

function applyTo(model: Buffer<ArrayBuffer>, change: Change): Buffer<ArrayBuffer> {
  const grown = (size: number): Buffer<ArrayBuffer> => {
    const next = Buffer.alloc(Math.max(size, model.length))
    next.set(model)
    return next
  }
  switch (change.kind) {
    case 'write': {
      const next = grown(change.offset + change.length)
      next.set(pattern(change.length, change.fill), change.offset)
      return next
    }
    case 'cut': {
      const next = Buffer.alloc(change.size)
      next.set(model.subarray(0, change.size))
      return next
    }
    case 'punch':
      return Buffer.from(
        model.fill(
          0,
          Math.min(change.offset, model.length),
          Math.min(change.offset + change.length, model.length),
        ),
      )
    case 'allocate':
      return grown(change.offset + change.length)
    case 'sync':
      return model
  }
}

async function applyThrough(
  fs: FileSystem,
  ino: Ino,
  handle: Handle,
  change: Change,
): Promise<void> {
  switch (change.kind) {
    case 'write':
      await fs.write(handle, change.offset, pattern(change.length, change.fill))
      return
    case 'cut':
      await fs.setAttributes(ino, { sizeBytes: change.size })
      return
    case 'punch':
      await fs.allocate(handle, PUNCH_HOLE | KEEP_SIZE, change.offset, change.length)
      return
    case 'allocate':
      await fs.allocate(handle, 0, change.offset, change.length)
      return
    case 'sync':
      await fs.sync(ino, false)
  }
}

const inoOf = async (fs: FileSystem, parent: Ino, path: string): Promise<Ino> =>
  (await fs.lookup(parent, path)).ino

/** The code with which an attempt fails, or undefined if it does not. */
async function codeFrom(attempt: () => Reply<unknown>): Promise<string | undefined> {
  try {
    await attempt()
    return undefined
  } catch (caught) {
    const code = codeOf(caught)
    if (code === undefined) throw caught
    return code
  }
}
