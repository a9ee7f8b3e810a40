/** How busy a node is with handshakes of strangers, and what it still can afford. */
import { SECOND_MS } from '../../base/units.ts'

/** Handshakes a second whose curve operations (a tenth of a millisecond each) are done for anybody. */
const FREE_PER_SECOND = 50
/** Handshakes a second of one address that proved where it is. */
const PER_SOURCE_PER_SECOND = 20
/** Cookie replies a second: each costs as much as ten refusals. */
const COOKIES_PER_SECOND = 500
/** Addresses remembered within a second; beyond, they are taken for new. */
const SOURCES_MAX = 4096

/** Counts what came within the present second. */
export class HandshakeLoad {
  #second = -1
  #handshakes = 0
  #cookies = 0
  #wasLoaded = false
  readonly #bySource = new Map<string, number>()

  /** Notes a handshake message. @returns True if who sent it must prove where it is. */
  isUnderLoad(nowMs: number): boolean {
    this.#begin(nowMs)
    this.#handshakes++
    return this.#wasLoaded || this.#handshakes > FREE_PER_SECOND
  }

  /** Whether a cookie reply may be sent still. */
  takeCookie(): boolean {
    return this.#cookies++ < COOKIES_PER_SECOND
  }

  /** Whether an address that proved itself may have another handshake still. */
  takeSource(address: string): boolean {
    const count = (this.#bySource.get(address) ?? 0) + 1
    if (this.#bySource.size < SOURCES_MAX) this.#bySource.set(address, count)
    return count <= PER_SOURCE_PER_SECOND
  }

  #begin(nowMs: number): void {
    const second = Math.floor(nowMs / SECOND_MS)
    if (second === this.#second) return
    this.#wasLoaded = second === this.#second + 1 && this.#handshakes > FREE_PER_SECOND
    this.#second = second
    this.#handshakes = 0
    this.#cookies = 0
    this.#bySource.clear()
  }
}
