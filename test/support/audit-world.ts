/**
 * One node's audits without a machine: the audit unit's keeper over a real store in memory, a mount's committing side that writes,
 * deletes and signs, and a model of the contract's rules of time. All of it moves with a virtual clock and a seed.
 */
import { createHash } from 'node:crypto'
import { duplexPair } from 'node:stream'
import type { RespNamespace } from '../../agent/adapters/socket/resp-namespace.ts'
import { ReplyError } from '../../agent/adapters/socket/resp-reply-reader.ts'
import { fromHex, toHex } from '../../agent/base/bytes.ts'
import { NodeError } from '../../agent/base/errors.ts'
import { account, nodeId } from '../../agent/base/ids.ts'
import type { Chance } from '../../agent/base/ports.ts'
import {
  type Doubt,
  decodeTranscript,
  isDrawn,
  verifyTranscript,
} from '../../agent/engines/audit/index.ts'
import type { ShardStore } from '../../agent/engines/disperse/index.ts'
import { AUDITS_ABI } from '../../agent/ledger/abi.ts'
import type { AuditDispute, AuditEpoch, AuditFacts } from '../../agent/ledger/types.ts'
import type { AuditUnitConfig, MountUnitConfig } from '../../agent/state/unit-config.ts'
import { AuditKeeper } from '../../agent/units/audit/audit-keeper.ts'
import type { WantedAct } from '../../agent/units/audit/duty-facts.ts'
import { servePeer } from '../../agent/units/audit/peer-service.ts'
import { Committing } from '../../agent/units/mount/committing.ts'
import { testKey } from './audit-node.ts'
import { type FaultDisk, faultDisk } from './fault-disk.ts'
import {
  openTestStore,
  silentLog,
  type TestClient,
  type TestStore,
  testClient,
} from './log-store.ts'
import { seededChance, VirtualClock } from './virtual-clock.ts'

const NODE = nodeId(7)
const VOLUME = 3
const MOUNT = 9
const NAMESPACE = 'o3.0'
const AUDITS = account(`0x${'a0'.repeat(20)}`)
const CHAIN_ID = 31_337
const NONE = `0x${'00'.repeat(32)}`
const EPOCH_SECONDS = 600
const WINDOW_SECONDS = 300
const WINDOW_BLOCKS = 10
export const BLOCK_SECONDS = 12
const SAMPLES = 16
const OPEN_ODDS = 2
/** Of the slot: some hundred shards. */
const SLOT_BYTES = 2 ** 26

const nodeKey = testKey(1)
const mountKey = testKey(2)

interface Holds {
  readonly holds: readonly {
    readonly namespace: string
    readonly keptSince: number
    readonly isNeeded: boolean
  }[]
  readonly acts: readonly WantedAct[]
  readonly code?: string
}

/** See the file's comment. */
export class AuditWorld {
  readonly clock = new VirtualClock()
  readonly #chance: Chance
  readonly #keeperDisk: FaultDisk
  readonly #mountDisk: FaultDisk
  #made: TestStore | undefined
  #keeper: AuditKeeper | undefined
  #committing: Committing | undefined
  /** Keys that the volume has, and those that it deleted lately, with the SHA-256 of their values. */
  readonly #hashes = new Map<string, Uint8Array>()
  readonly #live = new Set<string>()
  readonly #values = new Map<string, Uint8Array>()
  readonly #damaged = new Set<string>()
  #written = 0
  readonly #clients = new Map<string, { made: TestStore; client: Promise<TestClient> }>()
  // The chain
  #number = 1
  #epoch: AuditEpoch | undefined
  #versions: { root: string; units: number; epoch: number }[] = []
  readonly #claims = new Map<number, string>()
  readonly #opened = new Set<number>()
  /** About this node, and waiting for it. */
  disputes: AuditDispute[] = []
  /** Acts that reached the contract, by name. */
  readonly counts = new Map<string, number>()

  constructor(seed: number) {
    this.#chance = seededChance(seed)
    this.#keeperDisk = faultDisk(seededChance(seed + 1))
    this.#mountDisk = faultDisk(seededChance(seed + 2))
  }

  async start(): Promise<void> {
    this.#made = await this.#openStore()
    await this.#store.create(NAMESPACE, { historySeconds: 0, maxBytes: SLOT_BYTES })
    this.startKeeper()
    this.#startMount()
  }

  get #store() {
    if (!this.#made) throw new RangeError('the world was not started')
    return this.#made.store
  }

  /** The process of the audit unit starts, over what its disk has. */
  startKeeper(): void {
    this.#keeper = new AuditKeeper({
      ...{ disk: this.#keeperDisk, clock: this.clock, log: silentLog },
      store: () => this.#namespace('auditor'),
    })
    this.#keeper.configure(this.#config())
  }

  /** The process dies: what it had not synced is there afterwards or not. */
  async killKeeper(): Promise<void> {
    const keeper = this.#keeper
    this.#keeper = undefined
    this.#keeperDisk.crash()
    await keeper?.stop().catch(() => undefined)
  }

  async restartStore(): Promise<void> {
    const disk = this.#made?.disk
    await this.#store.close()
    this.#made = await this.#openStore(disk)
  }

  /** The store loses all that it had. */
  async loseStore(): Promise<void> {
    await this.#store.close()
    this.#made = await this.#openStore()
    await this.#store.create(NAMESPACE, { historySeconds: 0, maxBytes: SLOT_BYTES, keptSince: 1 })
  }

  async compact(): Promise<void> {
    await this.#store.namespace(NAMESPACE).compact(0)
  }

  /** The mount stores a shard. */
  async write(): Promise<void> {
    const key = Buffer.from(`p${this.#written++}`)
    const value = this.#chance.bytes(1 + this.#chance.below(3000))
    await this.#namespace('admin').ask(['SET', key, value], NEVER)
    this.#hashes.set(toHex(key), sha256(value))
    this.#live.add(key.toString())
    this.#values.set(key.toString(), value)
  }

  /** The mount deletes a shard; what was deleted long ago it no longer knows. */
  async delete(): Promise<void> {
    const keys = [...this.#live]
    const key = keys[this.#chance.below(Math.max(1, keys.length))]
    if (key === undefined) return
    this.#live.delete(key)
    this.#values.delete(key)
    this.#damaged.delete(key)
    await this.#namespace('admin').ask(['DEL', key], NEVER)
    if (this.#chance.below(3) === 0) this.#hashes.delete(toHex(Buffer.from(key)))
  }

  /** A tenant that means ill replaces a shard behind its mount's back. */
  async overwrite(): Promise<void> {
    const [key] = this.#live
    if (key === undefined) return
    this.#damaged.add(key)
    await this.#namespace('admin').ask(['SET', key, this.#chance.bytes(40)], NEVER)
  }

  /** The mount finds what is wrong, and stores it again. */
  async scrub(): Promise<void> {
    for (const key of this.#damaged) {
      const value = this.#values.get(key)
      if (value) await this.#namespace('admin').ask(['SET', key, value], NEVER)
    }
    this.#damaged.clear()
  }

  /** A block: acts are taken, the store is told what must stay, everybody sees the new head. */
  async block(): Promise<void> {
    this.#number++
    await this.clock.advance(BLOCK_SECONDS * 1000)
    const status = this.#keeper?.status() as Holds | undefined
    for (const { act } of status?.acts ?? []) this.#take(act)
    for (const { keptSince } of status?.holds ?? []) {
      const namespace = this.#store.namespace(NAMESPACE)
      if (namespace.properties.keptSince !== keptSince) await namespace.change({ keptSince })
    }
    this.#keeper?.configure(this.#config())
    this.#committing?.update(this.#mountConfig())
    await this.clock.advance(0)
  }

  get epoch(): number {
    return this.#epoch?.number ?? 0
  }

  /** True once the window of the newest epoch has closed. */
  get isClosed(): boolean {
    return this.#epoch !== undefined && !this.#isOpen(this.#epoch)
  }

  get isProven(): boolean {
    return this.#isProven(this.epoch)
  }

  /** Units that the node is audited for in the newest epoch. */
  get auditedUnits(): number {
    return this.#auditedIn(this.epoch).units
  }

  /** What the unit would send now. */
  get acts(): readonly NonNullable<ReturnType<typeof AUDITS_ABI.parseTransaction>>[] {
    const status = this.#keeper?.status() as Holds | undefined
    return (status?.acts ?? []).flatMap(
      ({ act }) => AUDITS_ABI.parseTransaction({ data: act }) ?? [],
    )
  }

  get now(): number {
    return this.#now
  }

  get auditedRoot(): string {
    return this.#auditedIn(this.epoch).root
  }

  get committedSlots(): object | undefined {
    return this.#committing?.status()
  }

  get keeperStatus(): object | undefined {
    return this.#keeper?.status()
  }

  /** What a watcher doubts of the newest epoch; undefined if nothing was claimed, or nobody answers now. */
  async doubts(): Promise<readonly Doubt[] | undefined> {
    const claim = this.#claims.get(this.epoch)
    const bytes = this.#keeper?.transcript(this.epoch)
    if (claim === undefined || !bytes || !this.#epoch) return undefined
    const audited = this.#auditedIn(this.epoch)
    return verifyTranscript({
      claim: {
        ...{ node: NODE, epoch: this.epoch, seed: BigInt(this.#epoch.seed), samples: SAMPLES },
        accumulator: { root: fromHex(audited.root), units: audited.units },
        posted: { by: 'node', root: fromHex(claim) },
      },
      domain: { chainId: CHAIN_ID, audits: AUDITS },
      isWriter: ({ mount }, signer) => mount === MOUNT && signer === mountKey.account,
      transcript: decodeTranscript(bytes),
    })
  }

  async stop(): Promise<void> {
    const stopping = [this.#keeper?.stop(), this.#committing?.stop()]
    await this.clock.advance(60_000)
    await Promise.all(stopping)
    await this.#store.close()
  }

  /** A store whose records have the world's time; what it waits for by itself does not wait for the world. */
  #openStore(disk?: FaultDisk): Promise<TestStore> {
    const clock = {
      now: () => this.clock.now(),
      monotonic: () => this.clock.monotonic(),
      sleep: () => new Promise<void>((resolve) => void setImmediate(resolve)),
    }
    return openTestStore({ segmentBytes: 16 * 1024 }, disk, { clock })
  }

  #startMount(): void {
    const store: ShardStore = {
      put: async () => undefined,
      putNew: async () => true,
      get: async () => undefined,
      getRange: async () => undefined,
      list: async () => [],
      delete: async () => undefined,
    }
    this.#committing = new Committing(
      {
        ...{ disk: this.#mountDisk, clock: this.clock, log: silentLog },
        dial: async () => {
          const keeper = this.#keeper
          if (!keeper) throw new NodeError('LINK_UNREACHABLE', 'the audit unit is down')
          const [near, far] = duplexPair()
          servePeer(far, keeper)
          near.write(`${JSON.stringify({ account: mountKey.account })}\n`)
          return near
        },
        slot: () => ({ remote: this.#namespace('auditor'), store }),
        hashes: () => this.#hashes,
        recent: () => undefined,
      },
      this.#mountConfig(),
    )
  }

  /** A namespace of the store as it is now, which may be another one by the next request. */
  #namespace(kind: 'auditor' | 'admin'): RespNamespace {
    return {
      ask: async (args) => {
        const reply = await (await this.#client(kind)).ask(...args)
        if (!(reply instanceof ReplyError)) return reply
        const code = /^CORRUPT/.test(reply.words) ? 'STORE_IO' : 'STORE_REFUSED'
        throw new NodeError(code, reply.words)
      },
      close: () => undefined,
    }
  }

  /** One session a kind and opened store. */
  #client(kind: 'auditor' | 'admin'): Promise<TestClient> {
    const made = this.#made
    if (!made) throw new RangeError('the world was not started')
    const known = this.#clients.get(kind)
    if (known?.made === made) return known.client
    const opened = testClient(made, { principal: { kind } })
    const client = opened.ask('SELECT', NAMESPACE).then(() => opened)
    this.#clients.set(kind, { made, client })
    return client
  }

  get #now(): number {
    return Math.floor(this.clock.now() / 1000)
  }

  #isOpen({ dueAt, dueBlock }: AuditEpoch): boolean {
    return this.#now <= dueAt || this.#number <= dueBlock
  }

  #auditedIn(epoch: number): { root: string; units: number } {
    return this.#versions.findLast((one) => one.epoch < epoch) ?? { root: NONE, units: 0 }
  }

  #isProven(epoch: number): boolean {
    if (!this.#claims.has(epoch)) return false
    const seed = BigInt(this.#epoch?.seed ?? '0')
    return !isDrawn(seed, NODE, OPEN_ODDS) || this.#opened.has(epoch)
  }

  /** It holds a slot from the beginning. */
  #owes(epoch: number): boolean {
    return epoch > 0 && !this.#isProven(epoch)
  }

  #take(act: string): void {
    const call = AUDITS_ABI.parseTransaction({ data: act })
    if (!call) throw new RangeError('an act of no contract')
    const epoch = this.#epoch
    this.counts.set(call.name, (this.counts.get(call.name) ?? 0) + 1)
    if (call.name === 'draw') {
      this.#draw()
      return
    }
    const isFor = epoch && Number(call.args[0]) === epoch.number && this.#isOpen(epoch)
    if (call.name === 'commit') {
      const version = {
        root: String(call.args[0]),
        units: Number(call.args[1]),
        epoch: this.epoch,
      }
      this.#versions = [...this.#versions.filter((one) => one.epoch !== this.epoch), version]
    } else if (call.name === 'postDigest' && isFor) {
      this.#claims.set(epoch.number, String(call.args[1]))
    } else if (call.name === 'openSample' && isFor) this.#opened.add(epoch.number)
  }

  #draw(): void {
    const last = this.#epoch
    if (last && (this.#now < last.drawnAt + EPOCH_SECONDS || this.#isOpen(last))) return
    const number = this.epoch + 1
    this.#epoch = {
      ...{ number, seed: String(number * 1_000_003 + 17), drawnAt: this.#now },
      dueAt: this.#now + WINDOW_SECONDS,
      dueBlock: this.#number + WINDOW_BLOCKS,
      ...{ samples: SAMPLES, openOdds: OPEN_ODDS },
    }
  }

  #facts(): AuditFacts {
    const number = this.epoch
    return {
      audits: AUDITS,
      epoch: this.#epoch,
      audited: this.#auditedIn(number),
      auditedBefore: this.#auditedIn(number - 1),
      committed: this.#versions.at(-1),
      claim: this.#claims.get(number),
      ...{ isProven: this.#isProven(number), wasProven: false, owes: this.#owes(number) },
      ...{ missedEpoch: 0, slashedEpoch: 0, disputesRead: 0, answered: [] },
      disputes: this.disputes,
    }
  }

  #config(): AuditUnitConfig {
    return {
      ...{ node: NODE, privateKey: toHex(nodeKey.privateKey), chainId: CHAIN_ID },
      epochSeconds: EPOCH_SECONDS,
      head: { time: this.#now, number: this.#number },
      facts: this.#facts(),
      slots: [
        {
          ...{ order: VOLUME, slot: 0, generation: 0, namespace: NAMESPACE },
          ...{ sizeBytes: SLOT_BYTES, writers: [] },
          mounts: [{ mount: MOUNT, account: mountKey.account }],
        },
      ],
    }
  }

  #mountConfig(): MountUnitConfig {
    return {
      ...{ order: MOUNT, volume: VOLUME, path: '/', readOnly: false, sizeBytes: SLOT_BYTES },
      ...{ dataShards: 1, parityShards: 0, writerEpoch: 1, volumeKey: '' },
      privateKey: toHex(mountKey.privateKey),
      ...{ grid: AUDITS, chainId: CHAIN_ID, writers: [], dispersalAgeMs: 0, scrubMs: 0 },
      cacheBytes: 0,
      slots: [{ index: 0, generation: 0, account: nodeKey.account, namespace: NAMESPACE }],
      audits: { chainId: CHAIN_ID, audits: AUDITS, epoch: this.epoch, nodes: [NODE] },
    }
  }
}

const NEVER = new AbortController().signal

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest()
}
