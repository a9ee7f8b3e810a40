/** A program that an event of the store started, as HOOKS shows it. */

/** A hook that runs or ran lately. */
export interface RunningHook {
  readonly type: string
  /** Without the name of the store, which every hook gets first. */
  readonly args: readonly string[]
  readonly pid: number
  /** Seconds since 1970, 0 for not yet. */
  readonly startedAt: number
  readonly endedAt: number
  /** 128 and the signal's number where a signal ended it, 127 where it could not be started, as a shell would say. */
  readonly exitCode: number
}
