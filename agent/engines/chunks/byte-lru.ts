/** Keeps the byte strings used last, up to a number of bytes. */

/** A least-recently-used cache weighed in bytes. */
export class ByteLru<Key> {
  readonly #entries = new Map<Key, Uint8Array>()
  readonly #limitBytes: number
  #sizeBytes = 0

  /** @param limitBytes - Bytes at most, `>= 0`; a string longer than this is not kept. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** Bytes kept now. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** @returns The bytes themselves, not a copy. */
  get(key: Key): Uint8Array | undefined {
    const bytes = this.#entries.get(key)
    if (bytes === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, bytes)
    return bytes
  }

  /** True if it is there; does not count as a use. */
  has(key: Key): boolean {
    return this.#entries.has(key)
  }

  /** Keeps `bytes` and drops the least recently used beyond the limit. */
  put(key: Key, bytes: Uint8Array): void {
    this.drop(key)
    if (bytes.byteLength > this.#limitBytes) return
    this.#entries.set(key, bytes)
    this.#sizeBytes += bytes.byteLength
    for (const oldest of this.#entries.keys()) {
      if (this.#sizeBytes <= this.#limitBytes) break
      this.drop(oldest)
    }
  }

  /** Forgets one. */
  drop(key: Key): void {
    const bytes = this.#entries.get(key)
    if (bytes === undefined) return
    this.#entries.delete(key)
    this.#sizeBytes -= bytes.byteLength
  }

  /** Forgets all. */
  clear(): void {
    this.#entries.clear()
    this.#sizeBytes = 0
  }
}
