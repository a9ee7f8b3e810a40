/**
 * What the audit unit does, without its sockets: follows this node's slots, countersigns what their writers commit, proves each
 * epoch, and says which acts are due on the ledger. Sending them is the agent's: it holds the account's nonce.
 *
 * Level-triggered: each round looks at the ledger's facts as configured last and at what is at hand, and plans anew. All
 * that must not be forgotten is on disk before anybody hears of it.
 */

import type { RespNamespace } from '../../adapters/socket/resp-namespace.ts'
import { backoffMs } from '../../base/backoff.ts'
import { fromHex } from '../../base/bytes.ts'
import type { Disk } from '../../base/disk.ts'
import { codeOf, describeError, NodeError } from '../../base/errors.ts'
import { type Account, nodeId, orderId } from '../../base/ids.ts'
import type { Clock, Log } from '../../base/ports.ts'
import { MINUTE_MS, SECOND_MS } from '../../base/units.ts'
import {
  type AuditAct,
  countersign,
  type Duty,
  dutyAct,
  NodeAccumulator,
  planDuties,
  prove,
  type SignedCommitment,
  type SlotName,
  type SlotState,
  slotText,
} from '../../engines/audit/index.ts'
import { AUDITS_ABI } from '../../ledger/abi.ts'
import type { AuditSlotConfig, AuditUnitConfig } from '../../state/unit-config.ts'
import { AccumulatorBook } from './accumulator-book.ts'
import { dutiesWorld, needOf, storeOfDuties, type WantedAct } from './duty-facts.ts'
import { ProofBook } from './proof-book.ts'
import { SLOTS_DIRECTORY, SlotBook, type SlotBookPorts } from './slot-book.ts'

/** Between two rounds; a new configuration begins one at once. */
const ROUND_MS = 1_000
/** Hashing of what came in gives way to proving after this time. */
const FOLLOW_MS_MAX = 5_000
/** After a proof that failed: its shards may be repaired, or a store come back, while the window is open. */
const PROVE_RETRY_MS_MIN = 2_000
const PROVE_RETRY_MS_MAX = MINUTE_MS

/** What a keeper works with. */
export interface AuditKeeperInit {
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Log
  /** Reads a namespace of this node's store. */
  readonly store: (namespace: string) => RespNamespace
}

/** What a writer is told of its slot. */
export interface EraAnswer {
  readonly since: number
  /** Newest epoch that the node knows. */
  readonly epoch: number
}

/** See the file's comment. */
export class AuditKeeper {
  readonly #init: AuditKeeperInit
  readonly #books = new Map<string, SlotBook>()
  readonly #accumulators: AccumulatorBook
  readonly #proofs: ProofBook
  readonly #stop = new AbortController()
  #config: AuditUnitConfig | undefined
  #acts: readonly WantedAct[] = []
  #problem: NodeError | undefined
  #provedEpoch = 0
  #proveRetryAt = 0
  #proveFailures = 0
  #loop: Promise<void> | undefined
  #rest = new AbortController()

  /** @throws NodeError `AUDIT_FILE_DAMAGED`, `DISK_*`. */
  constructor(init: AuditKeeperInit) {
    this.#init = init
    this.#accumulators = new AccumulatorBook(init.disk, init.clock)
    this.#proofs = new ProofBook(init.disk)
    for (const name of init.disk.list(SLOTS_DIRECTORY)) {
      const book = name.endsWith('.json') ? SlotBook.load(this.#ports, name) : undefined
      if (book) this.#books.set(slotText(book.name), book)
    }
  }

  configure(config: AuditUnitConfig): void {
    this.#config = config
    this.#rest.abort()
    this.#loop ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    this.#rest.abort()
    await this.#loop
    for (const book of this.#books.values()) book.close()
  }

  /** What the agent reads: acts to send, what the store must keep, and figures. */
  status(): object {
    const books = [...this.#books.values()]
    const needed = this.#neededStates()
    const problem = this.#problem ?? books.find((book) => book.problem)?.problem
    return {
      epoch: this.#config?.facts.epoch?.number ?? 0,
      provedEpoch: this.#provedEpoch,
      units: this.#signed().reduce((sum, { commitment }) => sum + commitment.units, 0),
      slots: books.length,
      slotsSigned: books.filter((book) => book.signed).length,
      eras: books.reduce((sum, book) => sum + book.eras, 0),
      shards: books.reduce((sum, book) => sum + book.shards, 0),
      acts: this.#acts,
      holds: books.map((book) => ({
        namespace: book.namespace,
        keptSince: book.keptSince,
        isNeeded: needed.has(slotText(book.name)),
      })),
      ...(problem && { code: problem.code, message: problem.message }),
    }
  }

  /**
   * Tells a writer where its slot's list of shards begins; the first question makes the node hold back what dies.
   *
   * @param isFresh - True if the writer cannot vouch for what died: then the list begins anew, if it may.
   * @throws NodeError `AUDIT_REQUEST_REFUSED`, `AUDIT_NOT_READY`, `STORE_*`.
   */
  async era(name: SlotName, peer: Account, isFresh: boolean): Promise<EraAnswer> {
    const slot = this.#slotFor(name, peer)
    const key = slotText(name)
    const begun = this.#books.get(key) ?? (await SlotBook.begin(this.#ports, name, slot.namespace))
    // Another request may have been faster.
    const book = this.#books.get(key) ?? begun
    this.#books.set(key, book)
    if (isFresh) await book.renew(this.#stop.signal)
    const { since } = await book.newestEra(this.#stop.signal)
    return { since, epoch: this.#config?.facts.epoch?.number ?? 0 }
  }

  /**
   * Countersigns what a writer committed, if it is what the node has.
   *
   * @param signed - Not trusted.
   * @returns The countersignature; the commitment is durable then.
   * @throws NodeError `AUDIT_COMMITMENT_*`, `AUDIT_REQUEST_REFUSED`, `AUDIT_NOT_READY`, `AUDIT_SHARD_*`.
   */
  async countersign(signed: SignedCommitment, peer: Account): Promise<Uint8Array> {
    const { commitment } = signed
    const slot = this.#slotFor(commitment, peer)
    const config = this.#configured()
    const book = this.#books.get(slotText(commitment))
    if (!book) throw new NodeError('AUDIT_NOT_READY', 'the writer has not asked for the era')
    const { tree } = await book.newestEra(this.#stop.signal)
    await tree.follow(this.#stop.signal)
    const countersignature = await countersign(signed, {
      domain: { chainId: config.chainId, audits: config.facts.audits },
      node: nodeId(config.node),
      key: { privateKey: fromHex(config.privateKey) },
      tree,
      sizeBytes: slot.sizeBytes,
      newestEpoch: config.facts.epoch?.number ?? 0,
      newestSigned: book.signed?.commitment,
      isWriter: ({ mount }, signer) =>
        mount === 0
          ? slot.writers.includes(signer)
          : slot.mounts.some((one) => one.mount === mount && one.account === signer),
    })
    await book.sign(signed)
    return countersignature
  }

  /** A transcript as bytes, undefined if there is none. */
  transcript(epoch: number): Uint8Array | undefined {
    return this.#proofs.encoded(epoch)
  }

  get #ports(): SlotBookPorts {
    const { disk, clock, store } = this.#init
    return { disk, clock, store }
  }

  #configured(): AuditUnitConfig {
    if (this.#config) return this.#config
    throw new NodeError('AUDIT_NOT_READY', 'the ledger was not read yet', {
      retryAfterMs: SECOND_MS,
    })
  }

  /** A slot of this node that the peer may write. */
  #slotFor(name: SlotName, peer: Account): AuditSlotConfig {
    const text = slotText(name)
    const slot = this.#configured().slots.find((one) => slotText(slotOf(one)) === text)
    const isWriter =
      slot?.writers.includes(peer) || slot?.mounts.some(({ account }) => account === peer)
    if (slot && isWriter) return slot
    throw new NodeError('AUDIT_REQUEST_REFUSED', `slot ${text} is not here for ${peer}`, {
      retryAfterMs: SECOND_MS,
    })
  }

  async #run(): Promise<void> {
    const { clock } = this.#init
    while (!this.#stop.signal.aborted) {
      this.#rest = new AbortController()
      try {
        await this.#round()
      } catch (caught) {
        if (this.#stop.signal.aborted) return
        this.#note(caught)
      }
      await clock.sleep(ROUND_MS, this.#rest.signal).catch(() => undefined)
    }
  }

  async #round(): Promise<void> {
    const config = this.#configured()
    const duties = planDuties(this.#world(config))
    const proof = duties.find((duty) => duty.kind === 'prove')
    // After a restart the trees have to catch up before anything can be proved from them.
    if (proof && !this.#hasTrees(config)) await this.#followAll()
    if (proof) await this.#prove(config, proof)
    else this.#problem = undefined
    await this.#followAll()
    await this.#say(config, planDuties(this.#world(config)))
    await this.#forget(config)
  }

  async #followAll(): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(FOLLOW_MS_MAX)])
    for (const book of this.#books.values()) {
      try {
        await book.follow(signal)
        book.problem = undefined
      } catch (caught) {
        if (signal.aborted) return
        const isNew = book.problem?.code !== codeOf(caught)
        book.problem = asFailure(caught)
        const fields = { slot: slotText(book.name), err: describeError(caught) }
        if (isNew) this.#init.log.warn(fields, 'a slot cannot be followed')
      }
    }
  }

  #hasTrees({ facts }: AuditUnitConfig): boolean {
    const { slots = [] } = this.#accumulators.find(facts.audited.root) ?? {}
    return slots.every(({ commitment }) =>
      this.#books.get(slotText(commitment))?.treeOf(commitment),
    )
  }

  async #prove(config: AuditUnitConfig, duty: Extract<Duty, { kind: 'prove' }>): Promise<void> {
    const { clock, log } = this.#init
    const { facts } = config
    if (!facts.epoch || clock.monotonic() < this.#proveRetryAt) return
    try {
      const accumulator = this.#accumulators.find(facts.audited.root)
      if (!accumulator) {
        throw new NodeError('AUDIT_ACCUMULATOR_UNKNOWN', `root ${facts.audited.root}`)
      }
      const states = new Map(
        accumulator.slots.map(({ commitment }) => [slotText(commitment), commitment]),
      )
      const beganAt = clock.monotonic()
      const transcript = await prove({
        node: nodeId(config.node),
        ...{ epoch: duty.epoch, seed: duty.seed, samples: facts.epoch.samples, accumulator },
        slots: (name) => {
          const state = states.get(slotText(name))
          return state && this.#books.get(slotText(name))?.treeOf(state)
        },
        signal: this.#stop.signal,
      })
      await this.#proofs.keep(duty.seed, accumulator.root, transcript)
      this.#provedEpoch = duty.epoch
      this.#problem = undefined
      this.#proveFailures = 0
      const tookMs = Math.round(clock.monotonic() - beganAt)
      log.info({ epoch: duty.epoch, units: accumulator.units, tookMs }, 'an epoch is proved')
    } catch (caught) {
      if (this.#stop.signal.aborted) throw caught
      const range = { minMs: PROVE_RETRY_MS_MIN, maxMs: PROVE_RETRY_MS_MAX }
      this.#proveRetryAt = clock.monotonic() + backoffMs(++this.#proveFailures, range)
      this.#note(caught)
    }
  }

  /** Makes ready what the acts refer to, then says them. */
  async #say(config: AuditUnitConfig, duties: readonly Duty[]): Promise<void> {
    if (duties.some(({ kind }) => kind === 'commit')) await this.#accumulators.keep(this.#signed())
    const accumulator = (root: string) => this.#accumulators.find(root)
    const store = storeOfDuties(config, { proofs: this.#proofs, accumulator })
    this.#acts = duties.flatMap((duty, rank): WantedAct[] => {
      const act = dutyAct(duty, store)
      return act ? [{ ...needOf(duty, config, rank), act: encodeAct(act) }] : []
    })
  }

  /** Lets go of what nobody can ask for any more: two draws after the node committed without it. */
  async #forget({ facts, slots }: AuditUnitConfig): Promise<void> {
    const roots = [facts.audited, facts.auditedBefore, facts.committed ?? facts.audited]
    this.#accumulators.forgetBut(
      roots.map(({ root }) => root),
      facts.committed?.root,
    )
    const own = new Set(slots.map((slot) => slotText(slotOf(slot))))
    const needed = this.#neededStates()
    for (const [key, book] of this.#books) {
      if (!own.has(key) && !needed.has(key)) {
        book.remove()
        this.#books.delete(key)
      } else await book.dropEras(needed.get(key) ?? [])
    }
  }

  /** What accumulators have of each slot, by its name: all that an audit may still ask for. */
  #neededStates(): ReadonlyMap<string, readonly SlotState[]> {
    const needed = new Map<string, SlotState[]>()
    for (const { slots } of this.#accumulators.all) {
      for (const { commitment } of slots) {
        const name = slotText(commitment)
        const states = needed.get(name)
        if (states) states.push(commitment)
        else needed.set(name, [commitment])
      }
    }
    return needed
  }

  /** All that this node countersigned and still has. */
  #signed(): SignedCommitment[] {
    const own = new Set(this.#config?.slots.map((slot) => slotText(slotOf(slot))))
    return [...this.#books.values()].flatMap((book) =>
      book.signed && own.has(slotText(book.name)) ? [book.signed] : [],
    )
  }

  #holds(): NodeAccumulator {
    return new NodeAccumulator(this.#signed())
  }

  #world(config: AuditUnitConfig) {
    const { committed } = config.facts
    return dutiesWorld(config, {
      holds: this.#holds(),
      signed: this.#signed(),
      committed: committed && this.#accumulators.find(committed.root),
      proofs: this.#proofs.atHand,
    })
  }

  #note(caught: unknown): void {
    const isNew = this.#problem?.code !== codeOf(caught)
    this.#problem = asFailure(caught)
    if (isNew) this.#init.log.warn({ err: describeError(caught) }, 'an audit cannot go on')
  }
}

function slotOf({ order, slot, generation }: AuditSlotConfig): SlotName {
  return { order: orderId(order), slot, generation }
}

function encodeAct({ method, args }: AuditAct): string {
  return AUDITS_ABI.encodeFunctionData(method, args)
}

/** A bug ends the process: the supervisor starts it again, and the log says where. */
function asFailure(caught: unknown): NodeError {
  if (caught instanceof NodeError) return caught
  throw caught
}
