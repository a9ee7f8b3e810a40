/** A store on a disk in memory, with hand-driven bursts, and a client that speaks to it without sockets. */

import assert from 'node:assert/strict'
import { type Reply, ReplyReader } from '../../agent/adapters/socket/resp-reply-reader.ts'
import type { Log } from '../../agent/base/ports.ts'
import { MIB } from '../../agent/base/units.ts'
import {
  LogStore,
  type LogStoreInit,
  type Principal,
  RespServer,
  type RespServerInit,
} from '../../agent/engines/store/index.ts'
import type { LogPorts } from '../../agent/engines/store/ports.ts'
import { type FaultDisk, faultDisk } from './fault-disk.ts'
import { seededChance } from './seeded-chance.ts'

/** A log that forgets. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
}

/** A store that a test drives. */
export interface TestStore {
  readonly store: LogStore
  readonly disk: FaultDisk
  /** Ends the burst of input. */
  endTick(): void
}

/** Opens a store, on an empty disk unless one is given. */
export async function openTestStore(
  init: LogStoreInit = {},
  disk: FaultDisk = faultDisk(seededChance(1)),
  ports: Partial<Pick<LogPorts, 'clock' | 'chance' | 'rootHasher' | 'atEndOfTick'>> = {},
): Promise<TestStore> {
  const tasks: (() => void)[] = []
  let nowMs = 1_700_000_000_000
  const store = await LogStore.open(
    {
      disk,
      clock: {
        now: () => nowMs++,
        monotonic: () => nowMs,
        sleep: (_ms, signal) =>
          new Promise((resolve, reject) => {
            setImmediate(resolve)
            signal?.addEventListener('abort', () => reject(signal.reason))
          }),
      },
      chance: seededChance(2),
      log: silentLog,
      atEndOfTick: (task) => void tasks.push(task),
      ...ports,
    },
    { sync: 'always', cacheBytes: 1 << 20, ...init },
  )
  return {
    store,
    disk,
    endTick() {
      for (const task of tasks.splice(0)) task()
    },
  }
}

/** A client without a socket. */
export interface TestClient {
  /** Sends a command and gives the reply, ending the burst. */
  ask(...args: (string | Uint8Array)[]): Promise<Reply>
  /** Sends bytes as they are. */
  send(bytes: Uint8Array | string): void
  readonly replies: Reply[]
  readonly isClosed: boolean
  readonly isPaused: boolean
}

/** Connects a client to a store. */
export function testClient(
  made: TestStore,
  options: {
    principal?: Principal
    server?: RespServer
    init?: RespServerInit
    peerName?: string
  } = {},
): TestClient {
  const server =
    options.server ?? new RespServer(made.store, { checksumMemoryBytes: MIB, ...options.init })
  const replies: Reply[] = []
  const waiting: ((reply: Reply) => void)[] = []
  const reader = new ReplyReader((reply) => {
    const next = waiting.shift()
    if (next) next(reply)
    else replies.push(reply)
  })
  let isClosed = false
  let isPaused = false
  const session = server.connect(options.principal ?? { kind: 'admin' }, {
    peerName: options.peerName ?? 'test',
    send(output) {
      for (const part of output.parts) reader.receive(Buffer.from(part))
      output.release()
      session.sent(output.lengthBytes)
    },
    close() {
      isClosed = true
    },
    pause() {
      isPaused = true
    },
    resume() {
      isPaused = false
    },
  })
  const send = (bytes: Uint8Array | string) => {
    const buffer = Buffer.from(bytes)
    session.receive(buffer, buffer.byteLength)
  }
  return {
    replies,
    send,
    get isClosed() {
      return isClosed
    },
    get isPaused() {
      return isPaused
    },
    ask(...args) {
      const { promise, resolve } = Promise.withResolvers<Reply>()
      waiting.push(resolve)
      const parts = args.map((arg) => Buffer.from(arg))
      const frames = parts.flatMap((part) => [
        Buffer.from(`$${part.byteLength}\r\n`),
        part,
        Buffer.from('\r\n'),
      ])
      assert.ok(!isClosed, 'the session is open')
      send(Buffer.concat([Buffer.from(`*${parts.length}\r\n`), ...frames]))
      made.endTick()
      return promise
    },
  }
}
