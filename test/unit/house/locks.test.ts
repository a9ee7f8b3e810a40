/** The locks of the house: each keeps a second process out, also one in a PID namespace of its own, and ends with any death. */
import { strict as assert } from 'node:assert'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { lockDirectory } from '../../../agent/adapters/kernel/directory-lock.ts'
import { openDataDirectory } from '../../../agent/adapters/process/data-directory.ts'
import { codeOf } from '../../../agent/base/errors.ts'

const LOCK_FILE = new URL('../../../agent/adapters/kernel/directory-lock.ts', import.meta.url).href
const canUnshare = spawnSync('unshare', ['-p', '-f', '--mount-proc', 'true']).status === 0

/** Locks a directory in a process of its own. @returns It, and `locked` or the code of its failure. */
async function lockElsewhere(folder: string, isApart: boolean) {
  const script = `
    import { lockDirectory } from ${JSON.stringify(LOCK_FILE)}
    try { lockDirectory(process.argv[1], 'x.lock'); console.log('locked') } catch (e) { console.log(e.code) }
    setInterval(() => undefined, 1000)`
  const node = [process.execPath, '--input-type=module', '-e', script, folder]
  const [command = '', ...args] = isApart
    ? ['unshare', '-p', '-f', '--kill-child', '--mount-proc', ...node]
    : node
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, said: said.toString().trim() }
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'close')
}

describe('A lock on a directory', () => {
  let folder: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'varve-lock-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const lock = () => {
    try {
      return lockDirectory(folder, 'x.lock')
    } catch (caught) {
      return codeOf(caught)
    }
  }

  it('keeps out this process too, until it is given back', () => {
    const unlock = lockDirectory(folder, 'x.lock')
    assert.equal(lock(), 'DISK_LOCKED')
    unlock()
    unlock()
    assert.equal(typeof lock(), 'function')
  })

  it('holds although its file was taken for a stale one and removed', () => {
    lockDirectory(folder, 'x.lock')
    rmSync(join(folder, 'x.lock'))
    assert.equal(lock(), 'DISK_LOCKED')
  })

  it('is not held by a file that names a process which lives', () => {
    writeFileSync(join(folder, 'x.lock'), `${process.pid} 1\n`)
    assert.equal(typeof lock(), 'function')
  })

  for (const isApart of [false, true]) {
    const where = isApart ? 'in another PID namespace' : 'beside'
    it(`keeps out a process ${where}, and is free after that is killed`, async function () {
      if (isApart && !canUnshare) this.skip()
      const unlock = lockDirectory(folder, 'x.lock')
      const refused = await lockElsewhere(folder, isApart)
      assert.equal(refused.said, 'DISK_LOCKED')
      await kill(refused.child)
      unlock()

      const { child, said } = await lockElsewhere(folder, isApart)
      assert.equal(said, 'locked')
      assert.equal(lock(), 'DISK_LOCKED')
      await kill(child)
      // The kernel ends the other namespace after its first process; how soon is its own affair.
      while (typeof lock() !== 'function') await setImmediate()
    })
  }

  it('keeps two agents off one data directory', async () => {
    const data = await openDataDirectory(folder)
    assert.equal(await openDataDirectory(folder).catch(codeOf), 'AGENT_ALREADY_RUNNING')
    data.release()
    ;(await openDataDirectory(folder)).release()
  })

  it('is refused as what it is where the directory cannot be made', () => {
    mkdirSync(join(folder, 'sub'))
    writeFileSync(join(folder, 'sub', 'file'), '')
    assert.throws(
      () => lockDirectory(join(folder, 'sub', 'file'), 'x.lock'),
      (caught) => codeOf(caught) === 'EEXIST' || codeOf(caught) === 'ENOTDIR',
    )
  })
})
