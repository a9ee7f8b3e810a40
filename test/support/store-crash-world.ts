/**
 * One seeded life of a store on a disk that loses what was not synced: clients write, read and delete, the process dies at a
 * chosen operation of the disk, the store is opened again, and what it then holds is compared with what clients
 * were told.
 *
 * Under `sync: always` the log is a prefix of what was executed: so the state found must be the state after some
 * prefix of the writes, and that prefix must hold every write that was acknowledged and every value that was ever served.
 */

import assert from 'node:assert/strict'
import {
  type Reply,
  ReplyError,
  ReplyReader,
} from '../../agent/adapters/socket/resp-reply-reader.ts'
import type { Chance, Clock, Log } from '../../agent/base/ports.ts'
import { MIB } from '../../agent/base/units.ts'
import {
  LogStore,
  type LogStoreInit,
  RespServer,
  type Session,
  verifyConsistency,
} from '../../agent/engines/store/index.ts'
import { Crash, type FaultDisk, faultDisk } from './fault-disk.ts'
import { seededChance } from './seeded-chance.ts'

/** What one seed did. */
export interface CrashWorldResult {
  crashes: number
  writes: number
  acknowledged: number
  /** Writes beyond the acknowledged ones that had survived. */
  survivors: number
}

/** Clients of one process. */
const CLIENTS = 3
const KEYS = 12

interface Write {
  readonly key: string
  /** Null for a deletion. */
  readonly value: string | null
}

/** What is known about the writes of this life, across processes. */
class History {
  /** The last root that a client was told. */
  root: { size: number; node: Buffer } | undefined
  /** State at the last crash, known exactly. */
  base = new Map<string, string>()
  writes: Write[] = []
  /** The prefix of `writes` that must have survived. */
  certain = 0

  /** Count of writes up to the one that gave a key the value it has after `count`; setting the same again is none. */
  madeAt(key: string, count: number): number {
    let value = this.base.get(key)
    let madeAt = 0
    this.writes.slice(0, count).forEach((write, at) => {
      const next = write.value ?? undefined
      if (write.key !== key || next === value) return
      value = next
      madeAt = at + 1
    })
    return madeAt
  }

  /** The state after the first `count` writes. */
  after(count: number): Map<string, string> {
    const state = new Map(this.base)
    for (const { key, value } of this.writes.slice(0, count)) {
      if (value === null) state.delete(key)
      else state.set(key, value)
    }
    return state
  }
}

/**
 * Lives one life.
 *
 * @param seed - Decides everything.
 * @returns What happened.
 * @throws AssertionError with the seed if a promise was broken.
 * @example
 * await runCrashWorld(1)
 */
export async function runCrashWorld(seed: number): Promise<CrashWorldResult> {
  const chance = seededChance(seed)
  const disk = faultDisk(chance)
  const history = new History()
  const result: CrashWorldResult = { crashes: 0, writes: 0, acknowledged: 0, survivors: 0 }
  try {
    for (let round = 0; round < 4; round++) {
      await liveUntilCrash(disk, chance, history, result)
      disk.onOperation = undefined
      disk.crash()
      result.crashes++
      await checkSurvivors(disk, chance, history, result)
    }
  } catch (caught) {
    throw new assert.AssertionError({
      message: `SEED=${seed}: ${String(caught instanceof Error ? caught.stack : caught)}`,
    })
  }
  return result
}

async function liveUntilCrash(
  disk: FaultDisk,
  chance: Chance,
  history: History,
  result: CrashWorldResult,
): Promise<void> {
  let isDead = false
  const dieAt = disk.operations + 1 + chance.below(120)
  disk.onOperation = () => {
    if (isDead || disk.operations >= dieAt) {
      isDead = true
      throw new Crash('power lost')
    }
  }
  try {
    const process = await startProcess(disk, chance, () => isDead)
    for (let step = 0; step < 400 && !isDead; step++) {
      process.act(history, result)
      if (chance.below(3) === 0) await turn()
      if (chance.below(40) === 0) process.store.namespaces.get('a')?.log.rotate()
      if (chance.below(30) === 0) process.compact()
      if (chance.below(25) === 0) process.askRoot(history)
    }
    if (!isDead) await process.settled()
  } catch (caught) {
    if (!(caught instanceof Crash) && !isDead) throw caught
  }
  isDead = true
}

/** Opens what is left, finds which prefix it is, and takes it as the new beginning. */
async function checkSurvivors(
  disk: FaultDisk,
  chance: Chance,
  history: History,
  result: CrashWorldResult,
): Promise<void> {
  const process = await startProcess(disk, chance, () => false)
  const state = await process.readAll()
  await process.checkRoot(history)
  let survived = -1
  for (let count = history.writes.length; count >= history.certain; count--) {
    if (sameState(history.after(count), state)) {
      survived = count
      break
    }
  }
  assert.notEqual(
    survived,
    -1,
    `the state found is no prefix of the writes that holds the ${history.certain} certain ones of ${history.writes.length}`,
  )
  result.survivors += survived - history.certain
  history.base = state
  history.writes = []
  history.certain = 0
  await process.store.close()
}

function sameState(a: Map<string, string>, b: Map<string, string>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value)
}

const silent: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
}

async function startProcess(disk: FaultDisk, chance: Chance, isDead: () => boolean) {
  const tasks: (() => void)[] = []
  let nowMs = 1_700_000_000_000
  const clock: Clock = {
    now: () => nowMs++,
    monotonic: () => nowMs,
    sleep: () => turn(),
  }
  const init: LogStoreInit = { segmentBytes: 16_384, sync: 'always', cacheBytes: 1 << 20 }
  const store = await LogStore.open(
    { disk, clock, chance, log: silent, atEndOfTick: (task) => void tasks.push(task) },
    init,
  )
  if (!store.namespaces.has('a')) {
    await store.create('a', { historySeconds: 0, isProvable: chance.below(2) === 0 })
  }
  // Little, since each of hundreds of lives has its own, and the garbage collector counts all of it.
  const resp = new RespServer(store, { checksumMemoryBytes: MIB })
  const runTasks = () => {
    for (const task of tasks.splice(0)) task()
  }
  // The last one only asks for roots, which suspends a session; the others' order of execution must be known.
  const clients = Array.from({ length: CLIENTS + 1 }, () => client(resp, isDead))

  return {
    store,
    act(history: History, result: CrashWorldResult) {
      const speaker = clients[chance.below(CLIENTS)]
      for (let pipelined = chance.below(5); pipelined >= 0; pipelined--) {
        if (isDead()) return
        const key = `k${chance.below(KEYS)}`
        const dice = chance.below(10)
        if (dice < 6) {
          const value = randomValue(chance)
          const position = history.writes.push({ key, value })
          result.writes++
          speaker?.ask(['SET', key, value], (reply) => {
            if (reply instanceof ReplyError) return
            // Nil says that the key had this value: as good as stored, once it is acknowledged.
            result.acknowledged++
            history.certain = Math.max(history.certain, position)
          })
        } else if (dice < 8) {
          const position = history.writes.push({ key, value: null })
          result.writes++
          speaker?.ask(['DEL', key], (reply) => {
            if (reply === 'OK') history.certain = Math.max(history.certain, position)
          })
        } else {
          const executed = history.writes.length
          const expected = history.after(executed).get(key)
          speaker?.ask(['GET', key], (reply) => {
            const got = Buffer.isBuffer(reply) ? reply.toString('latin1') : undefined
            assert.equal(got, expected, 'a read sees every write before it')
            // What was served may not vanish: everything up to the write that made it so is certain.
            if (got !== undefined) {
              history.certain = Math.max(history.certain, history.madeAt(key, executed))
            }
          })
        }
      }
      if (chance.below(2) === 0) runTasks()
    },
    /** Compacts in the background; a crash may end it anywhere. */
    compact() {
      store.namespaces
        .get('a')
        ?.compact(0)
        .catch(() => undefined)
    },
    askRoot(history: History) {
      if (!store.namespaces.get('a')?.tree) return
      clients[CLIENTS]?.ask(['ROOT'], (reply) => {
        if (!Array.isArray(reply)) return
        history.root = { size: reply[0] as number, node: reply[1] as Buffer }
      })
    },
    /** The log must still be a continuation of what it was when a root was told. */
    async checkRoot(history: History) {
      const { root } = history
      const tree = store.namespaces.get('a')?.tree
      if (!root || !tree) return
      await tree.settle()
      const { size } = tree
      assert.ok(size >= root.size, 'what a root covered is durable')
      if (root.size === 0) return
      const path = tree.consistency(root.size, size)
      const isConsistent = verifyConsistency(root.node, root.size, tree.root(size), size, path)
      assert.ok(isConsistent, 'roots are consistent across crashes')
    },
    async settled() {
      runTasks()
      for (let at = 0; at < 20; at++) await turn()
    },
    async readAll(): Promise<Map<string, string>> {
      const state = new Map<string, string>()
      for (let key = 0; key < KEYS; key++) {
        clients[0]?.ask(['GET', `k${key}`], (reply) => {
          assert.ok(!(reply instanceof ReplyError), 'every key can be read')
          if (Buffer.isBuffer(reply)) state.set(`k${key}`, reply.toString('latin1'))
        })
      }
      runTasks()
      await turn()
      return state
    },
  }
}

function client(resp: RespServer, isDead: () => boolean) {
  const waiting: ((reply: Reply) => void)[] = []
  const reader = new ReplyReader((reply) => waiting.shift()?.(reply))
  const session: Session = resp.connect(
    { kind: 'admin' },
    {
      peerName: 'test',
      send(output) {
        // Replies of a dead process reach nobody.
        if (!isDead()) for (const part of output.parts) reader.receive(Buffer.from(part))
        output.release()
        session.sent(output.lengthBytes)
      },
      close: () => undefined,
      pause: () => undefined,
      resume: () => undefined,
    },
  )
  const found = resp.store.namespaces.get('a')
  assert.ok(found, 'the namespace is there')
  session.select(found, false)
  return {
    ask(args: readonly string[], answered: (reply: Reply) => void) {
      waiting.push(answered)
      const text = args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('')
      const bytes = Buffer.from(`*${args.length}\r\n${text}`, 'latin1')
      session.receive(bytes, bytes.byteLength)
    },
  }
}

function randomValue(chance: Chance): string {
  const sizes = [0, 1, 30, 500, 3000, 9000]
  const size = chance.below(30) === 0 ? 70_000 : (sizes[chance.below(sizes.length)] ?? 1)
  const letter = String.fromCharCode(97 + chance.below(26))
  return `${chance.below(1e9)}`.padEnd(size, letter).slice(0, size)
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
