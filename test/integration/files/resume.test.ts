/**
 * The process that serves a mount is killed again and again while programs work on it: they wait and go on, with their open files;
 * nothing is done twice, nothing is lost, and nothing reaches the local disk.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import * as files from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { assert } from 'chai'
import { FuseHolderClient, isFuseHolderThere } from '../../../agent/adapters/kernel/fuse-holder.ts'
import { releaseMountPoint } from '../../../agent/adapters/kernel/guarded-point.ts'
import { mountAt, readMountTable } from '../../../agent/adapters/kernel/mount-table.ts'
import { holderSocket } from '../../../agent/adapters/process/run-sockets.ts'
import { canMount, finished, run, shell } from '../fuse/mounted.ts'

const SERVER = join(import.meta.dirname, 'resume-server.ts')
const PROGRAM = join(import.meta.dirname, '../../../agent/main.ts')
const KILLS = 5

/** Every call must succeed; changes of names would fail if they were done twice. */
const WORK = `use POSIX; use Fcntl; use IO::Handle;
sub must { my ($ok, $what) = @_; die "$what: $!\\n" unless $ok }
must(sysopen(my $log, "log", O_WRONLY|O_CREAT|O_APPEND), "open"); must(sysopen(my $kept, "kept", O_RDWR|O_CREAT), "open");
must(unlink("kept"), "unlink"); mkdir "stop"; mkdir "list"; for (1 .. 300) { open(my $f, ">", "list/n$_") or die "list: $!"; }
opendir(my $d, "list"); my %seen; for (1 .. 100) { $seen{readdir $d}++ } my $n = 0;
until (-e "$ARGV[0]") { $n++;
  must(syswrite($log, "$n\\n") == length "$n\\n", "append"); must($log->sync, "fsync") if $n % 7 == 0;
  must(sysseek($kept, 0, 0) && syswrite($kept, pack("N", $n)) == 4, "kept");
  must(mkdir("d$n"), "mkdir"); must(sysopen(my $f, "d$n/f", O_WRONLY|O_CREAT|O_EXCL), "create"); must(syswrite($f, "x$n"), "write");
  must(link("d$n/f", "l$n"), "link"); must(rename("d$n/f", "d$n/g"), "rename"); must(symlink("g", "d$n/s"), "symlink");
  if ($n % 2) { must(unlink("d$n/g") && unlink("d$n/s") && unlink("l$n"), "unlink"); must(rmdir("d$n"), "rmdir"); } }
while (defined(my $name = readdir $d)) { $seen{$name}++ } my @twice = grep { $seen{$_} != 1 } keys %seen;
must(sysseek($kept, 0, 0), "seek"); sysread($kept, my $last, 4); print "$n ", unpack("N", $last), " ", scalar(keys %seen), " @twice\\n";`

describe('A mount whose process is killed', function () {
  // Each start of a process takes seconds on a busy machine, and nothing here depends on how many.
  this.timeout(300_000)
  let dataDir: string
  let point: string
  let server: ChildProcess
  let holder: ChildProcess

  before(function () {
    if (!canMount) this.skip()
  })
  beforeEach(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'vr-'))
    point = join(dataDir, 'mnt/history')
    mkdirSync(join(dataDir, 'mounts/7/volume'), { recursive: true })
    holder = spawn(
      process.execPath,
      [PROGRAM, 'unit', 'hold', '--data', dataDir, '--name', 'mount-7'],
      { stdio: 'inherit' },
    )
    await until(() => isFuseHolderThere(holderSocket(dataDir, 'mount-7')))
  })
  afterEach(async () => {
    if (!dataDir) return
    for (const child of [server, holder]) child?.kill('SIGKILL')
    for (const { path } of await readMountTable()) {
      if (path.startsWith(`${dataDir}/`)) await run(`umount -l '${path}'`)
    }
    await releaseMountPoint(point)
    rmSync(dataDir, { recursive: true, force: true })
  })

  async function serve(): Promise<{ gapMs?: number; deadMounts: number }> {
    server = spawn(process.execPath, [SERVER, dataDir, point], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    assert(server.stdout)
    const [line] = await once(createInterface(server.stdout), 'line')
    return JSON.parse(String(line))
  }

  async function kill(): Promise<void> {
    const ended = once(server, 'exit')
    server.kill('SIGKILL')
    await ended
  }

  /** The holder has what this server mounted. */
  async function isHeld(): Promise<void> {
    await until(() => {
      const client = new FuseHolderClient(holderSocket(dataDir, 'mount-7'))
      const taken = client.take()
      client.close()
      for (const fd of taken?.descriptors ?? []) closeSync(fd)
      return taken !== undefined
    })
  }

  it(`${KILLS} times goes on each time: programs wait, keep their files, and do everything once`, async () => {
    await serve()
    await isHeld()
    const device = (await mountAt(point))?.device
    const stop = join(dataDir, 'stop')
    const script = join(dataDir, 'work.pl')
    await files.writeFile(script, WORK)
    const work = finished(
      spawn('bash', ['-c', 'cd "$0" && exec perl "$1" "$2"', point, script, stop], {
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    )
    const gaps: number[] = []
    for (let round = 0; round < KILLS; round++) {
      await grown(join(point, 'log'))
      await new Promise((resolve) => setTimeout(resolve, (round * 37) % 100))
      await kill()
      const found = await serve()
      assert.equal(found.deadMounts, 0)
      gaps.push(found.gapMs ?? Number.NaN)
    }
    await files.writeFile(stop, '')
    const { out, code } = await work
    assert.equal(code, 0, out)
    const [count = 0, kept, names, twice] = out.trim().split(' ').map(Number)
    assert.isAbove(count, KILLS)
    assert.deepEqual([kept, names, twice], [count, 302, undefined], out)
    const wanted = Array.from({ length: count }, (_, n) => `${n + 1}\n`).join('')
    assert.equal(await files.readFile(join(point, 'log'), 'utf8'), wanted)
    const left = (await files.readdir(point)).filter((name) => name.startsWith('d'))
    assert.lengthOf(left, Math.floor(count / 2))
    assert.isTrue(
      gaps.every((gap) => gap > 0),
      `gaps of ${gaps.join(', ')} ms`,
    )
    assert.equal((await mountAt(point))?.device, device, 'the same mount all the time')
  })

  it('and then ends cleanly: the mount goes, and the holder with it', async () => {
    await serve()
    await isHeld()
    await files.writeFile(join(point, 'a'), 'kept')
    await kill()
    await serve()
    const ends = [once(server, 'exit'), once(holder, 'exit')]
    server.kill('SIGTERM')
    await Promise.all(ends)
    assert.isUndefined(await mountAt(point))
    assert.notEqual((await shell('touch x', point)).code, 0, 'the place takes no writes')
  })

  it('is mounted anew where somebody took the mount away meanwhile', async () => {
    await serve()
    await isHeld()
    await files.writeFile(join(point, 'a'), 'kept')
    await kill()
    await run(`umount -l '${point}'`)
    assert.notEqual((await shell('touch x', point)).code, 0, 'the place takes no writes')
    const found = await serve()
    assert.isUndefined(found.gapMs)
    assert.equal(await files.readFile(join(point, 'a'), 'utf8'), 'kept')
    await isHeld()
    await kill()
    assert.isAbove(
      (await serve()).gapMs ?? Number.NaN,
      0,
      'the new mount is held as the old one was',
    )
  })
})

/** Waits until a file grew: the program that writes it is at work. */
async function grown(path: string): Promise<void> {
  const size = () =>
    files.stat(path).then(
      ({ size }) => size,
      () => 0,
    )
  const before = await size()
  while ((await size()) <= before) await new Promise((resolve) => setTimeout(resolve, 10))
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20))
}
