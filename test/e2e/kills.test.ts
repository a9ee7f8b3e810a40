/**
 * SIGKILL of any agent at random moments of a write workload: agents, units and whole machines die and come back by
 * themselves, and what fsync acknowledged is there, from the mount, from the stores alone, and from another node.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { assert } from 'chai'
import { GIB } from '../../agent/base/units.ts'
import type { AgentProcess } from '../../scripts/grid/agent-process.ts'
import { type LocalGrid, until } from '../../scripts/grid/local-grid.ts'
import { seededChance } from '../support/seeded-chance.ts'
import {
  mountUnitStatus,
  printComplaints,
  SOON,
  type SuiteGrid,
  startSuiteGrid,
  statusOf,
  untilDispersed,
  untilMounted,
  untilStatus,
} from './support/grid-suite.ts'
import type { Verdict } from './support/workload.ts'

const KILLS = 50
const PAUSE_MS_MAX = 500
const AGENTS = 4
/** The last agent mounts, and holds no slot. */
const CONSUMER = AGENTS - 1
/** Rounds that must be acknowledged, so that the workload is one: it makes some ten a second on a busy machine. */
const ROUNDS_MIN = 4 * KILLS

const seed = Number(process.env['VARVE_TEST_SEED'] ?? randomInt(2 ** 31))
const program = fileURLToPath(new URL('./support/workload.ts', import.meta.url))

describe('a volume whose machines are killed', function () {
  this.timeout(600_000)
  let suite: SuiteGrid
  let grid: LocalGrid
  let consumer: AgentProcess
  let workload: ChildProcess | undefined
  let journal: string
  let path: string
  let volume: number
  let mount: number

  before(async () => {
    suite = await startSuiteGrid({
      agents: AGENTS,
      // What is killed comes back before anybody gives it up: this is not about repair.
      parameters: (usual) => ({
        ...usual,
        policy: { ...usual.policy, HeartbeatSeconds: 30n, LostSeconds: 600n },
      }),
    })
    grid = suite.grid
    consumer = grid.agent(CONSUMER)
    journal = join(suite.dataDir, 'journal')
    const tenant = await grid.connect(grid.tenantKey)
    try {
      const { node = 0 } = await untilStatus('its number', consumer, ({ node }) => node)
      const shape = { sizeBytes: GIB, dataShards: 2, parityShards: 1, avoid: [node] }
      volume = (await tenant.orderVolume({ ...shape, seconds: 86_400 })).order
      mount = await orderMount(CONSUMER, 'work', false)
    } finally {
      tenant.close()
    }
    path = await untilMounted(consumer, mount)
  })
  after(async () => {
    workload?.kill('SIGKILL')
    await suite?.end()
  })
  afterEach(function () {
    if (this.currentTest?.state !== 'failed') return
    console.error(`      seed: VARVE_TEST_SEED=${seed}`)
    printComplaints(grid)
  })

  async function orderMount(agent: number, name: string, readOnly: boolean): Promise<number> {
    const { node = 0 } = await untilStatus('its number', grid.agent(agent), (now) => now.node)
    const tenant = await grid.connect(grid.tenantKey)
    try {
      const request = { volume, node, name, readOnly, seconds: 86_400 }
      return (await tenant.orderMount(request)).order
    } finally {
      tenant.close()
    }
  }

  async function verify(where: string): Promise<Verdict> {
    const child = spawn(
      process.execPath,
      [program, 'verify', '--mount', where, '--journal', journal, '--seed', String(seed)],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    workload = child
    let output = ''
    child.stdout.on('data', (part: Buffer) => {
      output += part.toString('utf8')
    })
    const code = await new Promise((resolve) => child.once('close', resolve))
    assert.equal(code, 0, 'the comparison ran to its end')
    return JSON.parse(output)
  }

  /** Pids of the agent and its units, of which all must be up. */
  async function upPids(agent: AgentProcess): Promise<Map<string, number> | undefined> {
    const status = await statusOf(agent)
    const units = status?.units ?? []
    const wanted = agent === consumer ? 3 : 2
    const isUp = units.every(({ state, configured }) => state === 'running' && configured)
    if (!status || units.length !== wanted || !isUp) return undefined
    if (agent === consumer && (await mountUnitStatus(agent, mount)).state !== 'mounted')
      return undefined
    return new Map([
      ['agent', status.pid],
      ...units.map(({ name, pid }) => [name, pid ?? 0] as const),
    ])
  }

  it(`loses nothing that was acknowledged, over ${KILLS} kills at random moments`, async () => {
    const chance = seededChance(seed)
    const args = [program, 'write', '--mount', path, '--journal', journal, '--seed', String(seed)]
    const writing = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] })
    workload = writing
    const ended = new Promise((resolve) => writing.once('exit', resolve))
    const grown = async (why: string) => {
      const before = statSync(journal).size
      await until(why, () => statSync(journal).size > before + 1_000, SOON)
    }
    await until('the first records', () => statSync(journal).size > 0, SOON)
    const kills: string[] = []
    for (let kill = 0; kill < KILLS; kill++) {
      await sleep(chance.below(PAUSE_MS_MAX))
      const index = chance.below(AGENTS)
      const agent = grid.agent(index)
      const before = await until('the agent to be whole', () => upPids(agent), SOON)
      const names = [...before.keys()]
      const unit = names[1 + chance.below(names.length - 1)] ?? ''
      const victims = [['agent'], [unit], names][chance.below(3)] ?? []
      kills.push(`${victims.length > 1 ? 'power' : victims.join()} of ${agent.options.name}`)
      if (victims.length > 1) agent.cutPower(true)
      else if (victims[0] === 'agent') agent.killAgent()
      else process.kill(before.get(unit) ?? 0, 'SIGKILL')
      await until(
        `${kills.at(-1)} (kill ${kill}) to be made good`,
        async () => {
          const now = await upPids(agent)
          return (
            now &&
            names.every((name) => (now.get(name) !== before.get(name)) === victims.includes(name))
          )
        },
        SOON,
      )
    }
    await grown('the workload to go on after the last kill')
    writing.kill('SIGTERM')
    assert.equal(await ended, 0)
    const { rounds, records, lost } = await verify(path)
    assert.deepEqual(lost, [], kills.join(', '))
    assert.isAbove(rounds, ROUNDS_MIN)
    assert.isAbove(records, rounds)
    console.log(`      ${rounds} fsyncs, ${records} records, seed ${seed}`)
  })

  it('has all of it on the stores: nothing is missing without the local cache', async () => {
    await untilDispersed(consumer, mount)
    const before = await until('the mount to be up', () => upPids(consumer), SOON)
    const pid = before.get(`mount-${mount}`) ?? 0
    process.kill(pid, 'SIGKILL')
    rmSync(join(consumer.options.dataDir, `mounts/${mount}/cache`), { recursive: true })
    await until(
      'the mount to come back',
      async () => {
        const now = await upPids(consumer)
        return now && now.get(`mount-${mount}`) !== pid
      },
      SOON,
    )
    assert.deepEqual((await verify(path)).lost, [])
  })

  it('shows the same on another node', async () => {
    const sequence = await untilDispersed(consumer, mount)
    const reading = await orderMount(0, 'copy', true)
    const copy = await untilMounted(grid.agent(0), reading)
    await until(
      'the reader to have followed',
      async () => {
        const { volume: told } = await mountUnitStatus(grid.agent(0), reading)
        return told && told.commitSequence >= sequence
      },
      SOON,
    )
    assert.deepEqual((await verify(copy)).lost, [])
  })
})
