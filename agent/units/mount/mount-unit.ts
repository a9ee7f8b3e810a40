/**
 * The mount process of a node: opens its volume as soon as it is configured, tries again for as long as stores or links are
 * not there, and takes over what the ledger changes while it runs.
 */
import { controlSocket } from '../../adapters/process/run-sockets.ts'
import { codeOf, describeMessage, NodeError } from '../../base/errors.ts'
import type { Log } from '../../base/ports.ts'
import type { MountUnitConfig } from '../../state/unit-config.ts'
import { serveControl } from '../control.ts'
import { MountedVolume, type MountedVolumeInit } from './mounted-volume.ts'
import { type MountOutside, machineOutside } from './outside.ts'

/** First and longest pause between attempts to open: stores of a fresh order are there within a second. */
const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 5_000

/** What a mount unit is started with. */
export interface MountUnitInit {
  readonly dataDir: string
  /** `mount-<order>`, also of its socket in `run/`. */
  readonly name: string
  readonly log: Log
  /** The machine's if left out. */
  readonly outside?: MountOutside
}

/** A running mount unit. */
export interface MountUnit {
  /** Resolves when it has drained and ended. */
  readonly closed: Promise<void>
  stop(): Promise<void>
}

/**
 * Starts the unit; it mounts once it is configured.
 *
 * @param init - Where and under what name.
 * @returns The running unit, its control socket ready.
 * @throws NodeError `CONTROL_ALREADY_RUNNING`.
 * @example
 * const unit = await startMountUnit({ dataDir: '/var/lib/varve', name: 'mount-7', log })
 */
export async function startMountUnit(init: MountUnitInit): Promise<MountUnit> {
  const keeper = new MountKeeper(init)
  const control = await serveControl<MountUnitConfig>({
    path: controlSocket(init.dataDir, init.name),
    kind: 'mount',
    name: init.name,
    methods: {
      configure: (config) => keeper.configure(config),
      status: () => keeper.status(),
      stop: () => keeper.stop(),
    },
  })
  return { closed: control.closed, stop: () => control.stop() }
}

/** Time in which a replaced writer disperses what it has, and for which the next one waits at most. */
const HANDOVER_MS = 20_000

type State = 'unconfigured' | 'opening' | 'mounted' | 'closing'

/** What the unit does, without its socket: opens, follows the configuration, closes. */
export class MountKeeper {
  readonly #init: MountUnitInit
  readonly #outside: MountOutside
  readonly #stop = new AbortController()
  #state: State = 'unconfigured'
  #wanted: MountUnitConfig | undefined
  #mounted: MountedVolume | undefined
  #problem: { readonly code: string | undefined; readonly message: string } | undefined
  #loop: Promise<void> | undefined
  #handOverUntilMs: number | undefined
  #changed = Promise.withResolvers<void>()

  constructor(init: MountUnitInit) {
    this.#init = init
    this.#outside = init.outside ?? machineOutside(init.dataDir)
  }

  configure(config: MountUnitConfig): void {
    this.#wanted = config
    if (this.#mounted && fixedPart(this.#mounted.config) === fixedPart(config)) {
      this.#mounted.update(config)
    }
    this.#changed.resolve()
    this.#loop ??= this.#run()
  }

  status(): object {
    return {
      state: this.#state,
      path: this.#wanted?.path,
      readOnly: this.#wanted?.readOnly,
      problem: this.#problem,
      ...this.#mounted?.status(),
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    this.#changed.resolve()
    await this.#loop
  }

  /** Opens, waits until it must be opened anew, closes; until told to stop. */
  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const mounted = await this.#open()
      if (!mounted) return
      this.#mounted = mounted
      this.#state = 'mounted'
      this.#problem = undefined
      this.#init.log.info({ path: mounted.config.path }, 'volume is mounted')
      // What was configured while it opened: slots may have moved meanwhile.
      const wanted = this.#wanted
      if (wanted && fixedPart(wanted) === fixedPart(mounted.config)) mounted.update(wanted)
      await this.#untilOutdated(mounted)
      const isReplaced = !mounted.config.readOnly && this.#wanted?.readOnly === true
      if (isReplaced && !this.#stop.signal.aborted) await mounted.handOver(HANDOVER_MS)
      this.#state = 'closing'
      this.#mounted = undefined
      await mounted.close()
      this.#init.log.info({ path: mounted.config.path }, 'volume is unmounted')
    }
  }

  async #open(): Promise<MountedVolume | undefined> {
    const { dataDir, log } = this.#init
    let pauseMs = RETRY_MS_MIN
    while (!this.#stop.signal.aborted) {
      const config = this.#wanted
      if (!config) return undefined
      this.#state = 'opening'
      try {
        return await MountedVolume.open(
          { config, dataDir, log, outside: this.#outside, outgoing: this.#outgoing(config) },
          this.#stop.signal,
        )
      } catch (caught) {
        if (this.#stop.signal.aborted) return undefined
        this.#problem = { code: codeOf(caught), message: describeMessage(caught) }
        log.warn({ err: caught }, 'the volume cannot be mounted yet')
        const hintMs = caught instanceof NodeError ? caught.retryAfterMs : undefined
        await this.#outside.clock
          .sleep(Math.min(hintMs ?? pauseMs, pauseMs), this.#stop.signal)
          .catch(() => undefined)
        pauseMs = Math.min(pauseMs * 2, RETRY_MS_MAX)
      }
    }
    return undefined
  }

  /** The writer before this one, which has its time from the first attempt on. */
  #outgoing({ outgoingEpoch: epoch }: MountUnitConfig): MountedVolumeInit['outgoing'] {
    if (epoch === undefined) return undefined
    this.#handOverUntilMs ??= this.#outside.clock.monotonic() + HANDOVER_MS
    return { epoch, untilMs: this.#handOverUntilMs }
  }

  /** Resolves when the mount is to be closed: told to stop, configured anew, or taken away by somebody. */
  async #untilOutdated(mounted: MountedVolume): Promise<void> {
    let isGone = false
    const gone = mounted.unmounted.then(() => {
      isGone = true
    })
    while (!this.#stop.signal.aborted && !isGone) {
      const wanted = this.#wanted
      if (wanted && fixedPart(wanted) !== fixedPart(mounted.config)) return
      this.#changed = Promise.withResolvers()
      await Promise.race([this.#changed.promise, gone])
    }
  }
}

/** All that cannot change while the volume is open; a change of it closes the mount and opens it anew. */
function fixedPart(config: MountUnitConfig): string {
  const {
    slots: _1,
    dispersalAgeMs: _2,
    scrubMs: _3,
    writers: _4,
    audits: _5,
    outgoingEpoch: _6,
    ...fixed
  } = config
  return JSON.stringify(fixed)
}
