/** Chooses how sockets are served: by io_uring where the kernel has it, or as asked. */
import { isNodeError } from '../../base/errors.ts'
import type { Log } from '../../base/ports.ts'
import { libuvTransport } from './libuv-transport.ts'
import { RingTransport } from './ring-transport.ts'
import type { Transport } from './transport.ts'

/** How to serve sockets; `auto` takes the best that works. */
export type TransportChoice = 'auto' | Transport['kind']

/** The choices, in the order they are shown. */
export const TRANSPORT_CHOICES = ['auto', 'uring', 'libuv'] as const

/**
 * Opens a transport.
 *
 * @param choice - Which.
 * @param log - Where it says why it took another than the best.
 * @returns It, tried.
 * @throws NodeError `IO_RING_UNAVAILABLE` for `uring` only.
 * @example
 * const transport = openTransport('auto', log)
 */
export function openTransport(choice: TransportChoice, log: Log): Transport {
  if (choice === 'libuv') return libuvTransport()
  try {
    return RingTransport.open({ log })
  } catch (caught) {
    if (choice === 'uring' || !isNodeError(caught, 'IO_RING_UNAVAILABLE')) throw caught
    log.info({ reason: caught.message }, 'no io_uring here: sockets are served by libuv')
    return libuvTransport()
  }
}
