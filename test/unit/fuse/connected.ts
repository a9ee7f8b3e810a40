/** A session over the fake device, with the conversation opened. */
import type { Log } from '../../../agent/base/ports.ts'
import type { CachePolicy } from '../../../agent/engines/fuse/init.ts'
import type { FileSystem } from '../../../agent/engines/fuse/ports.ts'
import { OP } from '../../../agent/engines/fuse/protocol.ts'
import { FuseSession } from '../../../agent/engines/fuse/session.ts'
import { FakeFuseDevice } from '../../support/fake-fuse-device.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'
import { createBody, initBody } from './requests.ts'

/** A log that keeps its errors. */
export class ErrorLog implements Log {
  readonly errors: object[] = []
  debug(): void {}
  info(): void {}
  warn(): void {}
  error(fields: object): void {
    this.errors.push(fields)
  }
  child(): Log {
    return this
  }
}

/** The parts of a running conversation. */
export interface Connected {
  readonly device: FakeFuseDevice
  readonly session: FuseSession
  readonly log: ErrorLog
  readonly clock: VirtualClock
}

/** Starts a session and sends INIT. */
export function connect(fileSystem: FileSystem, cache: CachePolicy = 'exclusive'): Connected {
  const device = new FakeFuseDevice()
  const log = new ErrorLog()
  const clock = new VirtualClock()
  const session = new FuseSession({ fileSystem, device, cache, clock, log })
  device.start(session)
  device.ask(OP.INIT, initBody())
  return { device, session, log, clock }
}

/** Makes a file in the root by CREATE. @returns Its inode and handle. */
export function createFile(device: FakeFuseDevice, name: string): { ino: number; handle: number } {
  const { body } = device.ask(OP.CREATE, createBody(name))
  return { ino: Number(body.readBigUInt64LE(0)), handle: Number(body.readBigUInt64LE(128)) }
}

/**
 * The methods of a file system with some of them replaced: a way to make one slow or failing.
 *
 * @param base - What answers the rest.
 * @param changes - Replacements.
 */
export function withMethods(base: FileSystem, changes: Partial<FileSystem>): FileSystem {
  return new Proxy(base, {
    get(target, name) {
      const replaced: unknown = Reflect.get(changes, name)
      if (replaced !== undefined) return replaced
      const own: unknown = Reflect.get(target, name, target)
      return typeof own === 'function' ? own.bind(target) : own
    },
  })
}

/** Lets everything that is due happen. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
