/**
 * Where passwords are checked: hashed off the thread that serves, few at a time, and slower and slower for a connection
 * that guesses.
 *
 * A check costs 30 ms and 16 MiB, so it may neither run where others wait for it nor as often as somebody likes; the
 * threads that do it are those that sync files, of which most must stay free.
 */
import { NodeError } from '../../../base/errors.ts'
import type { Clock } from '../../../base/ports.ts'
import type { Session } from './session.ts'

/** Of the four threads of the process two stay for syncs. */
const RUNNING_MAX = 2
/** About two seconds of waiting; beyond that a client is better told. */
const WAITING_MAX = 128
/** A person mistypes twice; from then on each wrong password costs the connection a second, then twice that and so on. */
const FREE_FAILURES = 2
const DELAY_MS_MIN = 1000
const DELAY_MS_MAX = 8000
/** Who has not found the password by now has to connect again. */
const FAILURES_MAX = 10

/** Bounds what passwords cost a server. */
export class PasswordGate {
  readonly #clock: Clock
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Runs work that hashes a password, in turn.
   *
   * @throws NodeError `LOG_PASSWORDS_BUSY` where too many wait already.
   */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= RUNNING_MAX) {
      if (this.#waiting.length >= WAITING_MAX) {
        throw new NodeError('LOG_PASSWORDS_BUSY', 'too many passwords to check')
      }
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiting.push(resolve)
      await promise
    } else this.#running++
    try {
      return await work()
    } finally {
      // Whoever is next takes over this turn.
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }

  /** Answers a wrong password: the words now or later, and the end after too many. */
  async refuse(session: Session, words: string): Promise<void> {
    session.server.counts.failedLogins++
    const failures = ++session.failedLogins
    if (failures > FREE_FAILURES) {
      const delayMs = DELAY_MS_MIN * 2 ** (failures - FREE_FAILURES - 1)
      await this.#clock.sleep(Math.min(delayMs, DELAY_MS_MAX))
    }
    session.writer.error(words)
    if (failures >= FAILURES_MAX) session.close()
  }
}
