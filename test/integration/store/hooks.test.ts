/** Hooks of a store, with 0-db's arguments, as a real program that is started by a real store. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { assert } from 'chai'
import { hookRunner } from '../../../agent/adapters/process/hook-runner.ts'
import { silentLog } from '../../support/log-store.ts'
import { dialStoreProgram, freePort, startStoreProgram } from '../../support/store-program.ts'

describe('hooks', () => {
  let root: string
  let program: string
  let called: string

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'varve-hooks-'))
    program = join(root, 'hook')
    called = join(root, 'called')
    script('')
  })

  afterEach(() => rmSync(root, { recursive: true, force: true }))

  /** A program that keeps what it was called with, and then does something. */
  function script(rest: string): void {
    const keep = `for arg; do printf '<%s>' "$arg" >> ${called}; done; echo >> ${called}`
    writeFileSync(program, `#!/bin/sh\n${keep}\n${rest}\n`)
    chmodSync(program, 0o755)
  }

  const calls = () => readFileSync(called, 'utf8').trim().split('\n')

  it('are told of everything, and listed for a minute', async function () {
    this.timeout(60_000)
    const port = await freePort()
    const data = join(root, 'data')
    const store = await startStoreProgram(data, port, ['--hook', program])
    const client = await dialStoreProgram(port)
    await client.request(['NSNEW', 'a'])
    await client.request(['NSSET', 'a', 'maxsize', '1000000'])
    await client.request(['SELECT', 'a'])
    await client.request(['SET', 'x', '1'])
    await client.request(['SET', 'x', '2'])
    await client.request(['NSJUMP'])
    await client.request(['SET', 'y', '1'])
    await client.request(['RELOAD', 'a'])
    await client.request(['SELECT', 'default'])
    await client.request(['NSDEL', 'a'])
    await sleep(500)
    const listed = (await client.request(['HOOKS'])) as [
      Buffer,
      Buffer[],
      number,
      number,
      number,
      number,
    ][]
    const types = listed.map(([type]) => String(type))
    assert.include(types, 'ready')
    const created = listed.find(
      ([type, args]) => String(type) === 'namespace-created' && String(args[0]) === 'a',
    )
    assert.isDefined(created)
    const [, , pid, started, ended, exitCode] = created ?? [null, [], 0, 0, 0, 1]
    assert.isAbove(pid, 1)
    assert.closeTo(started, Date.now() / 1000, 60)
    assert.isAtLeast(ended, started)
    assert.equal(exitCode, 0)
    client.close()
    assert.equal(await store.stop(), 0)

    const id = `<tcp://127.0.0.1:${port}>`
    const ns = join(data, 'ns')
    const lines = calls()
    assert.equal(lines[0], `<namespaces-init>${id}<${ns}><${ns}>`)
    assert.equal(lines.at(-1), `<close>${id}`)
    for (const wanted of [
      `<namespace-created>${id}<default>`,
      `<ready>${id}`,
      `<namespace-created>${id}<a>`,
      `<namespace-updated>${id}<a>`,
      `<jump-index>${id}<${ns}/n-a/00000001.0.hint><${ns}/n-a/00000002.0.hint><1>`,
      `<jump-data>${id}<${ns}/n-a/00000001.0.seg><${ns}/n-a/00000002.0.seg>`,
      `<namespace-reloaded>${id}<a>`,
      `<namespace-deleted>${id}<a>`,
      `<namespace-closing>${id}<default><><><>`,
    ]) {
      assert.include(lines, wanted)
    }
  })

  it('that refuse at "ready" keep the store from serving', async function () {
    this.timeout(30_000)
    script('[ "$1" != ready ]')
    const failure = await startStoreProgram(join(root, 'data'), await freePort(), [
      '--hook',
      program,
    ]).then(
      async (store) => `it serves: ${await store.stop()}`,
      (caught: unknown) => String(caught),
    )
    assert.match(failure, /STORE_HOOK_REFUSED/)
  })

  it('must be executable files with an absolute path', async function () {
    this.timeout(30_000)
    for (const path of ['hook', join(root, 'missing'), root]) {
      const failure = await startStoreProgram(join(root, 'data'), 1, ['--hook', path]).catch(String)
      assert.match(String(failure), /STORE_USAGE/)
    }
  })

  it('are bounded in number and time, and what they start ends with them', async function () {
    this.timeout(60_000)
    script('sleep 300')
    const hooks = hookRunner({ program, instance: 'unix:///x', log: silentLog, runMsMax: 300 })
    const first = hooks.fireAndWait('ready', [])
    for (let at = 0; at < 1000; at++) hooks.fire('namespace-updated', [`n${at}`])
    assert.equal(hooks.recent().length, 4)
    assert.equal(await hooks.fireAndWait('too-many', []), 127, 'the queue is full')
    assert.equal(await first, 128 + 9)
    // Those that wait end at once: there is nothing to start.
    rmSync(program)
    await hooks.drained()
  })

  it('see nothing of the environment of the store', async () => {
    script(`env | grep -v -E '^(PATH|PWD|OLDPWD|SHLVL|_)=' >> ${called}`)
    const hooks = hookRunner({ program, instance: 'unix:///x', log: silentLog })
    await hooks.fireAndWait('ready', [])
    assert.deepEqual(calls(), ['<ready><unix:///x>'])
    await hooks.drained()
  })
})
