/** Mounts come and go: whatever happens to the process or the path, nothing hangs and nothing of others is touched. */
import { type ChildProcess, spawn } from 'node:child_process'
import * as files from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assert } from 'chai'
import { cleanStaleMount } from '../../../agent/adapters/kernel/mount-point.ts'
import { mountAt } from '../../../agent/adapters/kernel/mount-table.ts'
import { codeOf } from '../../../agent/base/errors.ts'
import type { FileSystem } from '../../../agent/engines/fuse/index.ts'
import { MemoryFileSystem } from '../../support/memory-file-system.ts'
import { withMethods } from '../../unit/fuse/connected.ts'
import { canMount, finished, makePoint, mountAtPath, removePoint, run, shell } from './mounted.ts'

const SERVER = fileURLToPath(new URL('./serve-memory.ts', import.meta.url))

/** Starts a process that mounts at a path; resolves when it has. */
async function serve(point: string, ...options: string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, [SERVER, point, ...options], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve())
    child.once('exit', (code) => reject(new Error(`server left with ${code}`)))
  })
  return child
}

describe('the life of a mount', () => {
  let point: string

  before(function () {
    if (!canMount) this.skip()
  })
  beforeEach(async () => {
    point = await makePoint()
  })
  afterEach(() => removePoint(point))

  describe('after its process was killed', () => {
    it('fails with ENOTCONN, and the next start cleans and mounts again', async () => {
      const child = await serve(point)
      await files.writeFile(join(point, 'a'), 'lost with the memory')
      const open = await files.open(join(point, 'a'), 'r')
      child.kill('SIGKILL')
      await finished(child)
      assert.equal(await files.stat(point).catch(codeOf), 'ENOTCONN')
      assert.include(['ENOTCONN', 'ECONNABORTED'], await open.read().catch(codeOf))

      const mount = await mountAtPath(point, new MemoryFileSystem())
      await files.writeFile(join(point, 'b'), 'new')
      assert.deepEqual(await files.readdir(point), ['b'])
      await open.close()
      await mount.unmount('clean')
      assert.isUndefined(await mountAt(point))
    })

    it('is cleaned however often that happened', async () => {
      for (let kill = 0; kill < 3; kill++) {
        const child = await serve(point)
        child.kill('SIGKILL')
        await finished(child)
      }
      assert.equal(await cleanStaleMount(point), 1)
      assert.equal(await cleanStaleMount(point), 0)
      assert.deepEqual(await files.readdir(point), [])
    })

    it('is known to be dead although the kernel still has its attributes', async () => {
      const child = await serve(point)
      await files.stat(point)
      child.kill('SIGKILL')
      await finished(child)
      assert.isTrue((await files.stat(point)).isDirectory(), 'out of the kernel’s cache')
      assert.equal(await cleanStaleMount(point), 1)
    })

    it('ends programs that were waiting on it', async () => {
      const child = await serve(point)
      const writer = shell('dd if=/dev/zero of=x bs=1M status=none', point)
      child.kill('SIGKILL')
      await finished(child)
      assert.notEqual((await writer).code, 0)
      assert.equal(await cleanStaleMount(point), 1)
    })
  })

  it('leaves no mount behind when its process exits without unmounting, and does not hold it up', async () => {
    const child = await serve(point, '--exit')
    const left = finished(child)
    const from = performance.now()
    child.stdin?.write('\n')
    assert.equal((await left).code, 0)
    assert.isBelow(performance.now() - from, 3000)
    assert.isUndefined(await mountAt(point))
  })

  it('ends with its process at SIGTERM', async () => {
    const child = await serve(point)
    const left = finished(child)
    child.kill('SIGTERM')
    assert.equal((await left).code, 0)
    assert.isUndefined(await mountAt(point))
  })

  describe('is refused', () => {
    const refuses = async (path: string, code: string): Promise<void> => {
      assert.equal(
        await mountAtPath(path, new MemoryFileSystem()).then(() => 'mounted', codeOf),
        code,
      )
    }

    it('over files', async () => {
      await files.writeFile(join(point, 'mine'), 'kept')
      await refuses(point, 'MOUNT_POINT_NOT_EMPTY')
      assert.equal(await files.readFile(join(point, 'mine'), 'utf8'), 'kept')
    })

    it('where others have mounted', async () => {
      await run(`mount -t tmpfs -o size=1m others ${point}`)
      await refuses(point, 'MOUNT_POINT_TAKEN')
      assert.equal(await cleanStaleMount(point), 0)
      assert.equal((await mountAt(point))?.source, 'others')
      await run(`umount ${point}`)
    })

    it('where a mount of Varve lives', async () => {
      const mount = await mountAtPath(point, new MemoryFileSystem())
      await refuses(point, 'MOUNT_POINT_TAKEN')
      await files.writeFile(join(point, 'alive'), '')
      await mount.unmount('clean')
    })

    it('at what is no directory', async () => {
      const file = join(point, 'file')
      await files.writeFile(file, '')
      await refuses(file, 'MOUNT_POINT_INVALID')
      await refuses(join(point, 'none'), 'MOUNT_POINT_INVALID')
      await refuses(join(point, 'none/deeper'), 'MOUNT_POINT_INVALID')
      await refuses('relative', 'MOUNT_POINT_INVALID')
      await files.symlink('/', join(point, 'link'))
      await refuses(join(point, 'link'), 'MOUNT_POINT_INVALID')
    })
  })

  describe('at its end', () => {
    it('is busy while a file is open, and goes on', async () => {
      const mount = await mountAtPath(point, new MemoryFileSystem())
      const file = await files.open(join(point, 'x'), 'w+')
      assert.equal(await mount.unmount('clean').catch(codeOf), 'MOUNT_BUSY')
      await file.write('still')
      await file.close()
      await mount.unmount('clean')
    })

    it('detached, serves open files until the last is closed', async () => {
      const memory = new MemoryFileSystem()
      const mount = await mountAtPath(point, memory)
      const file = await files.open(join(point, 'x'), 'w+')
      await mount.unmount('detach')
      assert.deepEqual(await files.readdir(point), [])
      await file.write('after')
      assert.equal((await file.stat()).size, 5)
      await file.close()
      await mount.closed
      assert.equal(memory.counts.handles, 0)
    })

    it('aborted, fails open files at once and gives back what they held', async () => {
      const memory = new MemoryFileSystem()
      const mount = await mountAtPath(point, memory)
      const file = await files.open(join(point, 'x'), 'w+')
      await mount.unmount('abort')
      assert.include(['ENOTCONN', 'ECONNABORTED'], await file.write('x').catch(codeOf))
      assert.equal(memory.counts.handles, 0)
      await file.close()
    })

    it('leaves alone what somebody mounted over it', async () => {
      const mount = await mountAtPath(point, new MemoryFileSystem())
      await run(`mount -t tmpfs -o size=1m others ${point}`)
      assert.equal(await mount.unmount('clean').catch(codeOf), 'MOUNT_BUSY')
      assert.equal((await mountAt(point))?.source, 'others')
      await run(`umount ${point}`)
      await mount.unmount('clean')
      assert.isUndefined(await mountAt(point))
    })

    it('is noticed when somebody unmounts by hand', async () => {
      const mount = await mountAtPath(point, new MemoryFileSystem())
      await run(`umount ${point}`)
      await mount.closed
    })

    it('writes back what programs changed in mapped memory or by write before it goes', async () => {
      const memory = new MemoryFileSystem()
      const mount = await mountAtPath(point, memory)
      await run('dd if=/dev/urandom of=x bs=1M count=8 status=none && sha256sum x > sum', point)
      await mount.unmount('clean')
      const again = await mountAtPath(point, memory)
      assert.equal(await run('sha256sum -c sum', point), 'x: OK\n')
      await again.unmount('clean')
    })
  })

  describe('with a file system that is slow', () => {
    /** Reads of the file wait until the signal aborts or the test lets them go. */
    function stuck(): { fileSystem: FileSystem; waiting: (() => void)[]; aborted: () => number } {
      const memory = new MemoryFileSystem()
      const { handle } = memory.create(1, 'remote', 0o644, 2, { uid: 0, gid: 0, pid: 0 })
      memory.write(handle, 0, Buffer.alloc(100_000, 0x61))
      const waiting: (() => void)[] = []
      let aborted = 0
      const fileSystem = withMethods(memory, {
        read: (of, offset, into, signal) =>
          new Promise((resolve) => {
            signal?.addEventListener('abort', () => aborted++)
            waiting.push(() => resolve(memory.read(of, offset, into)))
          }),
      })
      return { fileSystem, waiting, aborted: () => aborted }
    }

    it('serves other requests while a read waits, and then the read', async () => {
      const { fileSystem, waiting } = stuck()
      const mount = await mountAtPath(point, fileSystem)
      const reader = run('wc -c < remote; tr -d a < remote | wc -c', point)
      const letGo = setInterval(() => {
        for (const answer of waiting.splice(0)) answer()
      }, 20)
      for (let at = 0; at < 50; at++) await files.writeFile(join(point, `f${at}`), 'x')
      assert.equal(await reader, '100000\n0\n')
      clearInterval(letGo)
      await mount.unmount('clean')
    })

    it('lets a program that waits be killed, and can be aborted', async () => {
      const { fileSystem, waiting } = stuck()
      const mount = await mountAtPath(point, fileSystem)
      const reader = spawn('cat', [join(point, 'remote')], { stdio: 'ignore' })
      const left = finished(reader)
      while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve))
      reader.kill('SIGKILL')
      assert.equal((await left).signal, 'SIGKILL')
      const gone = mount.unmount('abort')
      for (const answer of waiting) answer()
      await gone
    })
  })
})
