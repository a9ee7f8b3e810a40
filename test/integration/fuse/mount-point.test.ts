/** The place of a mount while nothing is mounted there: nobody writes, not root either, and nothing that lay there is lost. */
import * as files from 'node:fs/promises'
import { join } from 'node:path'
import { assert } from 'chai'
import { guardMountPoint, releaseMountPoint } from '../../../agent/adapters/kernel/guarded-point.ts'
import { cleanStaleMount } from '../../../agent/adapters/kernel/mount-point.ts'
import {
  GUARD_SOURCE,
  mountAt,
  readMountTable,
} from '../../../agent/adapters/kernel/mount-table.ts'
import {
  claimMountPoint,
  giveUpAllMountPoints,
  giveUpMountPoint,
} from '../../../agent/adapters/process/mount-claims.ts'
import { codeOf } from '../../../agent/base/errors.ts'
import { MemoryFileSystem } from '../../support/memory-file-system.ts'
import { canMount, makePoint, mountAtPath, run, shell } from './mounted.ts'

/** All that a program may try in a directory, as root. Each must fail. */
const WRITES = [
  'mkdir x',
  'mkdir -p x/y',
  'touch x',
  'echo block > x',
  'ln -s / x',
  'mkfifo x',
  'ln /proc/self/mounts x || ln /etc/passwd x',
  'mv "$(mktemp /tmp/varve-stray-XXXXXX)" x',
  'tar cf - -C /etc passwd | tar xf -',
]

describe('the place of a mount', () => {
  let base: string
  const point = (): string => join(base, 'mnt', 'history')
  const guard = () => guardMountPoint({ path: point(), asideDir: join(base, 'aside'), label: '17' })

  before(function () {
    if (!canMount) this.skip()
  })
  beforeEach(async () => {
    base = await makePoint()
  })
  afterEach(async () => {
    if (!base) return
    for (const { path } of (await readMountTable()).reverse()) {
      if (path.startsWith(`${base}/`)) await run(`umount -l '${path}'`)
    }
    await releaseMountPoint(point())
    await run(`rm -rf '${base}' /tmp/varve-stray-*`)
  })

  async function takesNoWrites(): Promise<void> {
    for (const line of WRITES) {
      assert.notEqual((await shell(line, point())).code, 0, line)
    }
    assert.deepEqual(await files.readdir(point()), [])
    assert.notEqual((await shell(`mv '${point()}' '${base}/moved'`)).code, 0, 'it stays')
    assert.notEqual((await shell(`rmdir '${point()}'`)).code, 0, 'it stays')
  }

  it('takes no writes before, between and after mounts, of a clean or of a killed process', async () => {
    assert.deepEqual(await guard(), { guard: 'immutable', moved: [] })
    await takesNoWrites()
    const mount = await mountAtPath(point(), new MemoryFileSystem())
    await files.writeFile(join(point(), 'a'), 'in the volume')
    await mount.unmount('clean')
    await takesNoWrites()
    assert.deepEqual(await guard(), { guard: 'immutable', moved: [] }, 'once more changes nothing')
    const again = await mountAtPath(point(), new MemoryFileSystem())
    await run(`umount -l '${point()}'`)
    await takesNoWrites()
    await again.closed
  })

  it('is never open to writers that try all the time while dead mounts are removed and new ones made', async () => {
    await guard()
    const writer = shell(
      `until [ -e ../stop ]; do mkdir -p '${point()}/x' && stat -f -c %T '${point()}/x' >> ../types; echo y > '${point()}/y'; done 2>/dev/null; true`,
      join(base, 'mnt'),
    )
    for (let round = 0; round < 10; round++) {
      await cleanStaleMount(point())
      assert.deepEqual((await guard()).moved, [])
      const mount = await mountAtPath(point(), new MemoryFileSystem())
      await run(`stat '${point()}'`)
      await mount.unmount('detach')
    }
    await files.writeFile(join(base, 'stop'), '')
    await writer
    assert.deepEqual(await files.readdir(point()), [])
  })

  describe('where the directory cannot be made immutable', () => {
    beforeEach(async () => {
      await files.mkdir(join(base, 'mnt'))
      // ramfs knows no flags.
      await run(`mount -t ramfs plain '${base}/mnt'`)
    })

    it('has a read-only placeholder beneath the mount', async () => {
      assert.deepEqual(await guard(), { guard: 'placeholder', moved: [] })
      await takesNoWrites()
      assert.deepEqual(await guard(), { guard: 'placeholder', moved: [] }, 'not a second one')
      const mount = await mountAtPath(point(), new MemoryFileSystem())
      await files.writeFile(join(point(), 'a'), 'in the volume')
      await mount.unmount('clean')
      assert.equal((await mountAt(point()))?.source, GUARD_SOURCE)
      await takesNoWrites()
      await releaseMountPoint(point())
      assert.equal(await files.stat(point()).catch(codeOf), 'ENOENT')
    })

    it('moves leftovers beside the point, because the other place is on another disk', async () => {
      await files.mkdir(point())
      await files.writeFile(join(point(), 'stray'), 'kept')
      const { guard: kind, moved } = await guard()
      assert.equal(kind, 'placeholder')
      assert.deepEqual(moved, [`${point()}.aside-17`])
      assert.equal(await files.readFile(`${point()}.aside-17/stray`, 'utf8'), 'kept')
      await takesNoWrites()
    })
  })

  describe('with leftovers', () => {
    const leftovers: [what: string, make: () => Promise<unknown>][] = [
      ['one stray file', () => run('echo block > stray', point())],
      ['a tree', () => run('mkdir -p chain/deep && echo block > chain/deep/headers.cdat', point())],
      ['a name that is not UTF-8', () => run("echo block > $'\\xff\\xfe'", point())],
      ['a read-only file of another', () => run('touch x && chown 1:1 x && chmod 0 x', point())],
      [
        'a program that works in it',
        async () => {
          await run('touch open', point())
          void shell('exec 9<open; sleep 1', point())
        },
      ],
    ]
    for (const [what, make] of leftovers) {
      it(`moves ${what} aside whole, says where, and takes no writes then`, async () => {
        await files.mkdir(point(), { recursive: true })
        await make()
        const before = await run('ls -lAR --time-style=+ . | sed 1,2d', point())
        const { guard: kind, moved } = await guard()
        assert.equal(kind, 'immutable')
        assert.lengthOf(moved, 1)
        assert.equal(await run('ls -lAR --time-style=+ . | sed 1,2d', moved[0]), before)
        await takesNoWrites()
      })
    }

    it('moves a file aside that lies in the place of the directory', async () => {
      await files.mkdir(join(base, 'mnt'))
      await files.writeFile(point(), 'a file')
      const { moved } = await guard()
      assert.equal(await files.readFile(moved[0] ?? '', 'utf8'), 'a file')
      await takesNoWrites()
    })

    it('moves aside what lies in an immutable directory, as after a kill between flag and look', async () => {
      await guard()
      await run(`chattr -i . && touch stray && chattr +i .`, point())
      assert.lengthOf((await guard()).moved, 1)
      await takesNoWrites()
    })

    it('refuses where it cannot be moved, and takes no more writes', async () => {
      await files.mkdir(point(), { recursive: true })
      await files.writeFile(join(point(), 'stray'), 'kept')
      await files.writeFile(join(base, 'aside'), 'a file where the directory should be')
      assert.equal(await guard().then(() => '', codeOf), 'MOUNT_POINT_NOT_EMPTY')
      assert.equal(await files.readFile(join(point(), 'stray'), 'utf8'), 'kept')
      assert.notEqual((await shell('touch x', point())).code, 0)
      await files.rm(join(base, 'aside'))
      assert.lengthOf((await guard()).moved, 1)
    })

    it('leaves alone what others have mounted there', async () => {
      await files.mkdir(point(), { recursive: true })
      await run(`mount -t tmpfs -o size=1m others '${point()}' && touch '${point()}/theirs'`)
      assert.equal(await guard().then(() => '', codeOf), 'MOUNT_POINT_TAKEN')
      await run('touch more && rm theirs', point())
    })
  })

  describe('of an order', () => {
    it('is given up with the order, and only then', async () => {
      await claimMountPoint(base, 7, point())
      await guard()
      await giveUpMountPoint(base, 8)
      await takesNoWrites()
      await giveUpMountPoint(base, 7)
      assert.equal(await files.stat(point()).catch(codeOf), 'ENOENT')
      await giveUpMountPoint(base, 7)
    })

    it('stays for a newer order of the same path', async () => {
      await claimMountPoint(base, 7, point())
      await claimMountPoint(base, 8, point())
      await guard()
      await giveUpMountPoint(base, 7)
      await takesNoWrites()
    })

    it('stays while something is mounted there', async () => {
      await claimMountPoint(base, 7, point())
      await guard()
      const mount = await mountAtPath(point(), new MemoryFileSystem())
      await giveUpMountPoint(base, 7)
      await mount.unmount('clean')
      await takesNoWrites()
    })

    it('moves with the order: the old path is given up', async () => {
      await claimMountPoint(base, 7, point())
      await guard()
      await claimMountPoint(base, 7, join(base, 'mnt', 'other'))
      assert.equal(await files.stat(point()).catch(codeOf), 'ENOENT')
    })

    it('can be removed with all others of a data directory', async () => {
      await claimMountPoint(base, 7, point())
      await guard()
      await giveUpAllMountPoints(base)
      await files.rm(base, { recursive: true })
    })
  })
})
