/**
 * A machine of the simulated grid: the production agent and mount unit, with simulated processes, disk, store, links and
 * ledger endpoints around them. It crashes, boots, and may be destroyed with all it holds.
 */

import { assert } from '../../agent/base/assert.ts'
import type { Disk } from '../../agent/base/disk.ts'
import { codeOf, NodeError } from '../../agent/base/errors.ts'
import type { Identity } from '../../agent/base/identity.ts'
import type { Account } from '../../agent/base/ids.ts'
import type { Chance, Clock, Log } from '../../agent/base/ports.ts'
import { resolveConfig } from '../../agent/config/config.ts'
import type { Volume } from '../../agent/engines/files/index.ts'
import type { Mount } from '../../agent/engines/fuse/index.ts'
import { LedgerFollower } from '../../agent/ledger/follower.ts'
import { RECORDS } from '../../agent/ledger/records.ts'
import { LedgerSender } from '../../agent/ledger/sender.ts'
import { runControllers } from '../../agent/reconcile/runtime.ts'
import type { UnitConnection, UnitHost, UnitProcess } from '../../agent/reconcile/unit-keeper.ts'
import { Supervisor } from '../../agent/reconcile/units.ts'
import { agentControllers } from '../../agent/run.ts'
import type { Journal, JournalChange } from '../../agent/state/journal.ts'
import type { UnitKind } from '../../agent/state/kinds.ts'
import { State } from '../../agent/state/state.ts'
import type {
  LinksUnitConfig,
  MountUnitConfig,
  StoreUnitConfig,
} from '../../agent/state/unit-config.ts'
import { MountKeeper } from '../../agent/units/mount/mount-unit.ts'
import type { MountOutside } from '../../agent/units/mount/outside.ts'
import { type FaultDisk, faultDisk } from './fault-disk.ts'
import { SIM_CONTRACTS } from './sim-ledger.ts'
import type { SimNetwork, SimPeer } from './sim-network.ts'
import { SimProcess, subDisk } from './sim-process.ts'
import type { SimEndpoint } from './sim-rpc.ts'
import { SimStore } from './sim-store.ts'

const BUILD = 'sim'
/** How long a program takes to start. */
const START_MS_MAX = 300
const CACHE_BYTES = 1024 * 1024

/** A volume that a mount unit shows. */
export interface Shown {
  readonly config: MountUnitConfig
  readonly volume: Volume
  readonly process: SimProcess
}

/** Told of everything on a machine that must not happen without reason. */
export interface MachineWitness {
  provisioned(machine: SimMachine, what: string): void
  removed(machine: SimMachine, what: string): void
  /** Before the journal takes changes. */
  persisting(machine: SimMachine, changes: readonly JournalChange[]): void
  /** A controller stopped because of a bug, or a unit broke. */
  complained(machine: SimMachine, message: string, fields: object): void
}

/** What a machine is made of. */
export interface SimMachineInit {
  readonly number: number
  readonly identity: Identity
  readonly clock: Clock
  readonly chance: Chance
  readonly network: SimNetwork
  readonly endpoints: readonly SimEndpoint[]
  readonly pollMs: number
  readonly stallSeconds: number
  readonly capacityBytes: number
  readonly witness: MachineWitness
}

interface Unit {
  readonly process: SimProcess
  readonly hello: object
  methods: Readonly<Record<string, (params: never) => unknown>> | undefined
}

/** A machine. */
export class SimMachine implements SimPeer {
  readonly number: number
  readonly account: Account
  readonly store: SimStore
  readonly disk: FaultDisk
  /** Volumes shown now, by number of the mount order. */
  readonly shown = new Map<number, Shown>()
  readonly #init: SimMachineInit
  readonly #pairs = new Map<string, string>()
  readonly #units = new Map<string, Unit>()
  #agent: SimProcess | undefined
  #state: State | undefined
  #links: LinksUnitConfig | undefined
  #lastPid = 1
  #isDestroyed = false
  #isOn = false

  constructor(init: SimMachineInit) {
    this.#init = init
    this.number = init.number
    this.account = init.identity.account
    this.disk = faultDisk(init.chance)
    this.store = new SimStore(init.chance, {
      provisioned: (namespace) => init.witness.provisioned(this, namespace),
      removed: (namespace) => init.witness.removed(this, namespace),
    })
    init.network.join(this)
  }

  get links(): LinksUnitConfig | undefined {
    return this.#links
  }

  /** State of the running agent. */
  get state(): State | undefined {
    return this.#agent?.isDead === false ? this.#state : undefined
  }

  get isOn(): boolean {
    return this.#isOn
  }

  get isDestroyed(): boolean {
    return this.#isDestroyed
  }

  /** Names of the units that run. */
  get units(): readonly string[] {
    return [...this.#units].filter(([, { process }]) => !process.isDead).map(([name]) => name)
  }

  /** What a unit says of itself; undefined while it does not answer. */
  unitStatus(name: string): unknown {
    const unit = this.#units.get(name)
    const status = unit?.methods?.['status'] as (() => unknown) | undefined
    return unit?.process.isDead === false ? status?.() : undefined
  }

  /** Switches the machine on: its agent starts. */
  boot(): void {
    if (this.#isDestroyed || this.#isOn) return
    this.#isOn = true
    this.startAgent()
  }

  /** Power is lost: every process dies, and of what was not durable some is gone. */
  crash(): void {
    if (!this.#isOn) return
    this.#isOn = false
    this.#agent?.die('power')
    for (const { process } of this.#units.values()) process.die('power')
    this.disk.onOperation = undefined
    this.disk.crash()
  }

  /** The machine burns down. */
  destroy(): void {
    this.crash()
    this.#isDestroyed = true
    this.store.namespaces.clear()
  }

  /** The agent alone is killed; the units go on. */
  killAgent(): void {
    this.#agent?.die('SIGKILL')
  }

  /** Kills one unit. */
  killUnit(name: string): void {
    this.#units.get(name)?.process.die('SIGKILL')
  }

  /** Starts the agent if it does not run. */
  startAgent(): void {
    if (!this.#isOn || this.#agent?.isDead === false) return
    const process = this.#process('agent')
    this.#agent = process
    void this.#runAgent(process)
  }

  async #runAgent(process: SimProcess): Promise<void> {
    const { identity, chance, endpoints, pollMs, stallSeconds, capacityBytes } = this.#init
    const { clock } = process
    await clock.sleep(chance.below(START_MS_MAX))
    const log = this.#log(process)
    const state = await State.open(this.#journal(process), RECORDS)
    // What an agent wrote, an agent of the same version believes.
    assert(state.aside.length === 0, `records are whole: ${JSON.stringify(state.aside)}`)
    this.#state = state
    const grid = SIM_CONTRACTS.grid
    const flags = { ledger: ['http://localhost'], grid, pollMs }
    const config = {
      ...resolveConfig({}, flags).config,
      capacityBytes,
      pricePerGibSecond: 1n,
      cacheBytes: CACHE_BYTES,
      announce: [`/ip4/192.0.2.${this.number}/tcp/4100`],
    }
    const sources = endpoints.map((endpoint) => endpoint.connect(identity.account, clock))
    const supervisor = new Supervisor({ host: this.#host(process), clock, log })
    const controllers = agentControllers({
      identity,
      config,
      mountRoot: '/mnt',
      ledger: new LedgerFollower({
        ...{ sources, account: identity.account, grid, clock, stallMs: stallSeconds * 1000 },
        time: 'real',
        pollMs,
      }),
      sender: new LedgerSender({ gates: sources, key: identity, clock }),
      supervisor,
      clock,
      disk: { probe: () => clock.sleep(chance.below(6)) },
    })
    await runControllers(controllers, { state, clock, log }, new AbortController().signal)
  }

  /** Batches are synced whole: one that a crash catches is there or not. */
  #journal(process: SimProcess): Journal {
    const { chance, witness } = this.#init
    const take = (changes: readonly JournalChange[]) => {
      witness.persisting(this, changes)
      for (const { key, text } of changes) {
        if (text === undefined) this.#pairs.delete(key)
        else this.#pairs.set(key, text)
      }
    }
    return {
      load: async () => [...this.#pairs].map(([key, text]) => ({ key, text })),
      write: async (changes) => {
        const survived = process.onDeath(() => {
          if (chance.below(2) === 0) take(changes)
        })
        await process.clock.sleep(chance.below(4))
        survived()
        take(changes)
      },
      close: async () => undefined,
    }
  }

  #host(agent: SimProcess): UnitHost {
    const { chance, witness } = this.#init
    return {
      build: BUILD,
      connect: async (name) => {
        await agent.clock.sleep(0)
        const unit = this.#units.get(name)
        if (!unit?.methods || unit.process.isDead) {
          throw new NodeError('CONTROL_UNREACHABLE', `nobody answers for ${name}`)
        }
        return connection(agent, unit)
      },
      start: (kind, name) => this.#start(kind, name),
      kill: (pid) => {
        for (const { process } of this.#units.values()) if (process.pid === pid) process.die('kill')
      },
      isRunning: (pid) =>
        [...this.#units.values()].some(({ process }) => process.pid === pid && !process.isDead),
      discard: async (name) => {
        const path = `mounts/${name.replace('mount-', '')}`
        if (!this.disk.exists(path)) return
        await agent.clock.sleep(chance.below(3))
        this.disk.remove(path)
        witness.removed(this, name)
      },
    }
  }

  #start(kind: UnitKind, name: string): UnitProcess {
    const { chance } = this.#init
    const process = this.#process(name)
    const hello = { kind, name, pid: process.pid, build: BUILD }
    const unit: Unit = { process, hello, methods: undefined }
    this.#units.get(name)?.process.die('replaced')
    this.#units.set(name, unit)
    const exited = Promise.withResolvers<string>()
    process.onDeath(exited.resolve)
    process.clock.sleep(chance.below(START_MS_MAX)).then(
      () => this.#open(kind, unit),
      () => undefined,
    )
    return { pid: process.pid, exited: exited.promise }
  }

  #open(kind: UnitKind, unit: Unit): void {
    if (kind === 'store') this.#openStore(unit)
    else if (kind === 'links') this.#openLinks(unit)
    else this.#openMount(unit)
  }

  #openStore(unit: Unit): void {
    this.store.open(unit.process)
    unit.methods = {
      configure: (config: StoreUnitConfig) => this.store.configure(config),
      status: () => this.store.status(),
      stop: () => undefined,
    }
  }

  #openLinks(unit: Unit): void {
    unit.methods = {
      configure: (config: LinksUnitConfig) => {
        this.#links = config
      },
      status: () => ({}),
      stop: () => undefined,
    }
    unit.process.onDeath(() => {
      this.#links = undefined
    })
  }

  #openMount(unit: Unit): void {
    const { process } = unit
    const log = this.#log(process)
    const keeper = new MountKeeper({
      dataDir: '/data',
      name: process.name,
      log,
      outside: this.#outside(process),
    })
    unit.methods = {
      configure: (config: MountUnitConfig) => {
        this.#init.witness.provisioned(this, process.name)
        keeper.configure(config)
      },
      status: () => keeper.status(),
      stop: () => keeper.stop(),
    }
  }

  #outside(process: SimProcess): MountOutside {
    const { chance, network } = this.#init
    const syncMs = () => chance.below(6)
    const disk: Disk = process.disk(this.disk, syncMs)
    return {
      clock: process.clock,
      chance,
      disk: (path) => {
        disk.makeDirectory(path)
        return subDisk(disk, path)
      },
      slotStores: () => {
        const open: { close(): void }[] = []
        return {
          set: (slots) =>
            slots.map(({ index, generation, account, namespace, formers = [] }) => {
              const [store, ...before] = [account, ...formers].map((holder) =>
                network.shardStore(process, this, holder, namespace),
              )
              assert(store !== undefined, 'a slot has a holder')
              open.push(store, ...before)
              return { index, generation, store, formers: before }
            }),
          close: () => {
            for (const store of open) store.close()
          },
        }
      },
      show: async (config, volume) => ({ mount: this.#show(process, config, volume) }),
      sizes: { segmentBytes: 32 * 1024, snapshotCommitsMin: 4 },
    }
  }

  #show(process: SimProcess, config: MountUnitConfig, volume: Volume): Mount {
    const closed = Promise.withResolvers<void>()
    const shown = { config, volume, process }
    this.shown.set(config.order, shown)
    const hide = () => {
      if (this.shown.get(config.order) === shown) this.shown.delete(config.order)
    }
    process.onDeath(hide)
    return {
      path: config.path,
      canResume: false,
      closed: closed.promise,
      figures: { requests: 0, failures: 0, pending: 0, inodesKnown: 0, handlesOpen: 0 },
      unmount: async () => {
        hide()
        closed.resolve()
      },
    }
  }

  #process(name: string): SimProcess {
    return new SimProcess(++this.#lastPid, name, this.#init.clock)
  }

  /** What a process says in its last moment is nobody's concern. */
  #log(process: SimProcess): Log {
    const { witness } = this.#init
    const complain = (fields: object, message: string) => {
      if (!process.isDead) witness.complained(this, message, fields)
    }
    const log: Log = {
      debug: () => undefined,
      info: () => undefined,
      warn: () => undefined,
      error: complain,
      child: () => log,
    }
    return log
  }
}

/** A control connection: what it carries is copied, and it ends with the unit. */
function connection(agent: SimProcess, unit: Unit): UnitConnection {
  const closed = Promise.withResolvers<void>()
  const died = Promise.withResolvers<never>()
  died.promise.catch(() => undefined)
  let isClosed = false
  const end = () => {
    isClosed = true
    died.reject(new NodeError('CONTROL_CLOSED', 'the connection ended before the answer'))
    if (!agent.isDead) closed.resolve()
  }
  const forget = unit.process.onDeath(end)
  return {
    closed: closed.promise,
    close: () => {
      forget()
      end()
    },
    call: (method, params) => {
      if (isClosed) return Promise.reject(new NodeError('CONTROL_CLOSED', 'no connection'))
      return agent.outlived(Promise.race([handle(unit, method, params), died.promise]))
    },
  }
}

async function handle(unit: Unit, method: string, params: unknown): Promise<unknown> {
  if (method === 'hello') return unit.hello
  const act = unit.methods?.[method]
  if (!act) throw new NodeError('CONTROL_METHOD_UNKNOWN', method)
  try {
    return await act(structuredClone(params) as never)
  } catch (caught) {
    // Over the socket only codes travel.
    throw new NodeError(codeOf(caught) ?? 'UNIT_FAILED', String(caught))
  } finally {
    if (method === 'stop') unit.process.die('exit 0')
  }
}
