/**
 * The writer's side of audits: signs what each slot of the volume holds, has the slot's node countersign it, and keeps both, so
 * that the node can be held to it (docs/design/0014-audits.md, section 3).
 *
 * The node says in which order its store has the shards; what they hash to this mount knows itself: from what it stored lately,
 * else from what the store gives back, which must be what the table of packs says. So a node cannot have bytes signed that
 * the volume never had.
 */

import { createHash } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { RespNamespace } from '../../adapters/socket/resp-namespace.ts'
import { respShardSource, storeKeyOf } from '../../adapters/socket/resp-shard-source.ts'
import { backoffMs } from '../../base/backoff.ts'
import { bytesEqual, fromHex, toHex } from '../../base/bytes.ts'
import type { Disk } from '../../base/disk.ts'
import { codeOf, describeError, isNodeError, NodeError } from '../../base/errors.ts'
import { type Account, nodeId, orderId } from '../../base/ids.ts'
import { fieldOf } from '../../base/json.ts'
import type { Clock, Log } from '../../base/ports.ts'
import { KIB, MINUTE_MS, SECOND_MS } from '../../base/units.ts'
import {
  commitmentSigner,
  LeafFile,
  type ShardSource,
  type SlotState,
  SlotTree,
  signCommitment,
} from '../../engines/audit/index.ts'
import type { ShardStore } from '../../engines/disperse/index.ts'
import type { MountUnitConfig, SlotConfig } from '../../state/unit-config.ts'
import { writeJson } from '../audit/json-file.ts'
import { signedToJson } from '../audit/signed-json.ts'
import { askLines } from '../json-lines.ts'

/** Between two looks at what is to be committed. */
const LOOK_MS = 2 * SECOND_MS
/** What came within an epoch is committed again no sooner than this: the node commits on the ledger once an epoch. */
const AGAIN_MS = 10 * MINUTE_MS
/** After a failure: the node may not have read the order yet, or be away. */
const RETRY_MS_MIN = 2 * SECOND_MS
const RETRY_MS_MAX = 5 * MINUTE_MS
/** Hashing what was stored since goes before the answer, on both sides. */
const ANSWER_MS_MAX = 2 * MINUTE_MS
const DIAL_MS_MAX = 20 * SECOND_MS
/** An era, or a countersignature. */
const LINES = { lineBytesMax: 4 * KIB, pendingMax: 2 } as const
const DIRECTORY = 'commitments'

/** What a {@link Committing} works with. */
export interface CommittingParts {
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Log
  /** Reaches the audit unit of a node. */
  readonly dial: (account: Account, signal: AbortSignal) => Promise<Duplex>
  /** The namespace of a slot, and its store; undefined if there is no such slot now. */
  readonly slot: (
    index: number,
  ) => { readonly remote: RespNamespace; readonly store: ShardStore } | undefined
  /** SHA-256 of the shards that a slot must have, by the store's key in hexadecimal. */
  readonly hashes: (slot: number) => ReadonlyMap<string, Uint8Array>
  /** Root of a shard that was stored lately. */
  readonly recent: (
    store: ShardStore,
    key: Uint8Array,
    lengthBytes: number,
  ) => Uint8Array | undefined
}

/** What is known of one slot in the hands of one node. */
interface Progress {
  /** Generation and account. */
  readonly holder: string
  since: number | undefined
  tree: SlotTree | undefined
  leaves: LeafFile | undefined
  signed: (SlotState & { readonly epoch: number }) | undefined
  signedAtMs: number
  retryAtMs: number
  failures: number
  problem: NodeError | undefined
}

/** See the file's comment. */
export class Committing {
  readonly #parts: CommittingParts
  readonly #stop = new AbortController()
  readonly #slots = new Map<number, Progress>()
  readonly #loop: Promise<void>
  #config: MountUnitConfig

  constructor(parts: CommittingParts, config: MountUnitConfig) {
    this.#parts = parts
    this.#config = config
    this.#loop = this.#run()
  }

  update(config: MountUnitConfig): void {
    this.#config = config
  }

  status(): object {
    const all = [...this.#slots.values()]
    const problem = all.find((one) => one.problem)?.problem
    return {
      epoch: this.#config.audits?.epoch ?? 0,
      slotsSigned: all.filter(({ signed }) => signed).length,
      units: all.reduce((sum, { signed }) => sum + (signed?.units ?? 0), 0),
      ...(problem && { code: problem.code, message: problem.message }),
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#loop
    for (const { leaves } of this.#slots.values()) leaves?.close()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      const { audits, slots, dataShards, parityShards } = this.#config
      for (const slot of audits ? slots : []) {
        // What metadata stores hold is replaced all the time, and small: it is not audited.
        if (slot.index < dataShards + parityShards && !signal.aborted) await this.#attempt(slot)
      }
      await this.#parts.clock.sleep(LOOK_MS, signal).catch(() => undefined)
    }
  }

  async #attempt(slot: SlotConfig): Promise<void> {
    const progress = this.#progressOf(slot)
    const { clock, log } = this.#parts
    if (!this.#isDue(progress)) return
    try {
      await this.#commit(slot, progress)
      progress.failures = 0
      progress.problem = undefined
    } catch (caught) {
      if (this.#stop.signal.aborted) return
      if (!isNodeError(caught)) throw caught
      const range = { minMs: RETRY_MS_MIN, maxMs: RETRY_MS_MAX }
      const pauseMs = caught.retryAfterMs ?? backoffMs(++progress.failures, range)
      progress.retryAtMs = clock.monotonic() + Math.min(RETRY_MS_MAX, pauseMs)
      if (progress.problem?.code !== codeOf(caught)) {
        log.warn({ slot: slot.index, err: describeError(caught) }, 'a slot is not committed yet')
      }
      progress.problem = caught
    }
  }

  #isDue({ signed, signedAtMs, retryAtMs }: Progress): boolean {
    const now = this.#parts.clock.monotonic()
    if (now < retryAtMs) return false
    if (!signed || signed.epoch < (this.#config.audits?.epoch ?? 0)) return true
    return now - signedAtMs >= AGAIN_MS
  }

  #progressOf({ index, generation, account }: SlotConfig): Progress {
    const holder = `${generation} ${account}`
    const known = this.#slots.get(index)
    if (known?.holder === holder) return known
    known?.leaves?.close()
    const fresh: Progress = {
      ...{ holder, since: undefined, tree: undefined, leaves: undefined, signed: undefined },
      ...{ signedAtMs: 0, retryAtMs: 0, failures: 0, problem: undefined },
    }
    this.#slots.set(index, fresh)
    return fresh
  }

  async #commit(slot: SlotConfig, progress: Progress): Promise<void> {
    const { dial, clock } = this.#parts
    const limit = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(DIAL_MS_MAX)])
    const stream = await dial(slot.account, limit)
    stream.on('error', () => undefined)
    const peer = askLines(stream, { ...LINES, name: `the auditor of ${slot.account}` })
    const ask = (method: string, params: object) =>
      peer.call(method, params, { timeoutMs: ANSWER_MS_MAX })
    try {
      const name = { order: this.#config.volume, slot: slot.index, generation: slot.generation }
      const isFresh = isNodeError(progress.problem, 'AUDIT_SHARD_UNVERIFIED')
      const era = await ask('era', { ...name, isFresh })
      const [since, epoch] = [fieldOf(era, 'since'), fieldOf(era, 'epoch')]
      if (typeof since !== 'number' || typeof epoch !== 'number') throw malformed('era')
      const tree = this.#treeFor(slot, progress, since)
      await tree.follow(this.#stop.signal)
      progress.signedAtMs = clock.monotonic()
      const { state } = tree
      if (!state || isSigned(progress, state, epoch)) return
      await this.#sign({ slot, progress, state, epoch, ask })
    } finally {
      peer.close()
    }
  }

  async #sign(init: {
    readonly slot: SlotConfig
    readonly progress: Progress
    readonly state: SlotState
    /** Newest that the node knows. */
    readonly epoch: number
    readonly ask: (method: string, params: object) => Promise<unknown>
  }): Promise<void> {
    const { slot, progress, state, ask } = init
    const { audits, volume, order, privateKey } = this.#config
    if (!audits) return
    const epoch = Math.min(init.epoch, audits.epoch)
    const commitment = {
      node: nodeId(audits.nodes[slot.index] ?? 0),
      order: orderId(volume),
      ...{ slot: slot.index, generation: slot.generation, ...state, epoch },
    }
    const domain = { chainId: audits.chainId, audits: audits.audits }
    const signature = signCommitment(domain, commitment, { privateKey: fromHex(privateKey) })
    const json = signedToJson({ commitment, mount: order, signature })
    const answer = fieldOf(await ask('commit', json), 'countersignature')
    if (typeof answer !== 'string') throw malformed('commit')
    if (commitmentSigner(domain, commitment, fromHex(answer)) !== slot.account) {
      throw malformed('commit')
    }
    const kept = { ...json, countersignature: answer }
    await writeJson(this.#parts.disk, DIRECTORY, `${slot.index}.json`, kept)
    progress.signed = { ...state, epoch }
    const fields = { slot: slot.index, units: state.units, epoch }
    this.#parts.log.info(fields, 'a slot is committed')
  }

  /** The tree over what the node lists since the beginning of its era. */
  #treeFor(slot: SlotConfig, progress: Progress, since: number): SlotTree {
    if (progress.tree && progress.since === since) return progress.tree
    const place = this.#parts.slot(slot.index)
    if (!place) throw new NodeError('AUDIT_NOT_READY', `slot ${slot.index} has no store now`)
    progress.leaves?.close()
    const { disk } = this.#parts
    disk.makeDirectory(DIRECTORY)
    const prefix = `${slot.index}.`
    const file = `${prefix}${slot.generation}.${since}.leaves`
    for (const name of disk.list(DIRECTORY)) {
      const isOld = name.startsWith(prefix) && name.endsWith('.leaves') && name !== file
      if (isOld) disk.remove(`${DIRECTORY}/${name}`)
    }
    progress.leaves = new LeafFile(disk, `${DIRECTORY}/${file}`)
    const name = {
      order: orderId(this.#config.volume),
      ...{ slot: slot.index, generation: slot.generation },
    }
    progress.tree = new SlotTree(name, this.#verified(slot.index, place, since), progress.leaves)
    progress.since = since
    return progress.tree
  }

  /** The node's list, with roots that this mount knows, and bytes that it has verified. */
  #verified(
    index: number,
    { remote, store }: { readonly remote: RespNamespace; readonly store: ShardStore },
    since: number,
  ): ShardSource {
    const { hashes, recent } = this.#parts
    const source = respShardSource(remote, since)
    let expected: ReadonlyMap<string, Uint8Array> = new Map()
    return {
      revision(slot, signal) {
        expected = hashes(index)
        return source.revision(slot, signal)
      },
      list: (slot, from, limit, signal) => source.list(slot, from, limit, signal),
      root: (_slot, { key, lengthBytes }) => recent(store, storeKeyOf(key), lengthBytes),
      async read(slot, shard, signal) {
        const bytes = await source.read(slot, shard, signal)
        const key = toHex(storeKeyOf(shard.key))
        const hash = expected.get(key)
        const isOurs = bytes && hash && bytesEqual(sha256(bytes), hash)
        if (isOurs) return bytes
        throw new NodeError('AUDIT_SHARD_UNVERIFIED', `value ${key} in slot ${index}`, {
          details: { slot: index, key, isKnown: hash !== undefined, isThere: bytes !== undefined },
        })
      },
    }
  }
}

function isSigned({ signed }: Progress, state: SlotState, epoch: number): boolean {
  const isSame = signed?.units === state.units && bytesEqual(signed.root, state.root)
  return isSame && signed?.epoch === epoch
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest()
}

function malformed(what: string): NodeError {
  return new NodeError('AUDIT_REQUEST_INVALID', `a node gave no ${what}`)
}
