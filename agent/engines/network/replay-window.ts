/**
 * Remembers which numbers came, so that each message counts once however often it is sent: a ring of bits behind the highest number.
 *
 * @see RFC 6479
 */
import { REPLAY_WINDOW } from './constants.ts'

const WORD_BITS = 32
/** One word more than the window needs: the newest word is only partly used. */
const WORDS = (REPLAY_WINDOW + 2 * WORD_BITS) / WORD_BITS

/** One direction of one session. Numbers are below 2^53 here: at ten million messages a second they last 28 years, a session 180 s. */
export class ReplayWindow {
  readonly #bits = new Uint32Array(WORDS)
  #highest = -1

  /**
   * Takes a number of a message that was proven genuine.
   *
   * @param counter - `0..2^53-1`.
   * @returns False if it came before, or is too old to say.
   */
  take(counter: number): boolean {
    const word = Math.floor(counter / WORD_BITS)
    if (counter > this.#highest) {
      this.#forgetUpTo(word)
      this.#highest = counter
    } else if (this.#highest - counter >= REPLAY_WINDOW) {
      return false
    }
    const at = word % WORDS
    const bit = 1 << (counter % WORD_BITS)
    if (((this.#bits[at] ?? 0) & bit) !== 0) return false
    this.#bits[at] = (this.#bits[at] ?? 0) | bit
    return true
  }

  /** Whether a number can still be taken: asked before anything is spent on opening the message. */
  mayTake(counter: number): boolean {
    if (counter > this.#highest) return true
    if (this.#highest - counter >= REPLAY_WINDOW) return false
    const word = this.#bits[Math.floor(counter / WORD_BITS) % WORDS] ?? 0
    return (word & (1 << (counter % WORD_BITS))) === 0
  }

  #forgetUpTo(word: number): void {
    const last = this.#highest < 0 ? -1 : Math.floor(this.#highest / WORD_BITS)
    const fresh = Math.min(word - last, WORDS)
    for (let step = 0; step < fresh; step++) this.#bits[(word - step) % WORDS] = 0
  }
}
