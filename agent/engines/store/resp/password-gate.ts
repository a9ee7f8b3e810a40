/**
 * Where passwords are checked: slower and slower for an address that guesses, whichever connections it guesses on, and hashed off
 * the thread that serves, few at a time and each address in its turn.
 *
 * A check costs 30 ms and 16 MiB, so it may neither run where others wait for it nor as often as somebody likes; the
 * threads that do it are those that sync files, of which most must stay free. An address that guesses waits before its answer,
 * right or wrong, so that hanging up early tells nothing, and whoever shares the address is slowed and not shut out.
 */
import { NodeError } from '../../../base/errors.ts'
import type { Clock } from '../../../base/ports.ts'
import type { Session } from './session.ts'

/** Of the four threads of the process two stay for syncs. */
const RUNNING_MAX = 2
/** Checks of all addresses that may wait for a thread; about fifteen seconds of work. */
const WAITING_MAX = 1024
/** Questions of one address that may be open at once; with the longest delay that is four guesses a second. */
const OPEN_PER_ADDRESS_MAX = 32
/** A person mistypes twice; from then on each wrong password costs the address a second, then twice that and so on. */
const FREE_FAILURES = 2
const DELAY_MS_MIN = 1000
const DELAY_MS_MAX = 8000
/** After this time one wrong password is forgotten. */
const FORGET_MS = 30_000
/** Wrong passwords of an address that count at most, so that it is as good as new after some minutes. */
const FAILURES_COUNTED_MAX = 10
/** Who has not found the password by now has to connect again. */
const FAILURES_PER_CONNECTION_MAX = 10
/** Addresses remembered; the one whose guess is longest ago is forgotten first. */
const ADDRESSES_MAX = 4096

/** What is known of an address. */
interface Guesser {
  failures: number
  failedMs: number
  /** Questions that are not answered yet. */
  open: number
}

/** A question for the right password. */
export interface PasswordQuestion {
  /** Tells whether it is the right one; one that hashes is a promise, and begins to when it is called. */
  readonly check: () => boolean | Promise<boolean>
  /** What to do then: writes the reply. */
  readonly right: () => void
  /** Whether `check` hashes. */
  readonly isCostly?: boolean
}

/** Bounds what passwords cost a server, and how fast they can be guessed. */
export class PasswordGate {
  readonly #clock: Clock
  readonly #guessers = new Map<string, Guesser>()
  #running = 0
  readonly #waiting: { readonly guesser: Guesser; readonly go: () => void }[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Checks a password for a session and writes the answer.
   *
   * @param session - Who asks.
   * @param words - The answer to a wrong password.
   * @param question - How it is checked, and what follows.
   * @returns A promise where the answer takes time.
   * @throws NodeError `LOG_PASSWORDS_BUSY` where too many wait already.
   */
  ask(session: Session, words: string, question: PasswordQuestion): Promise<void> | undefined {
    const guesser = this.#guesserAt(session.address)
    const delayMs = this.#delayMs(guesser)
    if (delayMs > 0 || question.isCostly) {
      return this.#answerLater(session, words, question, guesser, delayMs)
    }
    this.#answer(session, words, question, guesser, question.check() === true)
    return undefined
  }

  /**
   * Runs work that hashes a password of nobody who guesses, in turn.
   *
   * @throws NodeError `LOG_PASSWORDS_BUSY` where too many wait already.
   */
  inTurn<T>(session: Session, work: () => Promise<T>): Promise<T> {
    return this.#inTurn(this.#guesserAt(session.address), work)
  }

  async #answerLater(
    session: Session,
    words: string,
    question: PasswordQuestion,
    guesser: Guesser,
    delayMs: number,
  ): Promise<void> {
    if (guesser.open >= OPEN_PER_ADDRESS_MAX) throw busy()
    guesser.open++
    try {
      if (delayMs > 0) await this.#clock.sleep(delayMs)
      const isRight = question.isCostly
        ? await this.#inTurn(guesser, async () => question.check())
        : await question.check()
      this.#answer(session, words, question, guesser, isRight)
    } finally {
      guesser.open--
    }
  }

  #answer(
    session: Session,
    words: string,
    question: PasswordQuestion,
    guesser: Guesser,
    isRight: boolean,
  ): void {
    if (session.isClosed) return
    if (isRight) {
      question.right()
      return
    }
    session.server.counts.failedLogins++
    guesser.failures = Math.min(this.#failuresOf(guesser) + 1, FAILURES_COUNTED_MAX)
    guesser.failedMs = this.#clock.monotonic()
    session.writer.error(words)
    if (++session.failedLogins >= FAILURES_PER_CONNECTION_MAX) session.close()
  }

  async #inTurn<T>(guesser: Guesser, work: () => Promise<T>): Promise<T> {
    if (this.#running >= RUNNING_MAX) {
      if (this.#waiting.length >= WAITING_MAX) throw busy()
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiting.push({ guesser, go: resolve })
      await promise
    } else this.#running++
    try {
      return await work()
    } finally {
      // Whoever is next takes over this turn.
      const next = this.#takeNext()
      if (next) next()
      else this.#running--
    }
  }

  /** The first of the address with the fewest wrong passwords and open questions, so that who floods is last. */
  #takeNext(): (() => void) | undefined {
    let best = 0
    for (let at = 1; at < this.#waiting.length; at++) {
      if (this.#weightOf(at) < this.#weightOf(best)) best = at
    }
    return this.#waiting.splice(best, 1)[0]?.go
  }

  #weightOf(at: number): number {
    const guesser = this.#waiting[at]?.guesser
    return guesser ? this.#failuresOf(guesser) * OPEN_PER_ADDRESS_MAX + guesser.open : 0
  }

  #delayMs(guesser: Guesser): number {
    const beyond = this.#failuresOf(guesser) - FREE_FAILURES
    return beyond < 0 ? 0 : Math.min(DELAY_MS_MIN * 2 ** beyond, DELAY_MS_MAX)
  }

  #failuresOf({ failures, failedMs }: Guesser): number {
    const forgotten = Math.floor((this.#clock.monotonic() - failedMs) / FORGET_MS)
    return Math.max(0, failures - forgotten)
  }

  #guesserAt(address: string): Guesser {
    const found = this.#guessers.get(address) ?? { failures: 0, failedMs: 0, open: 0 }
    // Whoever asked last is last to be forgotten.
    this.#guessers.delete(address)
    this.#guessers.set(address, found)
    if (this.#guessers.size > ADDRESSES_MAX) {
      const [oldest] = this.#guessers.keys()
      if (oldest !== undefined) this.#guessers.delete(oldest)
    }
    return found
  }
}

function busy(): NodeError {
  return new NodeError('LOG_PASSWORDS_BUSY', 'too many passwords to check')
}
