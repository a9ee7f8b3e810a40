/** The store served without a ledger: opens a directory, makes the default namespace, listens on TCP and a unix socket. */
import { hostname } from 'node:os'
import { join } from 'node:path'
import { nodeDisk } from '../../adapters/disk/node-disk.ts'
import { descriptorLimit } from '../../adapters/kernel/descriptor-limit.ts'
import { lockDirectory } from '../../adapters/kernel/directory-lock.ts'
import { hugePages } from '../../adapters/kernel/huge-pages.ts'
import { type HookRunner, hookRunner } from '../../adapters/process/hook-runner.ts'
import { listenOn } from '../../adapters/socket/listen-on.ts'
import { openTransport, type TransportChoice } from '../../adapters/socket/open-transport.ts'
import { primaryDialer } from '../../adapters/socket/primary-dialer.ts'
import { CONNECTIONS_MAX, respListener } from '../../adapters/socket/resp-listener.ts'
import type { Transport } from '../../adapters/socket/transport.ts'
import { systemChance } from '../../adapters/time/system-chance.ts'
import { systemClock } from '../../adapters/time/system-clock.ts'
import { codeOf, NodeError } from '../../base/errors.ts'
import type { Log } from '../../base/ports.ts'
import {
  type DialectRule,
  LogStore,
  type LogStoreInit,
  type Principal,
  RespServer,
  type RootHasher,
  StoreReplica,
} from '../../engines/store/index.ts'
import { buildId } from '../build.ts'
import { threadedRootHasher } from './root-hasher.ts'
import { STORE_LOCK } from './store-lock.ts'

/** What the primary shows of a replica is cut to this. */
const REPLICA_NAME_CHARACTERS_MAX = 64

/** As a host: both loopback addresses of this machine. */
const LOCALHOST = 'localhost'
/** Share of the descriptors that connections may have; segments and what else is open need the rest. */
const CONNECTIONS_SHARE = 0.75

/** How to serve. */
export interface StandAloneInit {
  readonly data: string
  /** An address, or `localhost` for the loopback addresses. */
  readonly host: string
  /** 0 for none. */
  readonly port: number
  readonly unix: string | undefined
  /** Without it everybody on this machine is administrator, and nobody from elsewhere. */
  readonly adminPassword: Buffer | undefined
  /** `mixed` lets each namespace have its own mode. */
  readonly mode: 'user' | 'seq' | 'mixed'
  readonly store: LogStoreInit
  /** Program to run at events: absolute path of an executable. */
  readonly hook?: string | undefined
  /** The store to follow, if any. */
  readonly replicaOf?: ReplicaOf | undefined
  /** In whose words clients are answered that do not say what they are, default `auto`. */
  readonly dialect?: DialectRule
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
  /** What is open to whom, for people. */
  readonly access: readonly string[]
  readonly closed: Promise<void>
  stop(): Promise<void>
}

/**
 * Opens and serves a store.
 *
 * @param init - Where, how, and to whom.
 * @returns The running store, listening.
 * @throws NodeError `DISK_*`, `LOG_*`, `SOCKET_PATH_TAKEN`, `STORE_HOOK_REFUSED`, or the system's code if it cannot listen;
 *   nothing of it is left open then.
 * @example
 * const running = await startStandAlone({ data: '/srv/store', host: 'localhost', port: 9900, ... })
 */
export async function startStandAlone(init: StandAloneInit): Promise<StandAlone> {
  const ending = new AsyncDisposableStack()
  try {
    return await start(init, ending)
  } catch (caught) {
    await ending.disposeAsync()
    throw caught
  }
}

/** @param ending - Gets what undoes each step, to be run from the last to the first. */
async function start(init: StandAloneInit, ending: AsyncDisposableStack): Promise<StandAlone> {
  const { data, log } = init
  if (!init.store.readOnly) ending.defer(lockDirectory(data, STORE_LOCK))
  const hooks = init.hook === undefined ? undefined : startHooks(init, init.hook)
  if (hooks) await beginHooks(hooks, data, ending)
  const rootHasher = threadedRootHasher(data)
  ending.defer(() => rootHasher.close())
  const transport = openTransport(init.sockets ?? 'auto', log)
  ending.defer(() => transport.close())
  const store = await openStore(init, { transport, rootHasher, hooks })
  ending.defer(() => store.close())
  if (!store.namespaces.has('default') && !init.store.readOnly) await store.create('default')

  const replica = await startReplica(store, init)
  if (replica) ending.defer(() => replica.close())
  const done = Promise.withResolvers<void>()
  let stopping: Promise<void> | undefined
  const stop = () => {
    stopping ??= ending.disposeAsync().finally(() => done.resolve())
    return stopping
  }
  const resp = new RespServer(store, {
    version: buildId(),
    isMixed: init.mode === 'mixed',
    dialect: init.dialect ?? 'auto',
    // One turn later, so that the reply to STOP is sent.
    onStop: () => void setImmediate(stop),
    ...(init.adminPassword && { adminPassword: init.adminPassword }),
    ...(replica && { replica }),
    ...(hooks && { hooks: () => hooks.recent() }),
  })
  const listening = await listen(init, resp, transport, ending)
  if (hooks && (await hooks.fireAndWait('ready', [])) !== 0) {
    throw new NodeError('STORE_HOOK_REFUSED', `${init.hook} did not end with 0 at "ready"`)
  }
  replica?.start()
  return { listening, access: describeAccess(init), closed: done.promise, stop }
}

/** Listens wherever it was asked to, one listener after another, each of which is closed again if a later one fails. */
async function listen(
  init: StandAloneInit,
  resp: RespServer,
  transport: Transport,
  ending: AsyncDisposableStack,
): Promise<string[]> {
  const listening: string[] = []
  const principal = speakerAt(init)
  const connectionsMax = Math.min(CONNECTIONS_MAX, descriptorLimit() * CONNECTIONS_SHARE)
  const open = async (where: { port: number; host: string } | { path: string }) => {
    const listener = respListener({ resp, transport, principal, connectionsMax })
    await listenOn(listener.server, where)
    ending.defer(() => listener.close())
    listening.push('path' in where ? where.path : `${where.host} port ${where.port}`)
  }
  const { host, port, unix } = init
  if (port !== 0 && host !== LOCALHOST) await open({ host, port })
  if (port !== 0 && host === LOCALHOST) {
    await open({ host: '127.0.0.1', port })
    await open({ host: '::1', port }).catch((caught: unknown) => {
      // A machine without IPv6 has no such address; a port that is taken there is another matter.
      if (codeOf(caught) === 'EADDRINUSE') throw caught
    })
  }
  if (unix !== undefined) await open({ path: unix })
  return listening
}

/** Without a password whoever speaks from this machine is administrator, and nobody from elsewhere. */
function speakerAt({ adminPassword }: StandAloneInit): (peerName: string) => Principal {
  return (peerName) =>
    !adminPassword && isOfThisMachine(peerName) ? { kind: 'admin' } : { kind: 'guest' }
}

function isOfThisMachine(peerName: string): boolean {
  return /^(unix:|127\.|::1:\d+$|::ffff:127\.)/.test(peerName)
}

/** Says who may do what, in a sentence a listener. */
function describeAccess({ host, port, unix, adminPassword }: StandAloneInit): string[] {
  const isLocal = host === LOCALHOST || isOfThisMachine(`${host}:${port}`)
  const admin = adminPassword
    ? 'administrator is who knows the password'
    : 'every program of this machine is administrator (--admin-password-file asks for a password)'
  return [
    ...(port !== 0 && isLocal ? [`port ${port} is open to this machine alone; ${admin}`] : []),
    ...(port !== 0 && !isLocal
      ? [
          `port ${port} is open to whoever reaches ${host}: namespaces without password can be read and written; ${admin}${adminPassword ? '' : ', nobody from elsewhere'}`,
        ]
      : []),
    ...(unix === undefined ? [] : [`${unix} is open to this user alone; ${admin}`]),
  ]
}

function openStore(
  init: StandAloneInit,
  ports: {
    readonly transport: Transport
    readonly rootHasher: RootHasher
    readonly hooks: HookRunner | undefined
  },
): Promise<LogStore> {
  const { data, log } = init
  const { transport, rootHasher, hooks } = ports
  return LogStore.open(
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
}

/** Tells the hooks of the beginning now, of the end later, and of a crash in between. */
async function beginHooks(
  hooks: HookRunner,
  data: string,
  ending: AsyncDisposableStack,
): Promise<void> {
  const tellOfCrash = () => hooks.fire('crash', [])
  process.on('uncaughtExceptionMonitor', tellOfCrash)
  ending.defer(() => void process.off('uncaughtExceptionMonitor', tellOfCrash))
  ending.defer(() => hooks.drained())
  ending.defer(() => hooks.fireAndWait('close', []).then(() => undefined))
  // As in 0-db: where the index and the data will be, before anything is read.
  const namespacesPath = join(data, 'ns')
  await hooks.fireAndWait('namespaces-init', [namespacesPath, namespacesPath])
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
