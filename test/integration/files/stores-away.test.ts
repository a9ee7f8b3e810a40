/** Too few stores answer: a program that reads is told so in bounded time, whichever way it reads. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from 'chai'
import { NodeError } from '../../../agent/base/errors.ts'
import type { ChunkStore } from '../../../agent/engines/files/ports.ts'
import { canMount, makePoint, mountAtPath, removePoint, run, shell } from '../fuse/mounted.ts'
import { TestStores } from './test-stores.ts'

/** What the stores take to be given up. */
const GIVEN_UP_MS = 1500

describe('A mounted volume whose stores do not answer', () => {
  it('ends a buffered read with EIO in the time of a direct one, and serves again when they do', async function () {
    if (!canMount) return this.skip()
    const root = mkdtempSync(join(tmpdir(), 'varve-volume-'))
    const point = await makePoint()
    const stores = new TestStores()
    let areAway = false
    const volume = await stores.open(root, (chunks) => awayWhile(chunks, () => areAway))
    const mount = await mountAtPath(point, volume)
    await run(
      'for n in 1 2 3 4; do head -c 5000000 /dev/urandom > f$n; done; sha256sum f? > sums',
      point,
    )
    await volume.syncDispersed()
    volume.dropCache()
    areAway = true
    const lines = [
      'dd if=f1 of=/dev/null bs=1M count=1 iflag=direct',
      'dd if=f2 of=/dev/null bs=1M',
      'cat f3 > /dev/null',
      `perl -e 'open(F, "f4"); exit(defined sysread(F, my $x, 10) ? 0 : 1)'`,
    ]
    for (const line of lines) {
      await run('echo 1 > /proc/sys/vm/drop_caches')
      const from = performance.now()
      const { code } = await shell(line, point)
      const tookMs = performance.now() - from
      assert.notEqual(code, 0, line)
      assert.isAtLeast(tookMs, GIVEN_UP_MS - 100, line)
      assert.isBelow(tookMs, 2 * GIVEN_UP_MS, `${line}: it waited for the stores more than once`)
    }
    areAway = false
    await new Promise((resolve) => setTimeout(resolve, 2100))
    assert.equal((await shell('sha256sum -c sums', point)).code, 0)
    await mount.unmount('clean')
    await volume.close()
    await removePoint(point)
    rmSync(root, { recursive: true })
  }).timeout(60_000)
})

function awayWhile(chunks: ChunkStore, areAway: () => boolean): ChunkStore {
  const read: ChunkStore['read'] = async (chunk, signal) => {
    if (!areAway()) return chunks.read(chunk, signal)
    await new Promise((resolve) => setTimeout(resolve, GIVEN_UP_MS))
    throw new NodeError('CHUNK_UNAVAILABLE', 'too few stores answer')
  }
  return {
    read,
    store: (sources, signal) => chunks.store(sources, signal),
    release: (chunk) => chunks.release(chunk),
  }
}
