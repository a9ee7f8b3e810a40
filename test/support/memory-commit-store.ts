/**
 * Metadata stores in memory: several replicas that may be away, lag, lie, or refuse a fenced writer.
 *
 * `CommitWorld` is the stores; `MemoryCommitStore` is what one mount sees of them. A record counts as appended when a
 * majority holds it, as docs/design/0001 says.
 */
import { createHash } from 'node:crypto'
import { NodeError } from '../../agent/base/errors.ts'
import type { CommitHead, CommitSealer, CommitStore } from '../../agent/engines/files/ports.ts'

/** One metadata store. */
export interface Replica {
  isAway: boolean
  /** It stands in the place of another and was not filled. */
  isUnfilled: boolean
  /** Claims, and what it shows, instead of the truth. */
  lie: ReplicaLie | undefined
  readonly records: Map<number, Uint8Array>
  readonly snapshots: Map<number, Uint8Array>
}

/** What a lying store says. */
export interface ReplicaLie {
  readonly head?: number
  read?(sequence: number, truth: Uint8Array | undefined): Uint8Array | undefined
  snapshots?(truth: ReadonlyMap<number, Uint8Array>): { sequence: number; bytes: Uint8Array }[]
}

/** All metadata stores of a volume. */
export class CommitWorld {
  readonly replicas: Replica[]
  /** The newest writer's epoch; older ones are refused. */
  epoch = 1
  appends = 0
  /** The newest epoch that claimed a majority. */
  claimed = 0
  /** Epochs whose writer said that it ended. */
  readonly handedOver = new Set<number>()

  constructor(count = 3) {
    this.replicas = Array.from({ length: count }, () => ({
      isAway: false,
      isUnfilled: false,
      lie: undefined,
      records: new Map(),
      snapshots: new Map(),
    }))
  }

  get majority(): number {
    return Math.floor(this.replicas.length / 2) + 1
  }

  get answering(): Replica[] {
    return this.replicas.filter((replica) => !replica.isAway)
  }
}

/** One mount's view of the metadata stores. */
export class MemoryCommitStore implements CommitStore {
  readonly #world: CommitWorld
  readonly #epoch: number
  readonly #pause: (() => Promise<void>) | undefined
  #last: number | undefined
  /** Its machine is gone: nothing it began takes effect any more. */
  isDead = false

  /** @param epoch - Of the writer that uses it; a reader's does not matter. */
  constructor(world: CommitWorld, epoch: number, pause?: () => Promise<void>) {
    this.#world = world
    this.#epoch = epoch
    this.#pause = pause
  }

  async append(sequence: number, record: Uint8Array, signal: AbortSignal): Promise<void> {
    const world = this.#world
    world.appends++
    await this.#turn(signal)
    if (this.#last !== undefined && sequence !== this.#last && sequence !== this.#last + 1) {
      throw new Error(`append of ${sequence} after ${this.#last}`)
    }
    if (world.answering.length > 0 && this.#epoch < world.epoch) {
      throw new NodeError('WRITER_FENCED', `epoch ${world.epoch} writes now`)
    }
    for (const replica of world.answering) {
      replica.records.set(sequence, Uint8Array.from(record))
      await this.#turn(signal)
    }
    if (world.answering.length < world.majority) {
      throw new NodeError('NOT_ENOUGH_STORES', `${world.answering.length} answer`)
    }
    this.#last = sequence
  }

  async read(
    sequence: number,
    signal: AbortSignal,
    provenNeeded = 0,
  ): Promise<readonly Uint8Array[]> {
    await this.#turn(signal)
    const proven = this.#world.answering.filter(({ isUnfilled }) => !isUnfilled).length
    if (proven < provenNeeded) throw new NodeError('NOT_ENOUGH_STORES', `${proven} answer`)
    const versions = new Map<string, Uint8Array>()
    for (const { records, lie } of this.#world.answering) {
      const truth = records.get(sequence)
      const bytes = lie?.read ? lie.read(sequence, truth) : truth
      if (bytes) versions.set(Buffer.from(bytes).toString('latin1'), bytes)
    }
    return [...versions.values()]
  }

  get quorum(): number {
    return this.#world.majority
  }

  async claim(epoch: number, signal: AbortSignal): Promise<void> {
    await this.#turn(signal)
    const { answering, majority } = this.#world
    if (this.#world.claimed > epoch) throw new NodeError('WRITER_FENCED', 'a newer writer claimed')
    if (answering.length < majority) throw new NodeError('NOT_ENOUGH_STORES', 'to claim')
    this.#world.claimed = epoch
  }

  async begin(signal: AbortSignal): Promise<void> {
    await this.#turn(signal)
  }

  continueFrom(): void {}

  async handOver(signal: AbortSignal): Promise<void> {
    await this.#turn(signal)
    this.#world.handedOver.add(this.#epoch)
  }

  async isHandedOver(epoch: number, signal: AbortSignal): Promise<boolean> {
    await this.#turn(signal)
    return this.#world.handedOver.has(epoch)
  }

  async head(signal: AbortSignal): Promise<CommitHead> {
    await this.#turn(signal)
    const { answering, replicas } = this.#world
    const heads = answering.map(({ records, lie }) => lie?.head ?? Math.max(0, ...records.keys()))
    return {
      sequence: Math.max(0, ...heads),
      storesAnswering: answering.length,
      storesTotal: replicas.length,
      storesProven: answering.filter(({ isUnfilled }) => !isUnfilled).length,
      isEmpty: answering.length === replicas.length && Math.max(0, ...heads) === 0,
      isLost: false,
    }
  }

  async putSnapshot(sequence: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#turn(signal)
    if (this.#world.answering.length === 0) throw new NodeError('NOT_ENOUGH_STORES', 'none answers')
    for (const replica of this.#world.answering) replica.snapshots.set(sequence, bytes)
  }

  async snapshots(
    signal: AbortSignal,
  ): Promise<readonly { sequence: number; load(): Promise<Uint8Array> }[]> {
    await this.#turn(signal)
    const all = this.#world.answering.flatMap(
      ({ snapshots, lie }) =>
        lie?.snapshots?.(snapshots) ??
        [...snapshots].map(([sequence, bytes]) => ({ sequence, bytes })),
    )
    return all
      .sort((a, b) => b.sequence - a.sequence)
      .map(({ sequence, bytes }) => ({ sequence, load: async () => bytes }))
  }

  async #turn(signal: AbortSignal): Promise<void> {
    await this.#pause?.()
    signal.throwIfAborted()
    if (this.isDead) throw new Error('this machine is gone')
  }
}

/**
 * A sealer for tests that is quick: a keyed hash in place of encryption and signature.
 *
 * @param key - Those with the same key can open what the others sealed.
 */
export function plainSealer(key = 'volume'): CommitSealer {
  const MAC_BYTES = 32
  const mac = (sequence: number, plain: Uint8Array) =>
    createHash('sha256').update(`${key} ${sequence} `).update(plain).digest()
  return {
    seal: (sequence, plain) => new Uint8Array(Buffer.concat([mac(sequence, plain), plain])),
    open(sequence, sealed) {
      const plain = sealed.subarray(MAC_BYTES)
      if (!mac(sequence, plain).equals(sealed.subarray(0, MAC_BYTES))) {
        throw new NodeError('COMMIT_INVALID', `commit ${sequence}`)
      }
      return plain
    },
  }
}
