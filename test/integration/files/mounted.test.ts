/** A volume behind a real kernel mount: ordinary programs write, the machine is lost, another shows the same bytes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from 'chai'
import type { Mount } from '../../../agent/engines/fuse/index.ts'
import { canMount, makePoint, mountAtPath, removePoint, run } from '../fuse/mounted.ts'
import { TestStores } from './test-stores.ts'

/** Everything below a directory: kinds, modes, links, sizes, times, and a digest of all contents. */
const LOOK = `find . -mindepth 1 -printf '%P %y %m %n %s %T@ %l\\n' | grep -v ' d ' | LC_ALL=C sort;
  find . -mindepth 1 -type d -printf '%P %m %n\\n' | LC_ALL=C sort;
  find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum`

describe('A mounted volume', () => {
  let roots: string[] = []
  let point: string
  let mount: Mount | undefined

  before(async function () {
    if (!canMount) return this.skip()
    point = await makePoint()
  })
  afterEach(async () => {
    await mount?.unmount('detach')
    mount = undefined
    for (const root of roots) rmSync(root, { recursive: true })
    roots = []
  })
  after(async () => {
    if (point) await removePoint(point)
  })

  const root = (): string => {
    const made = mkdtempSync(join(tmpdir(), 'varve-volume-'))
    roots.push(made)
    return made
  }

  it('keeps what programs made: after a restart, and on a machine that has nothing', async () => {
    const stores = new TestStores()
    const first = root()
    let volume = await stores.open(first)
    mount = await mountAtPath(point, volume)
    await run(
      `mkdir -p a/b && cp -a /usr/include/linux a/ && tar cf all.tar a && ln -s all.tar link && ln all.tar hard
       git init -q repo && cd repo && git config user.email t@t && git config user.name t && cp -r ../a . && git add . && git commit -qm x
       git fsck --strict && cd .. && rm -rf repo/a && mv a moved && truncate -s 100M sparse && fallocate -l 3M prealloc
       dd if=/dev/urandom of=random bs=100k count=50 conv=fsync status=none
       dd if=/dev/urandom of=random bs=777 seek=900 count=50 conv=notrunc,fsync status=none
       for i in $(seq 200); do echo "line $i" >> log; done; chmod 600 log; sync`,
      point,
    )
    const look = await run(LOOK, point)
    assert.isAbove(look.split('\n').length, 500)
    await mount.unmount('clean')
    await volume.close()

    volume = await stores.open(first)
    mount = await mountAtPath(point, volume)
    assert.equal(await run(LOOK, point), look)
    await volume.syncDispersed()
    await mount.unmount('clean')
    await volume.close()

    stores.commits.epoch++
    volume = await stores.open(root())
    mount = await mountAtPath(point, volume)
    assert.equal(await run(LOOK, point), look)
    assert.equal(volume.figures().undispersedBytes, 0)
    await run(`rm -rf moved repo && cmp all.tar hard && tar tf all.tar > /dev/null`, point)
    await mount.unmount('clean')
    await volume.close()
  })
})
