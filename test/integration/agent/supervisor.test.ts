/** The supervisor over real processes and sockets: starts, adopts, restarts, configures, stops. */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { assert } from 'chai'
import { controlSocket } from '../../../agent/adapters/process/run-sockets.ts'
import { unitHost } from '../../../agent/adapters/process/unit-host.ts'
import { systemClock } from '../../../agent/adapters/time/system-clock.ts'
import type { Log } from '../../../agent/base/ports.ts'
import { Supervisor } from '../../../agent/reconcile/units.ts'
import { buildId } from '../../../agent/units/build.ts'
import { connectControl } from '../../../agent/units/control.ts'

const program = fileURLToPath(new URL('../../support/tiny-unit.ts', import.meta.url))
const WAIT_MS_MAX = 10_000

describe('Supervisor', () => {
  let dataDir: string
  let lines: string[]
  let supervisors: Supervisor[]

  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'vs-'))
    lines = []
    supervisors = []
  })
  afterEach(async () => {
    for (const supervisor of supervisors) await supervisor.drain()
    rmSync(dataDir, { recursive: true, force: true })
  })

  function makeHost(build = buildId()) {
    const write = (fields: object, message: string) =>
      void lines.push(`${message} ${JSON.stringify(fields)}`)
    const log: Log = { debug: write, info: write, warn: write, error: write, child: () => log }
    return { log, host: unitHost({ dataDir, program, build, log, connect: connectControl }) }
  }
  function supervise(build?: string): Supervisor {
    const supervisor = new Supervisor({ ...makeHost(build), clock: systemClock() })
    supervisors.push(supervisor)
    return supervisor
  }
  /** A unit that an agent started which is gone now. */
  async function orphan(): Promise<number> {
    const { pid } = makeHost().host.start('store', 'store')
    await until('the orphan', () => existsSync(controlSocket(dataDir, 'store')))
    return pid
  }
  const wanted = (config: unknown, name = 'store') => [{ name, run: true as const, config }]
  const told = (name = 'store') => {
    const file = join(dataDir, `${name}.told`)
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
  }
  const starts = () => told().filter((line) => line.startsWith('start')).length
  const misbehave = (how: string) => writeFileSync(join(dataDir, 'store.do'), how)
  const status = (supervisor: Supervisor, name = 'store') =>
    supervisor.statuses().find((one) => one.name === name)
  async function until(what: string, holds: () => boolean): Promise<void> {
    const deadline = Date.now() + WAIT_MS_MAX
    while (!holds()) {
      if (Date.now() > deadline) assert.fail(`waited in vain: ${what}\n${lines.join('\n')}`)
      await sleep(10)
    }
  }
  const isUp = (supervisor: Supervisor, name?: string) => () =>
    status(supervisor, name)?.state === 'running' && status(supervisor, name)?.configured === true

  it('starts a unit, configures it, and again on every change', async () => {
    const supervisor = supervise()
    supervisor.want('store', wanted({ n: 1 }))
    await until('the unit is up', isUp(supervisor))
    assert.deepEqual(status(supervisor)?.figures, { fine: true })
    supervisor.want('store', wanted({ n: 1 }))
    supervisor.want('store', wanted({ n: 2 }))
    await until('the second configuration', () => told().includes('configure {"n":2}'))
    assert.deepEqual(told().slice(1), ['configure {"n":1}', 'configure {"n":2}'])
    await until('its log', () => lines.some((line) => line.startsWith('tiny unit runs')))
  })

  it('starts a killed unit again and gives it its configuration', async () => {
    const supervisor = supervise()
    supervisor.want('store', wanted({ n: 1 }))
    await until('the unit is up', isUp(supervisor))
    const first = status(supervisor)?.pid as number
    process.kill(first, 'SIGKILL')
    await until('a new process', () => isUp(supervisor)() && status(supervisor)?.pid !== first)
    assert.equal(told().filter((line) => line === 'configure {"n":1}').length, 2)
    assert.equal(status(supervisor)?.restarts, 1)
  })

  it('tries a unit that dies at once later and later, and says why', async () => {
    misbehave('die')
    const supervisor = supervise()
    supervisor.want('store', wanted({}))
    await until('three starts', () => starts() >= 3)
    assert.equal(status(supervisor)?.state === 'running', false)
    await until('the reason', () => status(supervisor)?.message?.includes('exit 3') === true)
    assert.equal(status(supervisor)?.code, 'UNIT_DIED')
    misbehave('')
    await until('the unit is up', isUp(supervisor))
  })

  it('keeps a unit that refuses its configuration, shows its reason, and asks again', async () => {
    misbehave('refuse')
    const supervisor = supervise()
    supervisor.want('store', wanted({}))
    await until('the refusal', () => status(supervisor)?.code === 'DISK_FULL')
    misbehave('')
    await until('the unit is up', isUp(supervisor))
    assert.equal(starts(), 1)
  })

  it('takes a unit that says that it cannot do its work for failed, and for well once it can', async () => {
    const supervisor = supervise()
    supervisor.want('store', wanted({}))
    await until('the unit is up', isUp(supervisor))
    misbehave('ill')
    await until('the failure', () => status(supervisor)?.state === 'failed')
    const said = { code: 'STORE_FULL', message: 'no room', hint: 'Go.' }
    assert.deepInclude(status(supervisor), said)
    misbehave('')
    await until('the unit is well', () => status(supervisor)?.state === 'running')
    assert.isUndefined(status(supervisor)?.code)
    assert.isUndefined(status(supervisor)?.hint)
    assert.equal(starts(), 1, 'it was never ended')
  })

  it('lets a unit open its disk for as long as that takes, and configures it then', async () => {
    misbehave('open')
    const supervisor = supervise()
    supervisor.want('store', wanted({ n: 1 }))
    await until('it to be asked again', () => told().filter((l) => l === 'opening').length >= 4)
    assert.deepInclude(status(supervisor), { state: 'starting', code: 'UNIT_STARTING' })
    misbehave('')
    await until('the unit is up', isUp(supervisor))
    assert.isUndefined(status(supervisor)?.code)
    assert.equal(starts(), 1, 'it was never ended')
  })

  it('adopts a unit whose agent died, without stopping it', async () => {
    const pid = await orphan()
    const supervisor = supervise()
    supervisor.want('store', wanted({ n: 2 }))
    await until('the adopted unit is up', isUp(supervisor))
    assert.deepInclude(status(supervisor), { pid, adopted: true, restarts: 0 })
    assert.equal(starts(), 1)
  })

  it('replaces a unit of another build', async () => {
    const pid = await orphan()
    const supervisor = supervise('newer')
    supervisor.want('store', wanted({ n: 2 }))
    await until('the new unit is up', isUp(supervisor))
    assert.include(told(), 'stop')
    assert.equal(starts(), 2)
    assert.notEqual(status(supervisor)?.pid, pid)
  })

  it('stops what is to stop, drops its data only when told, and starts it again', async () => {
    const supervisor = supervise()
    const data = join(dataDir, 'mounts', '7')
    supervisor.want('mount', wanted({}, 'mount-7'))
    await until('the unit is up', isUp(supervisor, 'mount-7'))
    mkdirSync(data, { recursive: true })
    supervisor.want('mount', [{ name: 'mount-7', run: false, discard: false }])
    await until('it stopped', () => status(supervisor, 'mount-7')?.state === 'stopped')
    assert.include(told('mount-7'), 'stop')
    assert.isTrue(existsSync(data))
    supervisor.want('mount', wanted({}, 'mount-7'))
    await until('the unit is up', isUp(supervisor, 'mount-7'))
    supervisor.want('mount', [{ name: 'mount-7', run: false, discard: true }])
    await until('its data is gone', () => !existsSync(data))
  })

  it('leaves alone what nobody mentions', async () => {
    const supervisor = supervise()
    supervisor.want('store', wanted({}))
    await until('the unit is up', isUp(supervisor))
    supervisor.want('store', [])
    supervisor.want('links', wanted({}, 'links'))
    await until('another unit is up', isUp(supervisor, 'links'))
    assert.isTrue(isUp(supervisor)())
    assert.notInclude(told(), 'stop')
  })

  it('drains all at the end, mounts before links before stores', async () => {
    const supervisor = supervise()
    supervisor.want('store', wanted({}))
    supervisor.want('links', wanted({}, 'links'))
    supervisor.want('mount', wanted({}, 'mount-1'))
    for (const name of ['store', 'links', 'mount-1']) {
      await until(`${name} is up`, isUp(supervisor, name))
    }
    await supervisor.drain()
    const stopped = lines.filter((line) => line.startsWith('unit stopped'))
    assert.deepEqual(
      stopped.map((line) => /"unit":"([^"]+)"/.exec(line)?.[1]),
      ['mount-1', 'links', 'store'],
    )
    for (const name of ['store', 'links', 'mount-1']) {
      assert.isFalse(existsSync(controlSocket(dataDir, name)))
    }
  })
})
