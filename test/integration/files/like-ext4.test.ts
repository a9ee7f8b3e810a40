/**
 * A mounted volume beside a local directory (ext4 where this runs): each line does the same in both and must say the same,
 * from the mount at once and, where it leaves files, after the volume was opened again here and on a machine that has nothing.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from 'chai'
import type { Volume } from '../../../agent/engines/files/index.ts'
import type { Mount } from '../../../agent/engines/fuse/index.ts'
import { canMount, makePoint, mountAtPath, removePoint, shell } from '../fuse/mounted.ts'
import { TestStores } from './test-stores.ts'

/** Shows a failed line by its error number, so that messages of tools do not matter. */
const PERL = `perl -e 'use POSIX; use Fcntl; sub said { my ($what, $ok) = @_; print "$what ", $ok ? "ok" : 0 + $!, "\\n" }`
const FALLOCATE = `${PERL} sub fallocate { my ($mode, $at, $length) = @_; syscall(285, fileno(F), $mode, $at, $length) == 0 }
  sysopen(F, "f", O_RDWR|O_CREAT); syswrite(F, "x" x 100000) if -s F == 0;`

const LINES: readonly (readonly [what: string, line: string])[] = [
  [
    'times within both ranges',
    'for t in 0 -1 1 1600000000.123456789 -2000000000 9000000000; do touch -d @$t t; stat -c "%X %Y %y" t; done',
  ],
  [
    'names that are not UTF-8',
    "mkdir n && cd n && touch $'\\xff' $'a\\xc3' $'\\xed\\xb3\\xbf' é $'\\xef\\xbf\\xbd' && ln -s $'to\\xff' $'l\\xfe' && mv $'\\xff' $'m\\xff' && rm é && mkdir $'d\\x80' && touch $'d\\x80/\\x81' && LC_ALL=C ls -R | od -c && readlink $'l\\xfe' | od -c && stat -c %s $'l\\xfe'",
  ],
  [
    'names of 255 bytes that are not UTF-8',
    'touch "$(perl -e \'print "\\xff" x 255\')" && ls | wc -l; touch "$(perl -e \'print "\\xff" x 256\')" 2>/dev/null || echo long',
  ],
  [
    'extended attributes with names that are not UTF-8',
    "touch x && perl -e 'exit 0' && python3 -c \"import os; os.setxattr('x', b'user.\\\\xff', b'v'); print(os.listxattr('x'), os.getxattr('x', b'user.\\\\xff'))\"",
  ],
  [
    'ZERO_RANGE',
    'head -c 100000 /dev/urandom > z && fallocate -z -o 1000 -l 5000 z && tail -c +1001 z | head -c 5000 | tr -d "\\0" | wc -c && stat -c %s z; fallocate -z -o 99000 -l 9000 z; stat -c %s z; fallocate -z -n -o 200000 -l 9000 z; stat -c %s z',
  ],
  [
    'fallocate modes and bounds',
    `${FALLOCATE}
    said "plain", fallocate(0, 0, 5000); said "keep", fallocate(1, 200000, 5000); said "punch", fallocate(3, 10, 500);
    said "zero", fallocate(16, 10, 500); said "zero keep", fallocate(17, 150000, 500); said "punch without keep", fallocate(2, 0, 10);
    said "zero and punch", fallocate(18, 0, 10); said "zero length", fallocate(0, 0, 0); said "far", fallocate(0, 1 << 50, 10);
    said "far punch", fallocate(3, 1 << 50, 10); said "far zero", fallocate(16, 1 << 60, 10); print -s F, "\\n";'`,
  ],
  [
    'offsets and sizes beyond what a file may have',
    `${PERL} sysopen(F, "f", O_RDWR|O_CREAT);
    for my $at (1 << 45, 1 << 53, (1 << 53) + 1, 1 << 60, (1 << 62) + 12345) {
      said "truncate", truncate("f", $at); said "write", syscall(18, fileno(F), "x", 1, $at) == 1;
      my $x = "-" x 10; said "read " . syscall(17, fileno(F), $x, 10, $at), 1;
      said "data", sysseek(F, $at, 3); said "hole", sysseek(F, $at, 4) } print -s F, "\\n";'`,
  ],
  [
    'O_TMPFILE',
    `${PERL} my $flags = 020000000 | O_DIRECTORY; said "open", sysopen(F, ".", O_RDWR|$flags, 0640); syswrite(F, "hidden");
    my @s = stat F; printf "%o %d %d\\n", $s[2], $s[3], $s[7]; print join(",", sort grep !/^\\./, glob("*")), "\\n";
    my $from = "/proc/self/fd/" . fileno(F); said "link", syscall(265, -100, $from, -100, my $to = "given", 0x400) == 0; close F;
    open(G, "given"); print <G>, "\\n"; @s = stat "given"; print "$s[3]\\n";
    said "exclusive", sysopen(H, ".", O_RDWR|O_EXCL|$flags, 0640); $from = "/proc/self/fd/" . fileno(H);
    said "link", syscall(265, -100, $from, -100, $to = "refused", 0x400) == 0; said "read only", sysopen(I, ".", O_RDONLY|$flags, 0640);'`,
  ],
  ['sync of everything', 'echo x > s && sync s && sync -f s && sync -d s && echo synced'],
  [
    'links, names and sizes at their bounds',
    `mkdir b && cd b && touch a && ln a c && stat -c "%h %s" a c; ln -s "$(head -c 4095 /dev/zero | tr '\\0' x)" l && stat -c %s l; ln -s "" e 2>/dev/null || echo empty; mknod dev c 4095 1048575 && stat -c "%t %T" dev; chown 4294967294:4294967294 a && stat -c "%u %g" a; chmod 7777 a && stat -c %a a`,
  ],
]

/** What only saturates alike: ext4's own bounds are 1901 and 2446, ours 1677 and 2262. */
const WIDE_TIMES = [
  '99999999999',
  '-99999999999',
  '9223372036854775807',
  '-9223372036854775808',
  '15032385536',
  '9223372037',
]

describe('a mounted volume beside a local file system', () => {
  let stores: TestStores
  let root: string
  let local: string
  let point: string
  let volume: Volume
  let mount: Mount

  before(async function () {
    if (!canMount) return this.skip()
    point = await makePoint()
    local = mkdtempSync(join(tmpdir(), 'varve-local-'))
    root = mkdtempSync(join(tmpdir(), 'varve-volume-'))
    stores = new TestStores()
    volume = await stores.open(root)
    mount = await mountAtPath(point, volume)
  })
  after(async () => {
    if (!mount) return
    await mount.unmount('detach')
    await volume.close()
    for (const made of [root, local]) rmSync(made, { recursive: true, force: true })
    await removePoint(point)
  })

  LINES.forEach(([what, line], index) => {
    it(`says the same of ${what}`, async function () {
      // The calls that Perl has no name for are numbered as on this processor.
      if (line.includes('syscall(') && process.arch !== 'x64') this.skip()
      const inFolder = `mkdir test-${index} && cd test-${index} && ${line}`
      const here = await shell(inFolder, local)
      const there = await shell(inFolder, point)
      assert.equal(there.out, here.out)
      assert.equal(there.code, here.code)
      assert.notEqual(here.out, '')
    })
  })

  it('takes any time without an error, and shows the nearest that it has', async () => {
    for (const seconds of WIDE_TIMES) {
      const { out, code } = await shell(`touch -d @${seconds} wide && stat -c %Y wide`, point)
      assert.equal(code, 0, out)
      const bounded = Math.max(-9223372036, Math.min(9223372036, Number(seconds)))
      assert.equal(Number(out), bounded, seconds)
    }
  })

  it('has all of it still after it was opened again, and on a machine that has nothing', async () => {
    const look =
      'find . -name wide -prune -o -printf "%P %y %m %n %s %l\\n" | LC_ALL=C sort | od -c | sha256sum; cat test-4/z | sha256sum'
    const before = await shell(look, point)
    await volume.syncDispersed()
    await mount.unmount('clean')
    await volume.close()
    volume = await stores.open(root)
    mount = await mountAtPath(point, volume)
    assert.deepEqual(await shell(look, point), before)
    await mount.unmount('clean')
    await volume.close()
    stores.commits.epoch++
    rmSync(root, { recursive: true })
    root = mkdtempSync(join(tmpdir(), 'varve-volume-'))
    volume = await stores.open(root)
    mount = await mountAtPath(point, volume)
    assert.deepEqual(await shell(look, point), before)
  })
})
