/**
 * Two ends of one stream inside this process: how a node that dials itself is joined, and what the fake is built on.
 *
 * Back-pressure works as on a real link: a writer waits while the other end has {@link PAIR_BUFFER_BYTES} to read.
 */
import type { Account } from '../../base/ids.ts'
import { BoundedQueue } from '../../base/queue.ts'
import { KIB } from '../../base/units.ts'
import { linkClosed } from './errors.ts'
import type { LinkStream } from './ports.ts'

/** Bytes in flight, each way. */
export const PAIR_BUFFER_BYTES = 256 * KIB

/**
 * Makes a stream with both ends here.
 *
 * @param accounts - Who is at each end.
 * @returns Two ends; `ends[0].peer` is `accounts[1]` and the other way round.
 * @example
 * const [ours, theirs] = streamPair([me, me])
 */
export function streamPair(
  accounts: readonly [Account, Account],
): [first: LinkStream, second: LinkStream] {
  const queue = () =>
    new BoundedQueue<Uint8Array>({ limit: PAIR_BUFFER_BYTES, weigh: (bytes) => bytes.byteLength })
  const there = queue()
  const back = queue()
  return [endOf(accounts[1], back, there), endOf(accounts[0], there, back)]
}

function endOf(
  peer: Account,
  incoming: BoundedQueue<Uint8Array>,
  outgoing: BoundedQueue<Uint8Array>,
): LinkStream {
  let ended = false
  return {
    peer,
    read: () => incoming.take(),
    async write(bytes) {
      if (ended) throw linkClosed()
      if (bytes.byteLength > 0) await outgoing.push(bytes)
    },
    async end() {
      ended = true
      outgoing.end()
    },
    abort(reason) {
      const failure = linkClosed(reason)
      incoming.fail(failure)
      outgoing.fail(failure)
    },
  }
}
