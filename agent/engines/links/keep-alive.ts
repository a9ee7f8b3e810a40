/**
 * Notices within seconds that nothing comes over a connection any more, and measures its round trip.
 *
 * Both ends ping, and every byte counts as a sign of life, whoever's it is: so a link that is busy one way is never taken
 * for dead because pings queue behind the data.
 */
import type { Clock } from '../../base/ports.ts'
import { PING_INTERVAL_MS, SILENT_INTERVALS_MAX } from './constants.ts'
import { linkClosed } from './errors.ts'
import type { LinkStream } from './ports.ts'

/** Bytes of a ping: a number that the other end sends back. */
const PING_BYTES = 8

/** What a connection must offer to be watched. */
export interface WatchedLink {
  openPingStream(signal: AbortSignal): Promise<LinkStream>
  /** Bytes heard on any stream since the start: only whether it moves matters. */
  heardBytes(): number
  measured(rttMs: number): void
  silent(): void
}

/**
 * Pings until `signal` aborts or the link fell silent.
 *
 * @param link - The connection.
 * @param clock - For intervals and round trips.
 * @param signal - Aborts when the connection is closed.
 * @returns Resolves then; never rejects.
 */
export async function keepAlive(
  link: WatchedLink,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const pinger = new Pinger(link, clock, signal)
  let heardBytes = link.heardBytes()
  let silentIntervals = 0
  pinger.ping()
  while (!signal.aborted) {
    await clock.sleep(PING_INTERVAL_MS, signal).catch(() => undefined)
    if (signal.aborted) return
    const heardNow = link.heardBytes()
    silentIntervals = heardNow === heardBytes ? silentIntervals + 1 : 0
    heardBytes = heardNow
    if (silentIntervals >= SILENT_INTERVALS_MAX) return link.silent()
    pinger.ping()
  }
}

/**
 * The other end of the pings: sends back what comes.
 *
 * @param stream - A stream that the peer opened to ping.
 */
export async function answerPings(stream: LinkStream): Promise<void> {
  for (let bytes = await stream.read(); bytes; bytes = await stream.read()) {
    await stream.write(bytes)
  }
  await stream.end()
}

/** One ping stream, opened when first needed and again when it broke. At most one ping is under way. */
class Pinger {
  readonly #link: WatchedLink
  readonly #clock: Clock
  readonly #signal: AbortSignal
  #stream: LinkStream | undefined
  #busy = false
  #number = 0n

  constructor(link: WatchedLink, clock: Clock, signal: AbortSignal) {
    this.#link = link
    this.#clock = clock
    this.#signal = signal
  }

  /** Sends a ping unless the last one is still under way. Returns at once. */
  ping(): void {
    if (this.#busy) return
    this.#busy = true
    this.#roundTrip()
      .catch((reason) => {
        // A broken ping stream is no verdict on the link: silence is, and that is counted elsewhere.
        this.#stream?.abort(reason)
        this.#stream = undefined
      })
      .finally(() => {
        this.#busy = false
      })
  }

  async #roundTrip(): Promise<void> {
    this.#stream ??= await this.#link.openPingStream(this.#signal)
    const ping = Buffer.alloc(PING_BYTES)
    ping.writeBigUInt64BE(++this.#number)
    const sentMs = this.#clock.monotonic()
    await this.#stream.write(ping)
    const pong = await readExactly(this.#stream, PING_BYTES)
    if (!pong.equals(ping)) throw linkClosed()
    this.#link.measured(this.#clock.monotonic() - sentMs)
  }
}

async function readExactly(stream: LinkStream, lengthBytes: number): Promise<Buffer> {
  const parts: Uint8Array[] = []
  let got = 0
  while (got < lengthBytes) {
    const part = await stream.read()
    if (!part) break
    parts.push(part)
    got += part.byteLength
  }
  return Buffer.concat(parts)
}
