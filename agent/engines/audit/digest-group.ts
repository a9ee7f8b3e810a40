/**
 * An aggregator's work: digests of up to 256 nodes under one root, so that an epoch costs a node almost nothing on chain.
 *
 * An aggregator can leave a node out or post something else for it, and gains nothing: the node sees it before the window
 * closes and posts its own digest, which outranks the group's.
 */
import { assert } from '../../base/assert.ts'
import { bytesEqual } from '../../base/bytes.ts'
import { NodeError } from '../../base/errors.ts'
import { NODE_BYTES } from '../../base/hash-blocks.ts'
import type { NodeId } from '../../base/ids.ts'
import type { AuditAct } from './acts.ts'
import { GROUP_NODES, POSTED_BYTES } from './constants.ts'
import { digestTree } from './transcript.ts'
import { BinaryTree } from './tree/binary-tree.ts'
import { type VerifyInit, verifyTranscript } from './verify.ts'

/** The digests of one group in one epoch. */
export class DigestGroup {
  readonly epoch: number
  readonly group: number
  readonly #digests = new Map<number, Uint8Array>()
  #tree: BinaryTree | undefined

  /**
   * @param epoch - The epoch.
   * @param group - Nodes `group * 256` to `group * 256 + 255`.
   */
  constructor(epoch: number, group: number) {
    this.epoch = epoch
    this.group = group
  }

  /** Nodes whose digest is here. */
  get size(): number {
    return this.#digests.size
  }

  /**
   * Takes a node's digest; a later one replaces an earlier one.
   *
   * @param node - Who sent it, as the link proved.
   * @param digest - 32 bytes.
   * @throws NodeError `AUDIT_NOT_IN_GROUP`, `AUDIT_GROUP_SEALED`.
   */
  add(node: NodeId, digest: Uint8Array): void {
    if (this.#tree) throw new NodeError('AUDIT_GROUP_SEALED', `epoch ${this.epoch}`)
    if (Math.floor(node / GROUP_NODES) !== this.group || digest.byteLength !== NODE_BYTES) {
      throw new NodeError('AUDIT_NOT_IN_GROUP', `node ${node} in group ${this.group}`)
    }
    this.#digests.set(node % GROUP_NODES, digest.slice())
  }

  /**
   * Takes a node's digest after checking the whole transcript that it comes with.
   *
   * @param digest - 32 bytes.
   * @param init - The transcript and what the ledger says of its node; `claim.posted` is not read.
   * @throws NodeError `AUDIT_DIGEST_DOUBTFUL` with the doubts, and as {@link DigestGroup.add}.
   */
  async addVerified(digest: Uint8Array, init: VerifyInit): Promise<void> {
    const posted = { by: 'node', root: digest.subarray(0, POSTED_BYTES) } as const
    const doubts = await verifyTranscript({ ...init, claim: { ...init.claim, posted } })
    const { transcript, claim } = init
    const isWhole = transcript && doubts.length === 0
    if (!isWhole || !bytesEqual(digestTree(transcript).root, digest)) {
      const found = doubts.map(({ sample, reason }) => `${sample}: ${reason}`)
      throw new NodeError('AUDIT_DIGEST_DOUBTFUL', `node ${claim.node}, ${found.join(', ')}`, {
        details: { node: claim.node, epoch: claim.epoch, doubts: found.length },
      })
    }
    this.add(claim.node, digest)
  }

  /** Takes no more, and says what to post. @returns Undefined if the group is empty. */
  seal(): AuditAct | undefined {
    if (this.#digests.size === 0) return undefined
    const none = new Uint8Array(NODE_BYTES)
    this.#tree ??= new BinaryTree(
      Array.from({ length: GROUP_NODES }, (_, at) => this.#digests.get(at) ?? none),
    )
    let members = 0n
    for (const at of this.#digests.keys()) members |= 1n << BigInt(at)
    const root = this.#tree.root.slice(0, POSTED_BYTES)
    return { method: 'postDigests', args: [this.epoch, this.group, root, members] }
  }

  /** Siblings from a node's digest up to the root, for the node and its watchers; the group must be sealed. */
  path(node: NodeId): Uint8Array[] {
    assert(this.#tree !== undefined, 'a path is asked for after sealing')
    return this.#tree.path(node % GROUP_NODES)
  }
}
