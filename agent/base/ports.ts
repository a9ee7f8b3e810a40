/**
 * The two ports that every part may need: time and chance.
 *
 * Production adapters are in `agent/adapters/time`; the simulation hands in virtual ones, so that the same seed
 * gives the same run.
 */

/** Time, as every part sees it. */
export interface Clock {
  /** Milliseconds since 1970-01-01 UTC, for people and for the ledger. May step. */
  now(): number
  /** Milliseconds since some fixed moment, for durations. Never steps back. */
  monotonic(): number
  /**
   * Resolves after `ms` milliseconds.
   *
   * @param ms - `>= 0`.
   * @throws the signal's reason if `signal` aborts first.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** Chance, as every part sees it. */
export interface Chance {
  /** `n` bytes nobody can foretell (in production) or that the seed decides (in simulation). */
  bytes(n: number): Uint8Array
  /** A whole number in `[0, bound)`; `bound` in `[1, 2^32]`. */
  below(bound: number): number
}

/** Structured logging with levels; `pino` satisfies it. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  child(bindings: Record<string, unknown>): Log
}

/** What the system is told of memory that is large. Adapter: `adapters/kernel/huge-pages.ts`. */
export interface HugePages {
  /** Memory, newly made and not yet written, will be read all over. What is short is left as it is. */
  want(memory: ArrayBuffer): void
  /** A part of such memory is read and written no more, though the rest is: the system has its whole pages back. */
  drop(part: Uint8Array): void
}
