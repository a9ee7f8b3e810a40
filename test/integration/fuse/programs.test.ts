/** Ordinary programs and blockchain nodes' habits on a real mount of the model in memory. */
import { constants, type Stats } from 'node:fs'
import * as files from 'node:fs/promises'
import { join } from 'node:path'
import { assert } from 'chai'
import { codeOf } from '../../../agent/base/errors.ts'
import type { Mount } from '../../../agent/engines/fuse/index.ts'
import { MemoryFileSystem } from '../../support/memory-file-system.ts'
import { canMount, makePoint, mountAtPath, removePoint, run, shell } from './mounted.ts'

const MIB = 2 ** 20

describe('a mount, used by programs', () => {
  let point: string
  let mount: Mount
  let memory: MemoryFileSystem
  const at = (...names: string[]): string => join(point, ...names)

  before(async function () {
    if (!canMount) return this.skip()
    point = await makePoint()
    memory = new MemoryFileSystem({ totalBytes: 2 ** 30 })
    mount = await mountAtPath(point, memory)
  })
  after(async () => {
    await mount?.unmount('clean')
    if (point) await removePoint(point)
  })

  describe('through node:fs', () => {
    it('writes, reads, appends and truncates', async () => {
      await files.writeFile(at('a'), 'one')
      await files.appendFile(at('a'), 'two')
      assert.equal(await files.readFile(at('a'), 'utf8'), 'onetwo')
      await files.truncate(at('a'), 4)
      await files.writeFile(at('b'), 'x')
      await files.writeFile(at('b'), '') // O_TRUNC
      assert.equal(await files.readFile(at('a'), 'utf8'), 'onet')
      assert.equal((await files.stat(at('b'))).size, 0)
    })

    it('makes, lists, moves and removes directories and links', async () => {
      await files.mkdir(at('d/e/f'), { recursive: true })
      await files.symlink('../a', at('d/sl'))
      await files.link(at('a'), at('d/hard'))
      assert.equal(await files.readlink(at('d/sl')), '../a')
      assert.equal((await files.stat(at('d/hard'))).nlink, 2)
      assert.equal(await files.realpath(at('d/sl')), at('a'))
      await files.rename(at('d'), at('g'))
      const kinds = await files.readdir(at('g'), { withFileTypes: true })
      assert.deepEqual(
        kinds.map((one) => [one.name, one.isDirectory(), one.isSymbolicLink()]).sort(),
        [
          ['e', true, false],
          ['hard', false, false],
          ['sl', false, true],
        ],
      )
      await files.rm(at('g'), { recursive: true })
      assert.equal(await files.access(at('g')).catch(codeOf), 'ENOENT')
    })

    it('changes mode, owner and times', async () => {
      await files.chmod(at('a'), 0o640)
      await files.chown(at('a'), 12, 34)
      await files.utimes(at('a'), 1_600_000_000.25, 5)
      const { mode, uid, gid, atimeMs, mtimeMs } = await files.stat(at('a'))
      assert.deepEqual(
        [mode & 0o7777, uid, gid, atimeMs, mtimeMs],
        [0o640, 12, 34, 1_600_000_000_250, 5000],
      )
    })

    it('shows failures by their names', async () => {
      await files.mkdir(at('full/x'), { recursive: true })
      const attempts: [attempt: () => Promise<unknown>, code: string][] = [
        [() => files.readFile(at('none')), 'ENOENT'],
        [() => files.mkdir(at('full')), 'EEXIST'],
        [() => files.rmdir(at('full')), 'ENOTEMPTY'],
        [() => files.readFile(at('full')), 'EISDIR'],
        [() => files.readdir(at('a')), 'ENOTDIR'],
        [() => files.writeFile(at('n'.repeat(256)), ''), 'ENAMETOOLONG'],
        [() => files.rename(at('full'), at('full/x/y')), 'EINVAL'],
        [() => files.link(at('full'), at('again')), 'EPERM'],
        [() => files.truncate(at('a'), 2 ** 45), 'EFBIG'],
        [() => files.open(at('a'), 'wx'), 'EEXIST'],
      ]
      for (const [attempt, code] of attempts)
        assert.equal(await attempt().then(() => 'no failure', codeOf), code)
    })

    it('keeps any bytes at any offsets', async () => {
      const file = await files.open(at('random'), 'w+')
      const model = Buffer.alloc(3 * MIB)
      for (let step = 0; step < 60; step++) {
        const offset = (step * 7919 * 4099) % (2 * MIB)
        const bytes = Buffer.alloc(1 + ((step * 104_729) % (MIB - 1)), step + 1)
        await file.write(bytes, 0, bytes.length, offset)
        model.set(bytes, offset)
      }
      const { size } = await file.stat()
      const into = Buffer.alloc(size)
      await file.read(into, 0, size, 0)
      await file.close()
      assert.isTrue(into.equals(model.subarray(0, size)))
    })

    it('carries sockets and fifos', async () => {
      // In a process of its own: listen(2) and unlink of a socket are synchronous calls.
      const script =
        "const s = net.createServer((c) => c.end('hello')).listen('sock', () => " +
        "net.createConnection('sock').on('data', (d) => (console.log(String(d)), s.close())))"
      assert.equal(await run(`'${process.execPath}' -e "${script}"`, point), 'hello\n')
      assert.equal(await run('mkfifo p; (echo through > p &); cat p', point), 'through\n')
    })

    it('keeps a file that is open after its last name is gone, and frees it then', async () => {
      const before = memory.counts.inodes
      const file = await files.open(at('unlinked'), 'w+')
      await file.write('data')
      await files.unlink(at('unlinked'))
      await file.write('more')
      const into = Buffer.alloc(8)
      await file.read(into, 0, 8, 0)
      assert.equal(into.toString(), 'datamore')
      assert.equal((await file.stat()).nlink, 0)
      await file.close()
      await eventually(() => memory.counts.inodes === before)
    })
  })

  describe('through the tools of the system', () => {
    it('copies a tree byte for byte, with modes, links and times', async () => {
      await run(
        'mkdir tree && cp -a /etc/. tree/ && cp -a tree copy && diff -r --no-dereference tree copy',
        point,
      )
      await run(
        'tar -cf tree.tar tree && mkdir out && tar -xpf tree.tar -C out && diff -r --no-dereference tree out/tree',
        point,
      )
      const list = 'find . -printf "%P %y %m %s %l %T@\\n" | grep -v "^ " | sort'
      assert.equal(await run(list, at('tree')), await run(list, at('copy')))
      await run('rm -r tree copy out tree.tar', point)
    })

    it('copies large files through every path that dd has', async () => {
      await run('dd if=/dev/urandom of=src bs=1M count=24 status=none', point)
      const copies = [
        'dd if=src of=dst bs=128k status=none',
        'dd if=src of=dst bs=1M oflag=direct status=none',
        'dd if=src of=dst bs=1M iflag=direct conv=fsync status=none',
        'dd if=src of=dst bs=333 count=20000 conv=notrunc status=none',
        'dd if=src of=dst bs=4M oflag=append conv=notrunc,fdatasync status=none; truncate -s 24M dst',
        'cp --reflink=never src dst',
        'cat src > dst',
        'mv src moved && mv moved src && cp src dst',
      ]
      for (const copy of copies) {
        await run(copy, point)
        await run('cmp src dst', point)
      }
      await run('rm src dst', point)
    })

    it('keeps holes', async () => {
      await run(
        'truncate -s 64M sparse && dd if=/dev/urandom of=sparse bs=64k seek=512 count=1 conv=notrunc status=none',
        point,
      )
      await run('cp --sparse=auto sparse sparse2 && cmp sparse sparse2', point)
      const blocks = (await run('stat -c %b sparse sparse2', point)).trim().split('\n').map(Number)
      for (const count of blocks) assert.isBelow(count * 512, MIB)
      await run('fallocate -p -o 33554432 -l 65536 sparse && rm sparse2', point)
      assert.equal(await run('tr -d "\\000" < sparse | wc -c', point), '0\n')
      await run('rm sparse', point)
    })

    it('runs a program from the mount, which maps it into memory', async () => {
      await run('cp "$(command -v bash)" shell && chmod 755 shell', point)
      assert.equal(await run('./shell -c "echo mapped"', point), 'mapped\n')
      await run('rm shell', point)
    })

    it('asks permissions of the kernel for other users', async () => {
      await run('umask 077; echo secret > private; chmod 755 .', point)
      const nobody = (command: string) =>
        shell(`setpriv --reuid=65534 --regid=65534 --clear-groups ${command}`, point)
      assert.notEqual((await nobody('cat private')).code, 0)
      assert.notEqual((await nobody('touch new')).code, 0)
      assert.notEqual((await nobody('rm -f private')).code, 0)
      await run('mkdir -m 1777 shared', point)
      assert.equal((await nobody('touch shared/own')).code, 0)
      assert.equal(await run('stat -c %u:%g shared/own', point), '65534:65534\n')
      await run('rm -r private shared', point)
    })

    it('shows its space to df, and says so when it is full', async () => {
      const [size, free] = (await run('df -B1 --output=size,avail . | tail -1', point))
        .trim()
        .split(/\s+/)
        .map(Number)
      assert.equal(size, 2 ** 30)
      assert.isAtMost(free ?? 0, 2 ** 30)
      const { code, out } = await shell(
        'fallocate -l 900M big && dd if=/dev/zero of=rest bs=1M count=200 status=none',
        point,
      )
      assert.notEqual(code, 0)
      assert.include(out, 'No space left')
      await run('rm big rest', point)
    })

    it('lists 5,000 files and finds all of them again while they go', async () => {
      await run(
        'mkdir many && cd many && seq -f "history-%05g-00000000.era1" 1 5000 | xargs touch',
        point,
      )
      assert.equal(await run('ls many | wc -l', point), '5000\n')
      assert.equal(await run('ls many/*-01234-*.era1', point), 'many/history-01234-00000000.era1\n')
      assert.equal(
        await run('find many -name "*.era1" -delete; rmdir many; ls | grep -c many || true', point),
        '0\n',
      )
    })
  })

  describe('as geth uses its ancient directory', () => {
    it('locks a file once, and shares it with readers', async () => {
      await run('touch FLOCK', point)
      const line =
        'exec 9<FLOCK; flock -xn 9 && echo held; flock -n FLOCK echo twice || echo refused'
      assert.equal(await run(line, point), 'held\nrefused\n')
      const shared =
        'exec 9<FLOCK; flock -sn 9; flock -sn FLOCK echo shared; flock -xn FLOCK echo no || echo refused'
      assert.equal(await run(shared, point), 'shared\nrefused\n')
      assert.equal(await run('flock -xn FLOCK echo free', point), 'free\n')
    })

    it('writes .meta in place, syncs file and directory, and renames an index over another', async () => {
      const meta = await files.open(at('t.meta'), constants.O_RDWR | constants.O_CREAT)
      for (const text of ['000002', '000013', '0000ff']) {
        await meta.write(text, 0)
        await meta.sync()
      }
      await meta.close()
      assert.equal(await files.readFile(at('t.meta'), 'utf8'), '0000ff')

      await files.writeFile(at('t.cidx'), 'old index')
      const open = await files.open(at('t.cidx'), 'r')
      const temporary = await files.open(at('t.cidx.tmp'), 'wx')
      await temporary.writeFile('new')
      await temporary.datasync()
      await temporary.close()
      await files.rename(at('t.cidx.tmp'), at('t.cidx'))
      const directory = await files.open(point, 'r')
      await directory.sync()
      await directory.close()
      assert.equal(await files.readFile(at('t.cidx'), 'utf8'), 'new')
      assert.equal(await open.readFile('utf8'), 'old index')
      await open.close()
    })

    it('cuts the head of a table and resets a directory by renaming it', async () => {
      await run(
        'mkdir -p state && for n in 0 1 2 3; do head -c 100000 /dev/urandom > state/t.000$n.cdat; done',
        point,
      )
      await files.truncate(at('state/t.0001.cdat'), 777)
      await run(
        'rm state/t.0002.cdat state/t.0003.cdat && mv state state.tmp && mkdir state && rm -r state.tmp',
        point,
      )
      assert.deepEqual(await files.readdir(at('state')), [])
    })

    it('shows nothing in an empty root that was not put there', async () => {
      const other = await makePoint()
      const empty = await mountAtPath(other, new MemoryFileSystem())
      assert.deepEqual(await files.readdir(other), [])
      await empty.unmount('clean')
      await removePoint(other)
    })
  })

  describe('as Bitcoin Core uses its blocks directory', () => {
    it('preallocates from offset 0 in growing steps, writes at the tail, cuts to the real size', async () => {
      let written = Buffer.alloc(0)
      for (let step = 1; step <= 3; step++) {
        await run(`fallocate -o 0 -l ${step * 16}M blk00000.dat`, point)
        const file = await files.open(at('blk00000.dat'), 'r+')
        for (let block = 0; block < 20; block++) {
          const bytes = Buffer.alloc(100_000 + block, step * 20 + block)
          const tail = Buffer.alloc(Math.min(4096, written.length))
          await file.read(tail, 0, tail.length, written.length - tail.length)
          assert.isTrue(tail.equals(written.subarray(written.length - tail.length)))
          await file.write(bytes, 0, bytes.length, written.length)
          written = Buffer.concat([written, bytes])
        }
        await file.close()
        assert.equal((await files.stat(at('blk00000.dat'))).size, step * 16 * MIB)
      }
      const file = await files.open(at('blk00000.dat'), 'r+')
      await file.truncate(written.length)
      await file.datasync()
      await file.close()
      assert.isTrue((await files.readFile(at('blk00000.dat'))).equals(written))
    })
  })

  it('serves many programs at once', async () => {
    const lines = Array.from(
      { length: 8 },
      (_, n) =>
        `mkdir w${n} && cd w${n} && for i in $(seq 15); do head -c ${1000 * (n + 1)} /dev/urandom > f$i; cp f$i g$i; cmp f$i g$i; mv g$i h$i; done; ls | wc -l`,
    )
    const results = await Promise.all(lines.map((line) => run(line, point)))
    assert.deepEqual(
      results,
      lines.map(() => '30\n'),
    )
  })

  it('appends of two programs never overwrite each other', async () => {
    const writer = (letter: string) =>
      run(`for i in $(seq 300); do echo ${letter.repeat(9)} >> log; done`, point)
    await Promise.all([writer('a'), writer('b')])
    const lines = (await files.readFile(at('log'), 'utf8')).trimEnd().split('\n')
    assert.lengthOf(lines, 600)
    assert.isTrue(lines.every((line) => line === 'aaaaaaaaa' || line === 'bbbbbbbbb'))
  })
})

describe('a mount for reading only', () => {
  it('shows what is there and takes no change', async function () {
    if (!canMount) return this.skip()
    const point = await makePoint()
    const memory = new MemoryFileSystem()
    const { handle } = memory.create(1, 'era1', 0o644, 2, { uid: 0, gid: 0, pid: 0 })
    memory.write(handle, 0, Buffer.from('history'))
    const mount = await mountAtPath(point, memory, { readOnly: true, cache: 'frozen' })
    assert.equal(await files.readFile(join(point, 'era1'), 'utf8'), 'history')
    const attempts = [
      () => files.writeFile(join(point, 'new'), ''),
      () => files.appendFile(join(point, 'era1'), 'x'),
      () => files.rm(join(point, 'era1')),
      () => files.chmod(join(point, 'era1'), 0o600),
    ]
    for (const attempt of attempts) assert.equal(await attempt().then(() => '', codeOf), 'EROFS')
    const shown: Stats = await files.stat(join(point, 'era1'))
    assert.equal(shown.size, 7)
    await mount.unmount('clean')
    await removePoint(point)
  })
})

/** Waits for what the kernel does a moment after a call returned. */
async function eventually(holds: () => boolean): Promise<void> {
  const end = performance.now() + 5000
  while (!holds()) {
    if (performance.now() > end) assert.fail('did not come to hold in 5 s')
    await new Promise((resolve) => setImmediate(resolve))
  }
}
