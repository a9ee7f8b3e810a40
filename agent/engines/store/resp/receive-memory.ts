/**
 * Shares out the memory of incomplete commands: nobody, and no namespace, may hold more than what is left to all others, so that
 * whoever begins many commands and ends none is refused himself, and nobody else.
 */

/** Whose memory it is. */
export interface MemoryOwner {
  /** Account of a peer, address of a guest. */
  readonly speaker: string
  readonly namespace: string
}

/** The memory and what each holds of it. */
export class ReceiveMemory {
  /** Bytes that all incomplete commands hold. */
  heldBytes = 0
  readonly #bytesMax: number
  readonly #held = new Map<string, number>()

  /** @param bytesMax - What all of them together may hold. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Whether an owner may hold so much more: at most half of what would be free without it. */
  canHold(owner: MemoryOwner, bytes: number): boolean {
    const freeBytes = this.#bytesMax - this.heldBytes - bytes
    return freeBytes >= 0 && this.#mostOf(owner) + bytes <= freeBytes
  }

  /** Whether what an owner's commands claim to need may be believed: a claim costs memory before its bytes have come. */
  isPlentiful(owner: MemoryOwner): boolean {
    return this.#mostOf(owner) < (this.#bytesMax - this.heldBytes) / 2
  }

  /** Counts bytes that an owner took, or gave back where they are negative. */
  count(owner: MemoryOwner, bytes: number): void {
    this.heldBytes += bytes
    for (const key of keysOf(owner)) {
      const held = (this.#held.get(key) ?? 0) + bytes
      if (held > 0) this.#held.set(key, held)
      else this.#held.delete(key)
    }
  }

  #mostOf(owner: MemoryOwner): number {
    return Math.max(...keysOf(owner).map((key) => this.#held.get(key) ?? 0))
  }
}

function keysOf({ speaker, namespace }: MemoryOwner): [string, string] {
  return [`s ${speaker}`, `n ${namespace}`]
}
