/** The ways to serve sockets that this machine has, for suites that run on each. */
import { libuvTransport } from '../../agent/adapters/socket/libuv-transport.ts'
import {
  RingTransport,
  type RingTransportInit,
} from '../../agent/adapters/socket/ring-transport.ts'
import type { Transport } from '../../agent/adapters/socket/transport.ts'
import { isNodeError } from '../../agent/base/errors.ts'
import { silentLog } from './log-store.ts'

/** Opens one, with limits as small as a test wants them. */
export function openTestTransport(
  kind: Transport['kind'],
  init: Omit<RingTransportInit, 'log'> = {},
): Transport {
  return kind === 'uring' ? RingTransport.open({ log: silentLog, ...init }) : libuvTransport()
}

/** Whether this machine has it. */
export function hasTransport(kind: Transport['kind']): boolean {
  try {
    void openTestTransport(kind).close()
    return true
  } catch (caught) {
    if (isNodeError(caught, 'IO_RING_UNAVAILABLE')) return false
    throw caught
  }
}
