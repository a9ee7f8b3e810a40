/** The store served without a ledger: opens a directory, makes the default namespace, listens on TCP and a unix socket. */
import { chmodSync, rmSync } from 'node:fs'
import type { Server } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { nodeDisk } from '../../adapters/disk/node-disk.ts'
import { lockDirectory } from '../../adapters/kernel/directory-lock.ts'
import { hugePages } from '../../adapters/kernel/huge-pages.ts'
import { type HookRunner, hookRunner } from '../../adapters/process/hook-runner.ts'
import { openTransport, type TransportChoice } from '../../adapters/socket/open-transport.ts'
import { primaryDialer } from '../../adapters/socket/primary-dialer.ts'
import { type RespListener, respListener } from '../../adapters/socket/resp-listener.ts'
import { systemChance } from '../../adapters/time/system-chance.ts'
import { systemClock } from '../../adapters/time/system-clock.ts'
import { NodeError } from '../../base/errors.ts'
import type { Log } from '../../base/ports.ts'
import {
  LogStore,
  type LogStoreInit,
  type Principal,
  RespServer,
  StoreReplica,
} from '../../engines/store/index.ts'
import { buildId } from '../build.ts'
import { threadedRootHasher } from './root-hasher.ts'
import { STORE_LOCK } from './store-lock.ts'

/** What the primary shows of a replica is cut to this. */
const REPLICA_NAME_CHARACTERS_MAX = 64

/** How to serve. */
export interface StandAloneInit {
  readonly data: string
  readonly host: string
  /** 0 for none. */
  readonly port: number
  readonly unix: string | undefined
  /** Without it every guest is admin, as in 0-db. */
  readonly adminPassword: Buffer | undefined
  /** `mixed` lets each namespace have its own mode. */
  readonly mode: 'user' | 'seq' | 'mixed'
  readonly store: LogStoreInit
  /** Program to run at events: absolute path of an executable. */
  readonly hook?: string | undefined
  /** The store to follow, if any. */
  readonly replicaOf?: ReplicaOf | undefined
  /** How sockets are served, default `auto`. */
  readonly sockets?: TransportChoice
  readonly log: Log
}

/** A store that another one follows. */
export interface ReplicaOf {
  readonly host: string
  readonly port: number
  /** One namespace, bytes as latin1; all of them where there is none. */
  readonly namespace: string | undefined
  /** Of the admin there, if it has one. */
  readonly password: Buffer | undefined
}

/** A store that is served. */
export interface StandAlone {
  /** Where it listens, for people. */
  readonly listening: readonly string[]
  readonly closed: Promise<void>
  stop(): Promise<void>
}

/**
 * Opens and serves a store.
 *
 * @param init - Where, how, and to whom.
 * @returns The running store, listening.
 * @throws NodeError `DISK_*`, `LOG_*`, or the system's code if it cannot listen.
 * @example
 * const running = await startStandAlone({ data: '/srv/store', host: '::', port: 9900, ... })
 */
export async function startStandAlone(init: StandAloneInit): Promise<StandAlone> {
  const { data, log } = init
  const unlock = init.store.readOnly ? () => undefined : lockDirectory(data, STORE_LOCK)
  const hooks = init.hook === undefined ? undefined : startHooks(init, init.hook)
  const tellOfCrash = () => hooks?.fire('crash', [])
  process.on('uncaughtExceptionMonitor', tellOfCrash)
  // As in 0-db: where the index and the data will be, before anything is read.
  const namespacesPath = join(data, 'ns')
  await hooks?.fireAndWait('namespaces-init', [namespacesPath, namespacesPath])
  const rootHasher = threadedRootHasher(data)
  const transport = openTransport(init.sockets ?? 'auto', log)
  const store = await LogStore.open(
    {
      disk: nodeDisk(data),
      clock: systemClock(),
      chance: systemChance(),
      log,
      atEndOfTick: (task) => transport.atEndOfBurst(task),
      rootHasher,
      hugePages: hugePages(),
      ...(hooks && { onEvent: (event, args) => hooks.fire(event, absolutePaths(data, args)) }),
    },
    init.store,
  )
  if (!store.namespaces.has('default') && !init.store.readOnly) await store.create('default')

  const replica = await startReplica(store, init)
  const done = Promise.withResolvers<void>()
  let stopping: Promise<void> | undefined
  const stop = () => {
    stopping ??= close().finally(() => done.resolve())
    return stopping
  }
  const resp = new RespServer(store, {
    version: buildId(),
    isMixed: init.mode === 'mixed',
    // One turn later, so that the reply to STOP is sent.
    onStop: () => void setImmediate(stop),
    ...(init.adminPassword && { adminPassword: init.adminPassword }),
    ...(replica && { replica }),
    ...(hooks && { hooks: () => hooks.recent() }),
  })
  const principal: Principal = init.adminPassword ? { kind: 'guest' } : { kind: 'admin' }
  const listeners: RespListener[] = []
  const listening: string[] = []
  async function listen(where: { port: number; host: string } | { path: string }, name: string) {
    const listener = respListener({ resp, transport, principal })
    await listenOn(listener.server, where)
    listeners.push(listener)
    listening.push(name)
  }
  async function close(): Promise<void> {
    await Promise.all(listeners.map((listener) => listener.close()))
    await transport.close()
    if (init.unix) rmSync(init.unix, { force: true })
    await replica?.close()
    await store.close()
    await rootHasher.close()
    await hooks?.fireAndWait('close', [])
    await hooks?.drained()
    process.off('uncaughtExceptionMonitor', tellOfCrash)
    unlock()
  }

  if (init.port !== 0) await listen({ port: init.port, host: init.host }, `port ${init.port}`)
  if (init.unix) {
    rmSync(init.unix, { force: true })
    await listen({ path: init.unix }, init.unix)
    chmodSync(init.unix, 0o600)
  }
  if (hooks && (await hooks.fireAndWait('ready', [])) !== 0) {
    await stop()
    throw new NodeError('STORE_HOOK_REFUSED', `${init.hook} did not end with 0 at "ready"`)
  }
  replica?.start()
  return { listening, closed: done.promise, stop }
}

/** Hooks of a store that is named by where it listens. */
function startHooks(init: StandAloneInit, program: string): HookRunner {
  const { host, port, unix, log } = init
  const instance = port === 0 && unix !== undefined ? `unix://${unix}` : `tcp://${host}:${port}`
  return hookRunner({ program, instance, log })
}

/** Events name files as the store's disk does; programs want to open them. */
function absolutePaths(data: string, args: readonly string[]): string[] {
  return args.map((arg) => (arg.startsWith('ns/') ? join(data, arg) : arg))
}

/** Makes what follows the primary; a store that follows none owns what it once copied. */
async function startReplica(
  store: LogStore,
  init: StandAloneInit,
): Promise<StoreReplica | undefined> {
  const { replicaOf } = init
  if (init.store.readOnly) return undefined
  if (!replicaOf) {
    for (const namespace of store.namespaces.values()) await namespace.promote(store.newLogId())
    return undefined
  }
  const { host, port, namespace, password } = replicaOf
  return new StoreReplica({
    store,
    dialer: primaryDialer({ host, port }),
    primary: `${host}:${port}`,
    namespace,
    password,
    name: `${hostname()}:${process.pid}`.slice(0, REPLICA_NAME_CHARACTERS_MAX),
  })
}

function listenOn(
  server: Server,
  where: { port: number; host: string } | { path: string },
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(where, () => {
    server.off('error', reject)
    resolve()
  })
  return promise
}
