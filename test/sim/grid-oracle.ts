/**
 * The truth beside the simulated grid: what is on the disks that were not destroyed, read without links and agents by the
 * production reader; and what the ledger said at final blocks, against everything that machines do.
 */
import { fromHex } from '../../agent/base/bytes.ts'
import { commitSealer } from '../../agent/base/commit-sealer.ts'
import { NodeError } from '../../agent/base/errors.ts'
import type { Chance, Clock } from '../../agent/base/ports.ts'
import { volumeKeysFrom } from '../../agent/base/volume-keys.ts'
import { openChunks } from '../../agent/engines/chunks/index.ts'
import { openDispersal, type ShardStore } from '../../agent/engines/disperse/index.ts'
import type { PackTable } from '../../agent/engines/disperse/pack-table.ts'
import { recordSeal, Volume } from '../../agent/engines/files/index.ts'
import type { LedgerCursor } from '../../agent/ledger/types.ts'
import { decodeResource } from '../../agent/state/codec.ts'
import type { JournalChange } from '../../agent/state/journal.ts'
import { splitRecord } from '../../agent/state/records.ts'
import { identityOf, VOLUME_KEY } from '../support/fake-orders.ts'
import { faultDisk } from '../support/fault-disk.ts'
import { digestOf, readAll } from '../support/sim-files.ts'
import {
  deletableFrom,
  SIM_CHAIN_ID,
  SIM_CONTRACTS,
  type SimLedger,
  type SimOrder,
  stateAt,
} from '../support/sim-ledger.ts'
import type { SimMachine } from '../support/sim-machine.ts'
import { seededChance } from '../support/virtual-clock.ts'
import { quietLog } from '../support/volume-world.ts'

const COMMIT = '63'
const SNAPSHOT = '73'
const PACK = '70'

/** A rule that was broken. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

/** Shape of the volume under test. */
export interface VolumeShape {
  readonly dataShards: number
  readonly parityShards: number
  readonly metaStores: number
}

/** See the file's comment. */
export class GridOracle {
  readonly #ledger: SimLedger
  readonly #machines: readonly SimMachine[]
  readonly #clock: Clock
  readonly #shape: VolumeShape
  readonly #cursors = new Map<SimMachine, number>()
  /** Values with a wrong bit; one that was stored anew is another value. */
  readonly #rotten = new WeakSet<Uint8Array>()

  constructor(
    ledger: SimLedger,
    machines: readonly SimMachine[],
    clock: Clock,
    shape: VolumeShape,
  ) {
    this.#ledger = ledger
    this.#machines = machines
    this.#clock = clock
    this.#shape = shape
  }

  /** Number of a machine in the registry at the newest final block; 0 while it has none. */
  nodeOf(machine: SimMachine): number {
    const { nodes } = this.#ledger.final.state
    return nodes.find(({ account }) => account === machine.account)?.id ?? 0
  }

  machineOf(node: number): SimMachine | undefined {
    const account = this.#ledger.final.state.nodes[node - 1]?.account
    return this.#machines.find((machine) => machine.account === account)
  }

  /** Nothing is provisioned but what a final block orders from this node. */
  checkProvisioned(machine: SimMachine, what: string): void {
    const { order, slot } = this.#named(what)
    const node = this.nodeOf(machine)
    const isOurs =
      order?.slots[slot]?.node === node ||
      order?.moves.some((move) => move.slot === slot && move.from === node)
    if (order && isOurs) return
    throw new Violation(`node ${node} provisioned ${what}, which no final block asks of it`)
  }

  /** Nothing is removed before its order ended, or its slot moved, and the grace passed, at a final block. */
  checkRemoved(machine: SimMachine, what: string): void {
    const { order, slot } = this.#named(what)
    const block = this.#ledger.final
    const node = this.nodeOf(machine)
    const from = order && deletableFrom(order, block)
    if (from !== undefined && from <= block.timestamp) return
    const moves = order?.moves.filter((move) => move.slot === slot && move.from === node)
    const left = moves?.at(-1)?.at
    const isElsewhere = order?.slots[slot]?.node !== node
    const { graceSeconds } = block.state.policy
    // A slot of a volume is a source until the volume ends, however long ago it moved.
    const mayAge = order?.kind === 'store'
    if (mayAge && left !== undefined && isElsewhere && left + graceSeconds <= block.timestamp)
      return
    throw new Violation(`node ${node} removed ${what} without leave of a final block`)
  }

  /** What an agent makes durable is what the canonical chain says at a final block, and its cursor never falls. */
  checkPersisted(machine: SimMachine, changes: readonly JournalChange[]): void {
    const cursorText = changes.find(({ key }) => key === 'ledger.cursor/cursor')?.text
    if (cursorText === undefined) return
    const cursor = resourceOf(cursorText) as LedgerCursor
    const { number, hash } = cursor.block
    const before = this.#cursors.get(machine) ?? -1
    if (number < before) throw new Violation(`the cursor went back from ${before} to ${number}`)
    this.#cursors.set(machine, number)
    const block = this.#ledger.chain[number]
    if (!block || number > this.#ledger.finalNumber || block.hash !== hash) {
      throw new Violation(`block ${number} was applied and is not final`)
    }
    const provenSeconds = cursor.time?.provenSeconds ?? 0
    if (provenSeconds > block.timestamp) {
      const aheadSeconds = provenSeconds - block.timestamp
      throw new Violation(`block ${number} was believed ${aheadSeconds} s later than it was`)
    }
    for (const { key, text } of changes) {
      if (!key.startsWith('order.') || text === undefined) continue
      const claimed = resourceOf(text) as {
        id: number
        state: string
        slots: { node: number }[]
      }
      const order = block.state.orders[claimed.id - 1]
      const truth = order && stateAt(order, block.timestamp, block.state.policy.graceSeconds)
      const nodes = order?.slots.map(({ node }) => node).join()
      if (truth === claimed.state && nodes === claimed.slots.map(({ node }) => node).join())
        continue
      throw new Violation(`order ${claimed.id} was believed ${claimed.state} and is ${truth}`)
    }
  }

  /** Cursor that a machine's agent last applied. */
  cursorOf(machine: SimMachine): number {
    return this.#cursors.get(machine) ?? -1
  }

  /**
   * Whether the volume outlives the loss of these machines too: of every pack that can be read now k shards are left, and
   * of the metadata stores one with the whole history.
   */
  survives(volume: SimOrder, lost: readonly SimMachine[]): boolean {
    const { dataShards } = this.#shape
    const before = this.#packs(volume, [])
    const after = this.#packs(volume, lost)
    for (const [pack, count] of before) {
      if (count >= dataShards && (after.get(pack) ?? 0) < dataShards) return false
    }
    const metas = this.#metas(volume)
    const newest = Math.max(0, ...metas.map(({ newest }) => newest))
    return metas.some(
      (meta) => meta.newest === newest && meta.isWhole && !lost.includes(meta.machine),
    )
  }

  /**
   * Turns over a bit of one shard, if the pack can do without it.
   *
   * @returns Which, undefined if there was none.
   */
  rot(volume: SimOrder, chance: Chance): string | undefined {
    const counts = this.#packs(volume, [])
    const slot = chance.below(this.#shape.dataShards + this.#shape.parityShards)
    const machine = this.machineOf(volume.slots[slot]?.node ?? 0)
    const values = machine?.store.namespaces.get(`o${volume.id}.${slot}`)?.values
    const keys = [...(values?.keys() ?? [])].filter(
      (key) => key.startsWith(PACK) && (counts.get(key) ?? 0) > this.#shape.dataShards,
    )
    // Pack ids are drawn, not counted: only their order is the same for every machine.
    const key = keys[chance.below(Math.max(1, keys.length))]
    const value = key === undefined ? undefined : values?.get(key)
    if (key === undefined || !value || this.#rotten.has(value)) return undefined
    const wrong = value.slice()
    const at = chance.below(wrong.byteLength)
    wrong[at] = (wrong[at] ?? 0) ^ (1 << chance.below(8))
    this.#rotten.add(wrong)
    values?.set(key, wrong)
    return `slot ${slot} byte ${at}`
  }

  /** How many metadata slots hold a commit, or a snapshot that covers it; a store that is gone may have had it. */
  metasHolding(volume: SimOrder, sequence: number): number {
    const first = this.#shape.dataShards + this.#shape.parityShards
    const holds = (slot: number) =>
      this.#machines.some((machine) => {
        if (machine.isDestroyed) return machine === this.machineOf(volume.slots[slot]?.node ?? 0)
        const keys = this.#keys(machine, volume.id, slot)
        return keys.some((key) => {
          const number = Number(BigInt(`0x${key.slice(2, 18) || '0'}`))
          if (key.startsWith(COMMIT)) return number === sequence
          return key.startsWith(SNAPSHOT) && key.endsWith('00000000') && number >= sequence
        })
      })
    return volume.slots.filter((_, slot) => slot >= first && holds(slot)).length
  }

  /** True once every metadata store alone holds the whole history. */
  everyMetaIsWhole(volume: SimOrder): boolean {
    const metas = this.#metas(volume)
    const newest = Math.max(0, ...metas.map((meta) => meta.newest))
    const isAllThere = metas.length === this.#shape.metaStores
    return isAllThere && metas.every((meta) => meta.isWhole && meta.newest === newest)
  }

  /**
   * Mounts the volume read-only on a machine that has nothing, out of what the disks hold.
   *
   * @param metas - Metadata stores that answer, by position among them.
   * @returns Digest of all files, the commit they are at, and how many shards of their packs are not where the table of
   *   packs says.
   */
  async readRemote(
    volume: SimOrder,
    metas: readonly number[],
  ): Promise<{ digest: string; sequence: number; shardsLacking: number }> {
    const { dataShards, parityShards } = this.#shape
    const total = dataShards + parityShards
    const slots = volume.slots.map((slot, index) => {
      const isAsked = index < total || metas.includes(index - total)
      const machine = isAsked ? this.machineOf(slot.node) : undefined
      const store = directStore(machine, `o${volume.id}.${index}`)
      return { index, generation: slot.generation, store }
    })
    const clock = this.#clock
    const reader = identityOf(200)
    const writers = this.#machines.map(({ account }) => account)
    const sealer = commitSealer({
      chainId: SIM_CHAIN_ID,
      grid: SIM_CONTRACTS.grid,
      volume: volume.id,
      volumeKey: VOLUME_KEY,
      privateKey: reader.privateKey,
      writers,
      epoch: volume.writerEpoch,
    })
    const parts = { clock, chance: seededChance(1), log: quietLog(), isWriter: false }
    const seal = recordSeal(sealer)
    const dispersal = openDispersal({ dataShards, parityShards, slots, seal, ...parts })
    const chunks = openChunks({ keys: volumeKeysFrom(VOLUME_KEY), packs: dispersal, clock })
    try {
      const opened = await Volume.open(
        {
          disk: faultDisk(seededChance(1)),
          chunks,
          sections: [dispersal.section, chunks.section],
          commits: dispersal.commits,
          sealer,
          clock,
          log: quietLog(),
        },
        { readOnly: true, epoch: 1, sizeBytes: 2 ** 40, dispersalAgeMs: 1000 },
        new AbortController().signal,
      )
      const digest = digestOf(await readAll(opened))
      const sequence = opened.figures().commitSequence
      await opened.close()
      return { digest, sequence, shardsLacking: this.#shardsLacking(volume, dispersal.section) }
    } finally {
      await chunks.close()
      await dispersal.close()
    }
  }

  #shardsLacking(volume: SimOrder, packs: PackTable): number {
    const total = this.#shape.dataShards + this.#shape.parityShards
    let lacking = 0
    for (const number of packs.numbers) {
      const pack = packs.get(number)
      if (!pack) continue
      const key = PACK + Buffer.from(pack.id).toString('hex')
      for (const [slot, { node }] of volume.slots.slice(0, total).entries()) {
        const values = this.machineOf(node)?.store.namespaces.get(`o${volume.id}.${slot}`)?.values
        if (!values?.has(key)) lacking++
      }
    }
    return lacking
  }

  #named(what: string): { order: SimOrder | undefined; slot: number } {
    const match = /^(?:o(\d+)\.(\d+)|mount-(\d+))$/.exec(what)
    const id = Number(match?.[1] ?? match?.[3] ?? 0)
    return { order: this.#ledger.final.state.orders[id - 1], slot: Number(match?.[2] ?? 0) }
  }

  /** How many slots hold a shard of each pack. */
  #packs(volume: SimOrder, lost: readonly SimMachine[]): Map<string, number> {
    const counts = new Map<string, number>()
    const total = this.#shape.dataShards + this.#shape.parityShards
    for (const [index, slot] of volume.slots.slice(0, total).entries()) {
      const machine = this.machineOf(slot.node)
      if (!machine || lost.includes(machine)) continue
      const values = machine.store.namespaces.get(`o${volume.id}.${index}`)?.values
      for (const [key, value] of values ?? []) {
        if (key.startsWith(PACK) && !this.#rotten.has(value))
          counts.set(key, (counts.get(key) ?? 0) + 1)
      }
    }
    return counts
  }

  #metas(volume: SimOrder): { machine: SimMachine; newest: number; isWhole: boolean }[] {
    const first = this.#shape.dataShards + this.#shape.parityShards
    return volume.slots.slice(first).flatMap((slot, at) => {
      const machine = this.machineOf(slot.node)
      if (!machine) return []
      const keys = this.#keys(machine, volume.id, first + at)
      const of = (prefix: string) =>
        keys
          .filter((key) => key.startsWith(prefix))
          .map((key) => Number(BigInt(`0x${key.slice(2, 18)}`)))
      const commits = new Set(of(COMMIT))
      // The header of a snapshot is its part 0, stored last.
      const headers = keys.filter((key) => key.startsWith(SNAPSHOT) && key.endsWith('00000000'))
      const base = Math.max(0, ...headers.map((key) => Number(BigInt(`0x${key.slice(2, 18)}`))))
      const newest = Math.max(base, 0, ...commits)
      let isWhole = true
      for (let sequence = base + 1; sequence <= newest; sequence++) {
        if (!commits.has(sequence)) isWhole = false
      }
      return [{ machine, newest, isWhole }]
    })
  }

  #keys(machine: SimMachine, order: number, slot: number): string[] {
    return [...(machine.store.namespaces.get(`o${order}.${slot}`)?.values.keys() ?? [])]
  }
}

/** What is on a machine's disk, read without asking the machine. */
function directStore(machine: SimMachine | undefined, namespace: string): ShardStore {
  const values = () => {
    const found = machine?.store.namespaces.get(namespace)
    if (found) return found.values
    throw new NodeError('STORE_UNREACHABLE', 'it is gone')
  }
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
  const refuse = async () => {
    throw new NodeError('STORE_REFUSED', 'the truth is only looked at')
  }
  return {
    put: refuse,
    putNew: refuse,
    delete: refuse,
    get: async (key) => values().get(hex(key)),
    getRange: async (key, offset, lengthBytes) =>
      values()
        .get(hex(key))
        ?.slice(offset, offset + lengthBytes),
    list: async (prefix, after, limit) =>
      [...values().keys()]
        .filter((key) => key.startsWith(hex(prefix)) && (!after || key > hex(after)))
        .sort()
        .slice(0, limit)
        .map(fromHex),
  }
}

/** The resource in a record of the journal. */
function resourceOf(text: string): unknown {
  return decodeResource(splitRecord(text).resourceText)
}
