/**
 * Programs whose timers tick while they use a mount: as on a local disk no call fails because of it, and nothing is done twice.
 * The file system is made slow, so that nearly every call is hit by a tick.
 */
import * as files from 'node:fs/promises'
import { join } from 'node:path'
import { assert } from 'chai'
import type { Mount, Reply } from '../../../agent/engines/fuse/index.ts'
import { MemoryFileSystem } from '../../support/memory-file-system.ts'
import { withMethods } from '../../unit/fuse/connected.ts'
import { canMount, makePoint, mountAtPath, removePoint, run, shell } from './mounted.ts'

/** Longer than the timers' tick. */
const SLOW_MS = 3

/** Perl, because it shows EINTR to the program and is on every machine that builds this. */
const TICKING = `
use Time::HiRes qw(setitimer ITIMER_REAL); use POSIX; use IO::Handle; use Fcntl;
my $ticks = 0; my %failures;
POSIX::sigaction(SIGALRM, POSIX::SigAction->new(sub { $ticks++ }, POSIX::SigSet->new, SA_RESTART));
setitimer(ITIMER_REAL, 0.002, 0.002);
sub attempt { my ($what, $call) = @_;
  for (1 .. 4) { return if $call->(); $failures{"$what: " . ($!+0)}++; last unless $! == EINTR; } }
`
const REPORT = `
setitimer(ITIMER_REAL, 0, 0); print $ticks > 10 ? "ticked" : "quiet";
print " $_ x$failures{$_}" for sort keys %failures; print "\\n";
`

/** 100 records with O_SYNC and O_APPEND, each written again when the call says that nothing happened. */
const APPENDS = `
sysopen(my $f, 'log', O_WRONLY|O_CREAT|O_APPEND|O_SYNC) or die;
for my $n (0 .. 99) { my $line = sprintf("%07d\\n", $n); attempt('write', sub { syswrite($f, $line) == 8 }); }
`

/** As RocksDB and LevelDB do: append, fdatasync, a manifest renamed over the old one, fsync of the directory. */
const COMMITS = `
sysopen(my $d, '.', O_RDONLY) or die; sysopen(my $w, 'wal', O_WRONLY|O_CREAT|O_APPEND) or die;
for my $n (0 .. 29) {
  attempt('append', sub { syswrite($w, "$n\\n") }); attempt('fsync', sub { $w->sync });
  attempt('open', sub { sysopen(F, "new.$n", O_WRONLY|O_CREAT|O_EXCL) });
  attempt('write', sub { syswrite(F, "wal $n\\n") }); attempt('fsync', sub { F->IO::Handle::sync });
  attempt('close', sub { close F }); attempt('rename', sub { rename "new.$n", 'CURRENT' });
  attempt('fsyncdir', sub { $d->sync }); attempt('stat', sub { stat 'CURRENT' });
  attempt('mkdir', sub { mkdir "d$n" }); attempt('rmdir', sub { rmdir "d$n" });
  attempt('open', sub { sysopen(R, 'CURRENT', O_RDONLY) }); attempt('read', sub { defined sysread(R, my $x, 99) });
}
`

describe('programs with timers on a mount', () => {
  let point: string
  let mount: Mount

  before(async function () {
    if (!canMount) return this.skip()
    point = await makePoint()
    mount = await mountAtPath(point, slow(new MemoryFileSystem({ totalBytes: 2 ** 30 })))
  })
  after(async () => {
    await mount?.unmount('clean')
    if (point) await removePoint(point)
  })

  const perl = (program: string): Promise<string> =>
    run(`perl -e '${`${TICKING}${program}${REPORT}`.replaceAll("'", `'\\''`)}'`, point)

  it('append 100 records with O_SYNC: no error, each is there once', async () => {
    assert.equal(await perl(APPENDS), 'ticked\n')
    const wanted = Array.from({ length: 100 }, (_, n) => `${String(n).padStart(7, '0')}\n`)
    assert.equal(await files.readFile(join(point, 'log'), 'utf8'), wanted.join(''))
  })

  it('append, sync, rename and sync the directory as log-structured databases do: no error', async () => {
    assert.equal(await perl(COMMITS), 'ticked\n')
    assert.equal(await files.readFile(join(point, 'CURRENT'), 'utf8'), 'wal 29\n')
    const wanted = Array.from({ length: 30 }, (_, n) => `${n}\n`)
    assert.equal(await files.readFile(join(point, 'wal'), 'utf8'), wanted.join(''))
  })

  it('commit to SQLite in each of its journal modes: no error, every row once', async function () {
    if ((await shell('python3 -c "import sqlite3"')).code !== 0) this.skip()
    const out = await run(`python3 -c "${SQLITE}"`, point)
    assert.equal(out, 'delete 40\npersist 40\nwal 40\n')
  })
})

const SQLITE = `
import signal, sqlite3
signal.signal(signal.SIGALRM, lambda *_: None)
signal.siginterrupt(signal.SIGALRM, False)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
for mode in ('delete', 'persist', 'wal'):
    db = sqlite3.connect(mode + '.db', isolation_level=None)
    db.execute('pragma journal_mode=' + mode); db.execute('pragma synchronous=full')
    db.execute('create table t (n integer primary key)')
    for n in range(40): db.execute('insert into t values (?)', (n,))
    db.close()
    db = sqlite3.connect(mode + '.db')
    assert db.execute('pragma integrity_check').fetchone() == ('ok',)
    print(mode, db.execute('select count(*) from t').fetchone()[0], flush=True)
signal.setitimer(signal.ITIMER_REAL, 0)
`

/** Every answer comes later than the next tick, but for those that a tree walk would never end with. */
function slow(memory: MemoryFileSystem): MemoryFileSystem {
  const late =
    <A extends unknown[], T>(call: (...args: A) => Reply<T>) =>
    async (...args: A): Promise<T> => {
      const answer = await call(...args)
      await new Promise((resolve) => setTimeout(resolve, SLOW_MS))
      return answer
    }
  return withMethods(memory, {
    lookup: late(memory.lookup.bind(memory)),
    attributes: late(memory.attributes.bind(memory)),
    create: late(memory.create.bind(memory)),
    open: late(memory.open.bind(memory)),
    read: late(memory.read.bind(memory)),
    write: late(memory.write.bind(memory)),
    sync: late(memory.sync.bind(memory)),
    syncDirectory: late(memory.syncDirectory.bind(memory)),
    rename: late(memory.rename.bind(memory)),
    unlink: late(memory.unlink.bind(memory)),
    makeDirectory: late(memory.makeDirectory.bind(memory)),
    removeDirectory: late(memory.removeDirectory.bind(memory)),
  }) as MemoryFileSystem
}
