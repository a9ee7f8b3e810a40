/** A primary and its replica as real processes, killed at moments that nobody chose. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { assert } from 'chai'
import { type Reply, ReplyError } from '../../../agent/adapters/socket/resp-reply-reader.ts'
import {
  dialStoreProgram,
  freePort,
  type StoreProgram,
  startStoreProgram,
} from '../../support/store-program.ts'

const KILLS = 8
const EVEN_MS_MAX = 60_000

describe('a primary and its replica as processes', () => {
  let root: string
  const running: StoreProgram[] = []

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'varve-replica-'))
  })

  afterEach(async () => {
    for (const one of running.splice(0)) await one.kill()
    rmSync(root, { recursive: true, force: true })
  })

  async function start(name: string, port: number, options: readonly string[] = []) {
    const program = await startStoreProgram(join(root, name), port, options)
    running.push(program)
    return program
  }

  it(`lose nothing that was acknowledged by kill -9, ${KILLS} times`, async function () {
    this.timeout(240_000)
    const [port, replicaPort] = [await freePort(), await freePort()]
    const follow = ['--replica-of', `127.0.0.1:${port}/a`]
    let primary = await start('primary', port)
    const admin = await dialStoreProgram(port)
    await admin.request(['NSNEW', 'a'])
    await admin.request(['NSSET', 'a', 'provable', '1'])
    await admin.request(['NSSET', 'a', 'history', '0'])
    let replica = await start('replica', replicaPort, follow)
    const writer = startWriter(() => port)
    for (let kill = 0; kill < KILLS; kill++) {
      // Long enough to be in the middle of things, never the same middle.
      await sleep(150 + 97 * kill)
      if (kill % 3 === 1) await ask(port, 'COMPACT', 'a').catch(() => undefined)
      if (kill % 2 === 0) {
        await replica.kill()
        replica = await start('replica', replicaPort, follow)
      } else {
        await primary.kill()
        primary = await start('primary', port)
      }
    }
    const acknowledged = await writer.stop()
    assert.isAbove(acknowledged.size, 100, 'the writer wrote')
    await ask(port, 'SET', 'last', 'x')
    assert.equal(await ask(port, 'REPLWAIT', '1', String(EVEN_MS_MAX)), 1)
    const [theirs, ours] = [await ask(port, 'ROOT'), await ask(replicaPort, 'ROOT')]
    assert.deepEqual(ours, theirs, 'the same records under the same serials')
    for (const [key, value] of acknowledged) {
      const found = await ask(replicaPort, 'GET', key)
      assert.isTrue(Buffer.isBuffer(found), `${key} is on the replica`)
      // A write in flight at a kill may have happened after the last one that was acknowledged.
      assert.isAtLeast(Number(String(found).split(' ')[0]), value)
    }
    assert.equal(await replica.stop(), 0)
    assert.equal(await primary.stop(), 0)
  })

  it('go on as they should: the replica is promoted, the old primary joins it', async function () {
    this.timeout(120_000)
    const [port, replicaPort] = [await freePort(), await freePort()]
    const primary = await start('one', port)
    const replica = await start('two', replicaPort, ['--replica-of', `127.0.0.1:${port}`])
    await ask(port, 'SET', 'x', '1', { namespace: 'default' })
    assert.equal(await ask(port, 'REPLWAIT', '1', '30000', { namespace: 'default' }), 1)
    await primary.kill()
    const refused = await ask(replicaPort, 'SET', 'x', '2', { namespace: 'default' })
    assert.instanceOf(refused, ReplyError)
    assert.equal(await ask(replicaPort, 'REPLICAOF', 'NO', 'ONE', { namespace: 'default' }), 'OK')
    await ask(replicaPort, 'SET', 'x', '2', { namespace: 'default' })
    const back = await start('one', port, ['--replica-of', `127.0.0.1:${replicaPort}`])
    assert.equal(await ask(replicaPort, 'REPLWAIT', '1', '30000', { namespace: 'default' }), 1)
    assert.equal(String(await ask(port, 'GET', 'x', { namespace: 'default' })), '2')
    assert.equal(await back.stop(), 0)
    assert.equal(await replica.stop(), 0)
  })
})

/** One command on a connection of its own. */
async function ask(
  port: number,
  ...words: (string | { readonly namespace: string })[]
): Promise<Reply> {
  const connection = await dialStoreProgram(port)
  const last = words.at(-1)
  const namespace = typeof last === 'object' ? last.namespace : 'a'
  try {
    await connection.request(['SELECT', namespace])
    return await connection.request(words.filter((word) => typeof word === 'string'))
  } finally {
    connection.close()
  }
}

/** Writes growing numbers over a few keys until it is stopped, through every death of the store. */
function startWriter(port: () => number) {
  const acknowledged = new Map<string, number>()
  let isStopped = false
  let count = 0
  async function write(): Promise<void> {
    while (!isStopped) {
      try {
        const connection = await dialStoreProgram(port())
        try {
          await connection.request(['SELECT', 'a'])
          while (!isStopped) {
            const numbers = Array.from({ length: 20 }, () => count++)
            await Promise.all(
              numbers.map(async (number) => {
                const key = `k${number % 331}`
                const value = `${number} ${'.'.repeat((number * 37) % 3000)}`
                const reply = await connection.request(['SET', key, value])
                if (Buffer.isBuffer(reply)) acknowledged.set(key, number)
              }),
            )
            // The machine is for the stores, not for this loop.
            await sleep(2)
          }
        } finally {
          connection.close()
        }
      } catch {
        await sleep(20)
      }
    }
  }
  const done = write()
  return {
    async stop() {
      isStopped = true
      await done
      return acknowledged
    },
  }
}
