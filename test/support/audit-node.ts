/** A node with slots full of shards, committed and signed: what audits are tried on, honest or not. */
import { account, type NodeId, nodeId, orderId } from '../../agent/base/ids.ts'
import { type LedgerKey, ledgerKeyFrom } from '../../agent/base/ledger-key.ts'
import type { Chance } from '../../agent/base/ports.ts'
import {
  type AuditClaim,
  type AuditDomain,
  digestTree,
  type IsWriter,
  NodeAccumulator,
  POSTED_BYTES,
  prove,
  type SignedCommitment,
  type SlotName,
  SlotTree,
  signCommitment,
  slotText,
  type Transcript,
} from '../../agent/engines/audit/index.ts'
import { MemoryShardSource } from './memory-shard-source.ts'

export const TEST_DOMAIN: AuditDomain = { chainId: 31337, audits: account(`0x${'a0'.repeat(20)}`) }
export const NEVER: AbortSignal = new AbortController().signal

/** A key that follows from a number, `>= 1`. */
export function testKey(n: number): LedgerKey {
  const bytes = new Uint8Array(32)
  new DataView(bytes.buffer).setUint32(28, n)
  return ledgerKeyFrom(bytes)
}

/** The writer of all test slots. */
export const WRITER: LedgerKey = testKey(77)
export const isTestWriter: IsWriter = (_signed, signer) => signer === WRITER.account

/** What of a test node differs from the usual one. */
export interface AuditNodeInit {
  readonly node?: NodeId
  readonly domain?: AuditDomain
  readonly writer?: Pick<LedgerKey, 'privateKey'>
  readonly epoch?: number
}

/** One slot of a test node. */
interface TestSlot {
  readonly name: SlotName
  readonly tree: SlotTree
  signed: SignedCommitment | undefined
}

/** A node that follows its shards, has them committed by a writer, and proves. */
export class AuditNode {
  readonly source = new MemoryShardSource()
  readonly node: NodeId
  readonly #domain: AuditDomain
  readonly #writer: Pick<LedgerKey, 'privateKey'>
  readonly #slots = new Map<string, TestSlot>()
  #epoch: number

  constructor(init: AuditNodeInit = {}) {
    this.node = init.node ?? nodeId(7)
    this.#domain = init.domain ?? TEST_DOMAIN
    this.#writer = init.writer ?? WRITER
    this.#epoch = init.epoch ?? 1
  }

  /** Fills a slot with shards of random bytes, of the lengths given. */
  async fill(name: SlotName, lengths: readonly number[], chance: Chance): Promise<void> {
    for (const length of lengths) this.source.write(name, chance.bytes(length))
    await this.follow(name)
  }

  /** Takes in what was written, and has the writer sign it. */
  async follow(name: SlotName): Promise<SignedCommitment> {
    const slot = this.slot(name)
    await slot.tree.follow(NEVER)
    slot.signed = this.sign(name)
    return slot.signed
  }

  /** The writer's commitment of what the node has. */
  sign(name: SlotName, epoch = this.#epoch): SignedCommitment {
    const state = this.slot(name).tree.state
    if (!state) throw new RangeError(`slot ${slotText(name)} is empty`)
    const commitment = { ...name, node: this.node, ...state, epoch }
    return {
      commitment,
      mount: 0,
      signature: signCommitment(this.#domain, commitment, this.#writer),
    }
  }

  /** New commitments name this epoch. */
  set epoch(epoch: number) {
    this.#epoch = epoch
  }

  slot(name: SlotName): TestSlot {
    const key = slotText(name)
    let slot = this.#slots.get(key)
    if (!slot) {
      slot = { name, tree: new SlotTree(name, this.source), signed: undefined }
      this.#slots.set(key, slot)
    }
    return slot
  }

  /** What the node would commit now; without the slots named, if it hides them. */
  accumulator(hidden: readonly SlotName[] = []): NodeAccumulator {
    const hides = new Set(hidden.map(slotText))
    return new NodeAccumulator(
      [...this.#slots.values()].flatMap(({ name, signed }) =>
        signed && !hides.has(slotText(name)) ? [signed] : [],
      ),
    )
  }

  prove(
    epoch: { number: number; seed: bigint; samples: number },
    accumulator = this.accumulator(),
    signal = NEVER,
  ): Promise<Transcript> {
    return prove({
      node: this.node,
      epoch: epoch.number,
      seed: epoch.seed,
      samples: epoch.samples,
      accumulator,
      slots: (name) => this.#slots.get(slotText(name))?.tree,
      signal,
    })
  }

  /** What the ledger would say of the node if it posted this transcript's digest itself. */
  claim(
    epoch: { number: number; seed: bigint; samples: number },
    transcript: Transcript,
    accumulator = this.accumulator(),
  ): AuditClaim {
    return {
      node: this.node,
      epoch: epoch.number,
      seed: epoch.seed,
      samples: epoch.samples,
      accumulator: { root: accumulator.root, units: accumulator.units },
      posted: { by: 'node', root: digestTree(transcript).root.slice(0, POSTED_BYTES) },
    }
  }
}

/** A slot's name; generation 1 unless told. */
export function slotOf(order: number, slot = 0, generation = 1): SlotName {
  return { order: orderId(order), slot, generation }
}
