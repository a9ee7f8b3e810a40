/**
 * One seeded life of a primary and its replica, each on a disk that loses what was not synced: writes, deletions and compaction
 * on the primary, links that break, and either process or both die at a chosen operation of their disk and start again.
 *
 * Held to: a replica never has a record that its primary has not; what it acknowledged it still has after a crash, in the
 * value that the primary has unless that was replaced since; and once all is quiet both hold the same, with the same roots.
 */

import assert from 'node:assert/strict'
import { describeError } from '../../agent/base/errors.ts'
import type { Chance, Clock } from '../../agent/base/ports.ts'
import { MIB } from '../../agent/base/units.ts'
import {
  LogStore,
  type Namespace,
  RespServer,
  StoreReplica,
} from '../../agent/engines/store/index.ts'
import { Crash, type FaultDisk, faultDisk } from './fault-disk.ts'
import { silentLog } from './log-store.ts'
import { type MemoryPrimary, memoryPrimary } from './memory-primary.ts'
import { seededChance } from './seeded-chance.ts'

const NAME = 'a'
const KEYS = 14
const ROUNDS = 6
/** Under `never` a replica syncs only what it is about to acknowledge. */
const SYNCS = ['always', 'group', 'never'] as const
const STEPS = 160
/** Turns within which two processes that nothing disturbs must be even. */
const QUIET_TURNS_MAX = 20_000

/** What one seed did. */
export interface ReplicaCrashResult {
  crashes: number
  writes: number
  /** Records that the replica had acknowledged at a crash. */
  acknowledged: number
  compactions: number
  cuts: number
}

interface Written {
  readonly key: string
  /** Null for a deletion. */
  readonly value: string | null
}

/** A process on a disk: until it dies, everything it does to the disk happens. */
interface Process {
  readonly store: LogStore
  readonly server: RespServer
  isDead: boolean
  runTasks(): void
}

/**
 * Lives one life.
 *
 * @param seed - Decides everything.
 * @returns What happened.
 * @throws AssertionError with the seed if a promise was broken.
 */
export async function runReplicaCrashWorld(seed: number): Promise<ReplicaCrashResult> {
  const world = new World(seededChance(seed))
  try {
    await world.live()
    return world.result
  } catch (caught) {
    throw new assert.AssertionError({
      message: `SEED=${seed}: ${String(caught instanceof Error ? caught.stack : caught)}`,
    })
  }
}

class World {
  readonly result: ReplicaCrashResult = {
    crashes: 0,
    writes: 0,
    acknowledged: 0,
    compactions: 0,
    cuts: 0,
  }
  readonly #chance: Chance
  readonly #primaryDisk: FaultDisk
  readonly #replicaDisk: FaultDisk
  readonly #dialer: MemoryPrimary = memoryPrimary(undefined)
  readonly #isProvable: boolean
  /** By serial. */
  #written: Written[] = []
  #acknowledged = 0
  #values = 0

  constructor(chance: Chance) {
    this.#chance = chance
    this.#primaryDisk = faultDisk(chance)
    this.#replicaDisk = faultDisk(chance)
    this.#isProvable = chance.below(2) === 0
  }

  async live(): Promise<void> {
    let primary = await this.#startPrimary()
    let replica = await this.#startReplica()
    for (let round = 0; round < ROUNDS; round++) {
      const dying = this.#chance.below(3)
      if (dying !== 1) this.#dieLater(this.#primaryDisk, primary)
      if (dying !== 0) this.#dieLater(this.#replicaDisk, replica.process)
      await this.#disturb(primary, replica.process)
      if (primary.isDead) {
        this.#powerOff(this.#primaryDisk, primary)
        primary = await this.#startPrimary()
      }
      if (replica.process.isDead) {
        await replica.stop()
        this.#powerOff(this.#replicaDisk, replica.process)
        replica = await this.#startReplica()
      }
      this.#primaryDisk.onOperation = undefined
      this.#replicaDisk.onOperation = undefined
    }
    await this.#quiet(primary, replica.process)
    await replica.stop()
  }

  #dieLater(disk: FaultDisk, process: Process): void {
    const dieAt = disk.operations + 1 + this.#chance.below(120)
    disk.onOperation = () => {
      if (!process.isDead && disk.operations < dieAt) return
      process.isDead = true
      throw new Crash('power lost')
    }
  }

  async #disturb(primary: Process, replica: Process): Promise<void> {
    const chance = this.#chance
    for (let step = 0; step < STEPS && !primary.isDead && !replica.isDead; step++) {
      this.#act(primary)
      replica.runTasks()
      if (chance.below(2) === 0) await turn()
      if (chance.below(40) === 0) this.#cut()
      if (chance.below(25) === 0) this.#compact(primary)
      if (chance.below(60) === 0) this.#compact(replica)
      this.#listen(primary)
    }
    this.#listen(primary)
  }

  #act(primary: Process): void {
    const namespace = primary.store.namespace(NAME)
    const chance = this.#chance
    try {
      for (let burst = chance.below(4); burst >= 0; burst--) {
        const key = `k${chance.below(KEYS)}`
        const before = namespace.log.appended
        const value = chance.below(5) === 0 ? null : this.#newValue()
        if (value === null) namespace.delete(Buffer.from(key), 1)
        else put(namespace, key, value)
        if (namespace.log.appended === before) continue
        this.result.writes++
        this.#written[before] = { key, value }
      }
      primary.runTasks()
    } catch (caught) {
      if (!primary.isDead) throw caught
    }
  }

  #newValue(): string {
    const sizes = [1, 20, 300, 2000]
    const size = this.#chance.below(40) === 0 ? 70_000 : (sizes[this.#chance.below(4)] ?? 1)
    return `${++this.#values}`.padEnd(size, '.')
  }

  #compact(process: Process): void {
    const namespace = process.store.namespaces.get(NAME)
    this.result.compactions++
    namespace?.compact(0).catch(() => undefined)
  }

  #cut(): void {
    this.result.cuts++
    this.#dialer.cut()
  }

  /** What the replica has acknowledged, as the primary heard it. */
  #listen(primary: Process): void {
    for (const follower of primary.server.followers.all) {
      this.#acknowledged = Math.max(this.#acknowledged, follower.acknowledged)
    }
  }

  #powerOff(disk: FaultDisk, process: Process): void {
    process.isDead = true
    disk.onOperation = undefined
    disk.crash()
    this.result.crashes++
  }

  async #startPrimary(): Promise<Process> {
    this.#dialer.server = undefined
    this.#dialer.cut()
    const primary = await openProcess(this.#primaryDisk, this.#chance)
    if (!primary.store.namespaces.has(NAME)) {
      await primary.store.create(NAME, {
        sync: SYNCS[this.#chance.below(SYNCS.length)] ?? 'always',
        historySeconds: 0,
        isProvable: this.#isProvable,
      })
    }
    const { log } = primary.store.namespace(NAME)
    assert.ok(log.appended >= this.#acknowledged, 'a replica has nothing that its primary lost')
    this.#written.length = log.appended
    this.#dialer.server = primary.server
    return primary
  }

  async #startReplica() {
    const process = await openProcess(this.#replicaDisk, this.#chance)
    this.#checkReplica(process)
    const replica = new StoreReplica({
      store: process.store,
      dialer: this.#dialer,
      primary: 'primary',
      namespace: NAME,
      password: undefined,
      name: 'replica',
    })
    replica.start()
    return { process, stop: () => replica.close() }
  }

  /** After a crash, before it hears of its primary again. */
  #checkReplica({ store }: Process): void {
    const namespace = store.namespaces.get(NAME)
    if (!namespace) {
      assert.equal(this.#acknowledged, 0, 'what was acknowledged is there')
      return
    }
    const { appended } = namespace.log
    assert.ok(appended <= this.#written.length, 'a replica is never ahead of its primary')
    const newest = new Map(this.#written.map(({ key }, serial) => [key, serial]))
    const content = contentOf(namespace)
    for (const [key, serial] of newest) {
      if (serial >= this.#acknowledged) continue
      this.result.acknowledged++
      const { value } = this.#written[serial] as Written
      assert.equal(content.get(key) ?? null, value, `record ${serial} of ${key} was acknowledged`)
    }
    for (const [key, value] of content) {
      const isKnown = this.#written.some((one) => one?.key === key && one.value === value)
      assert.ok(isKnown, `${key} has a value that was written`)
    }
  }

  /** Nothing fails any more: both become the same. */
  async #quiet(primary: Process, replica: Process): Promise<void> {
    put(primary.store.namespace(NAME), 'last', this.#newValue())
    for (let at = 0; at < QUIET_TURNS_MAX; at++) {
      primary.runTasks()
      replica.runTasks()
      await turn()
      const follower = [...primary.server.followers.all][0]
      if (follower?.acknowledged === primary.store.namespace(NAME).log.appended) break
    }
    const [theirs, ours] = [primary.store.namespace(NAME), replica.store.namespace(NAME)]
    assert.equal(ours.log.appended, theirs.log.appended, 'the replica catches up')
    assert.deepEqual(contentOf(ours), contentOf(theirs))
    assert.equal(ours.tree !== undefined, this.#isProvable)
    if (!ours.tree || !theirs.tree) return
    await Promise.all([ours.tree.settle(), theirs.tree.settle()])
    const { size } = theirs.tree
    assert.equal(ours.tree.size, size)
    for (const at of [size, Math.ceil(size / 2), 1]) {
      assert.deepEqual(ours.tree.root(at), theirs.tree.root(at), `roots at ${at}`)
    }
  }
}

function put(namespace: Namespace, key: string, value: string): void {
  const [keyBytes, valueBytes] = [Buffer.from(key), Buffer.from(value)]
  namespace.set(keyBytes, 0, keyBytes.byteLength, valueBytes, 0, valueBytes.byteLength, 1)
}

function contentOf({ log }: Namespace): Map<string, string> {
  const content = new Map<string, string>()
  const { index } = log
  for (let entry = index.nextEntry(0); entry >= 0; entry = index.nextEntry(entry + 1)) {
    if (index.isDeleted(entry)) continue
    const slack = log.records.readSlackBytes(entry)
    const into = Buffer.alloc(slack + index.valueBytesOf(entry))
    log.records.read(entry, into, slack)
    content.set(Buffer.from(index.keyOf(entry)).toString(), into.toString('latin1', slack))
  }
  return new Map([...content].sort())
}

async function openProcess(disk: FaultDisk, chance: Chance): Promise<Process> {
  const tasks: (() => void)[] = []
  let nowMs = 1_700_000_000_000
  const clock: Clock = { now: () => nowMs++, monotonic: () => nowMs, sleep: () => turn() }
  const store = await LogStore.open(
    { disk, clock, chance, log: silentLog, atEndOfTick: (task) => void tasks.push(task) },
    { segmentBytes: 8192, sync: 'always', cacheBytes: 1 << 20 },
  )
  const process: Process = {
    store,
    // Little, since each of hundreds of lives has its own, and the garbage collector counts all of it.
    server: new RespServer(store, { checksumMemoryBytes: MIB }),
    isDead: false,
    runTasks() {
      for (const task of tasks.splice(0)) {
        try {
          task()
        } catch (caught) {
          if (!process.isDead) throw new TypeError(describeError(caught), { cause: caught })
        }
      }
    },
  }
  return process
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
