/**
 * `npm run campaign -- start [COUNT] [SEED]`: a grid of `npm start` is ended at random moments, by Ctrl-C or by SIGKILL of
 * everything at once, and started again each time; it must go on with everything that was ordered by hand meanwhile: a
 * volume, a mount with a file on it, and a store. The nine agents send heartbeats all the time.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Wallet } from 'ethers'
import { describeError, NodeError } from '../../agent/base/errors.ts'
import { MIB } from '../../agent/base/units.ts'
import { Grid, type OrderStatus } from '../../client/sdk/index.ts'
import { devnetAccounts } from '../devnet/accounts.ts'
import { machineDirs } from '../grid/leftovers.ts'
import { until } from '../grid/local-grid.ts'
import { killProcessesOf } from '../grid/processes-of.ts'
import { ROLES } from '../grid/roles.ts'
import { root } from '../run/step.ts'

/** Moments of the end, after the start: while it comes up, while its main job runs, and after that. */
const MOMENT_MS_MAX = 45_000
/** Every so many rounds all that was ordered by hand is looked at before the end. */
const LOOK_EACH = 5
/** A start that is not as far by then is not going on. */
const GOES_ON_MS_MAX = 600_000
const DAY_SECONDS = 86_400
const MINE = 'mine'

interface ByHand {
  readonly volume: number
  readonly mount: number
  readonly store: number
  readonly digest: string
}

/**
 * Runs it.
 *
 * @param args - Count of ends, 50 unless given; seed of their moments.
 * @returns Exit code: 0 if every start went on.
 */
export async function runKillCampaign(args: readonly string[]): Promise<number> {
  const count = Number(args[0] ?? 50)
  const chance = chanceOf(Number(args[1] ?? Date.now() % 1_000_003))
  const dataDir = mkdtempSync(join(tmpdir(), 'vk-'))
  const log = join(dataDir, 'campaign.log')
  console.log(
    `${count} ends in ${dataDir}, seed ${args[1] ?? 'by the clock'}; output of all starts in ${log}`,
  )
  let byHand: ByHand | undefined
  let run = new Run(dataDir, log)
  try {
    for (let round = 1; round <= count; round++) {
      const isCtrlC = chance(2) === 0
      const started = performance.now()
      const looks = round % LOOK_EACH === 0 || round === count
      if (looks) {
        byHand ??= await run.going(orderByHand(dataDir))
        await run.going(look(dataDir, byHand))
      }
      await run.going(sleep(chance(looks ? MOMENT_MS_MAX / 3 : MOMENT_MS_MAX)))
      await run.end(isCtrlC)
      const seconds = ((performance.now() - started) / 1000).toFixed(1)
      console.log(
        `${round} of ${count}: ended by ${isCtrlC ? 'Ctrl-C' : 'SIGKILL of all'} after ${seconds} s${looks ? ', all of it seen before' : ''}`,
      )
      run = new Run(dataDir, log)
    }
    byHand ??= await run.going(orderByHand(dataDir))
    await run.going(look(dataDir, byHand))
    console.log(`${count} of ${count} went on, nothing lost`)
    return 0
  } catch (caught) {
    console.error(
      `${describeError(caught)}\nwhat it said last:\n${readFileSync(log, 'utf8').slice(-3_000)}\n${dataDir} is left as it is`,
    )
    return 1
  } finally {
    await run.end(false)
  }
}

/** One `npm start`. */
class Run {
  readonly #child: ChildProcess
  readonly #dataDir: string
  readonly #failed = Promise.withResolvers<never>()
  readonly #exited: Promise<void>
  #isEnding = false

  constructor(dataDir: string, log: string) {
    this.#dataDir = dataDir
    this.#failed.promise.catch(() => undefined)
    const child = spawn(process.execPath, ['scripts/start.ts', '--data', dataDir], {
      ...{ cwd: root, detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
    })
    this.#child = child
    const tell = (data: Buffer) => {
      appendFileSync(log, data)
      const failure = /^varve: .*/m.exec(data.toString('utf8'))?.[0]
      if (failure !== undefined && !this.#isEnding) this.#fail(failure)
    }
    child.stdout?.on('data', tell)
    child.stderr?.on('data', tell)
    this.#exited = new Promise((resolve) => child.once('exit', () => resolve()))
    void this.#exited.then(() => {
      if (!this.#isEnding) this.#fail('it ended by itself')
    })
  }

  #fail(why: string): void {
    this.#failed.reject(new NodeError('START_FAILED', why))
  }

  /** Waits for something, unless the start fails meanwhile. */
  going<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#failed.promise])
  }

  /** Ends it as a terminal does, or everything at once as a power cut does. */
  async end(isCtrlC: boolean): Promise<void> {
    this.#isEnding = true
    const { pid } = this.#child
    if (pid !== undefined && this.#child.exitCode === null) {
      process.kill(-pid, isCtrlC ? 'SIGINT' : 'SIGKILL')
    }
    if (!isCtrlC) for (const directory of machineDirs(this.#dataDir)) killProcessesOf(directory)
    await this.#exited
  }
}

/** What a person does once the grid is up: a store, a volume, its mount, and a file on it. */
async function orderByHand(dataDir: string): Promise<ByHand> {
  return await withTenant(dataDir, async (tenant) => {
    await until(
      'the main job to have ordered',
      async () => mounts(await tenant.orders()).length > 0,
      {
        timeoutMs: GOES_ON_MS_MAX,
      },
    )
    const [{ slots } = {}] = mounts(await tenant.orders())
    const node = Number(slots?.[0]?.node ?? 0)
    const shape = { sizeBytes: 64 * MIB, dataShards: 2, parityShards: 1, avoid: [node] }
    const volume = (await tenant.orderVolume({ ...shape, seconds: DAY_SECONDS })).order
    const request = { volume, node, name: MINE, readOnly: false, seconds: DAY_SECONDS }
    const mount = (await tenant.orderMount(request)).order
    const store = (await tenant.orderStore({ sizeBytes: 64 * MIB, seconds: DAY_SECONDS })).order
    const content = randomBytes(4 * MIB)
    const path = await mountedPath(dataDir, mount)
    writeFileSync(join(path, 'file'), content, { flush: true })
    return { volume, mount, store, digest: digestOf(content) }
  })
}

/** All of it is there: the orders live, the mount is up, the file is what it was. */
async function look(dataDir: string, { volume, mount, store, digest }: ByHand): Promise<void> {
  await withTenant(dataDir, async (tenant) => {
    for (const order of [volume, mount, store]) {
      const { state } = await tenant.order(order)
      if (state !== 'live') throw new NodeError('ORDER_LOST', `order ${order} is ${state}`)
    }
    const path = await mountedPath(dataDir, mount)
    const found = digestOf(readFileSync(join(path, 'file')))
    if (found !== digest) throw new NodeError('FILE_LOST', `${path}/file has another content`)
  })
}

const mounts = (orders: readonly OrderStatus[]): OrderStatus[] =>
  orders.filter(({ kind, state }) => kind === 'mount' && state === 'live')

const digestOf = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex')

/** Path of the mount that was ordered by hand, once the kernel shows it. */
async function mountedPath(dataDir: string, mount: number): Promise<string> {
  return await until(
    `mount ${mount} to be usable`,
    () => {
      const paths = machineDirs(dataDir).map((directory) => join(directory, 'mnt', MINE))
      const table = readFileSync('/proc/self/mounts', 'utf8').split('\n')
      return paths.find((path) =>
        table.some((line) => line.includes(` ${path} fuse`) && readdirSync(path) !== undefined),
      )
    },
    { timeoutMs: GOES_ON_MS_MAX },
  )
}

async function withTenant<T>(dataDir: string, act: (tenant: Grid) => Promise<T>): Promise<T> {
  const tenant = await until(
    'the grid to answer',
    async () => {
      const record = join(dataDir, 'deployment/grid.json')
      if (!existsSync(record)) return undefined
      const { grid } = JSON.parse(readFileSync(record, 'utf8')) as { grid: string }
      const { port } = JSON.parse(readFileSync(join(dataDir, 'ledger/ledger.json'), 'utf8')) as {
        port: number
      }
      const key = devnetAccounts(join(dataDir, 'ledger'))[ROLES.tenant]?.privateKey ?? ''
      return await Grid.connect({
        url: `http://127.0.0.1:${port}`,
        address: grid,
        signer: new Wallet(key),
      })
    },
    { timeoutMs: GOES_ON_MS_MAX },
  )
  try {
    return await act(tenant)
  } finally {
    tenant.close()
  }
}

/** The same moments for the same seed, as far as the machine allows. */
function chanceOf(seed: number): (bound: number) => number {
  let state = seed
  return (bound) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return (state >>> 8) % Math.max(1, Math.floor(bound))
  }
}
