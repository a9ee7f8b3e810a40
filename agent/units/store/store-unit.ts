/**
 * The store process of a node: every namespace that orders opened, on one data directory.
 *
 * The agent configures it over `run/store/control.sock`; peers, as the links unit authenticated them, speak the redis protocol over
 * `run/store/peer.sock`; the unit that proves what the node keeps reads over `run/store/audit.sock`. A namespace that the configuration does not list is left alone: only `ended` removes.
 */

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { nodeDisk } from '../../adapters/disk/node-disk.ts'
import { lockDirectory } from '../../adapters/kernel/directory-lock.ts'
import { controlSocket, sharedSocket } from '../../adapters/process/run-sockets.ts'
import { listenOn } from '../../adapters/socket/listen-on.ts'
import { openTransport } from '../../adapters/socket/open-transport.ts'
import { respListener } from '../../adapters/socket/resp-listener.ts'
import { systemChance } from '../../adapters/time/system-chance.ts'
import { systemClock } from '../../adapters/time/system-clock.ts'
import { describeError, isNodeError, NodeError } from '../../base/errors.ts'
import { parseObject } from '../../base/json.ts'
import type { Log } from '../../base/ports.ts'
import {
  LogStore,
  type LogStoreInit,
  type Namespace,
  type Principal,
  RespServer,
} from '../../engines/store/index.ts'
import type { NamespaceConfig, StoreUnitConfig } from '../../state/unit-config.ts'
import { buildId } from '../build.ts'
import { serveControl } from '../control.ts'
import { prefacedPeer } from '../peer-preface.ts'
import { threadedRootHasher } from './root-hasher.ts'
import { STORE_LOCK } from './store-lock.ts'

/** Properties of an order's namespace that are the same for all: volumes rely on them. */
const ORDER_DEFAULTS = { sync: 'always', historySeconds: 0, isPublic: false } as const

/** What a store unit is started with. */
export interface StoreUnitInit {
  /** Data directory of the node; the store is in its `store/`. */
  readonly dataDir: string
  /** Name of the unit, also of its sockets in `run/`. */
  readonly name: string
  readonly log: Log
  /** Sizes that tests make small. */
  readonly store?: LogStoreInit
}

/** A running store unit. */
export interface StoreUnit {
  /** Resolves when it has drained and ended. */
  readonly closed: Promise<void>
  stop(): Promise<void>
}

/**
 * Opens the store and serves it until it is told to stop.
 *
 * @param init - Where and under what name.
 * @returns The running unit, both sockets ready.
 * @throws NodeError `DISK_*`, `LOG_*`, `CONTROL_ALREADY_RUNNING`; nothing is left open then.
 * @example
 * const unit = await startStoreUnit({ dataDir: '/var/lib/varve', name: 'store', log })
 * await unit.closed
 */
export async function startStoreUnit(init: StoreUnitInit): Promise<StoreUnit> {
  // Before anything else: an agent that died may have left a unit that serves, and a person may be mending the directory.
  const unlock = lockDirectory(join(init.dataDir, 'store'), STORE_LOCK)
  try {
    return await serveStore(init, unlock)
  } catch (caught) {
    unlock()
    throw caught
  }
}

async function serveStore(init: StoreUnitInit, unlock: () => void): Promise<StoreUnit> {
  const { dataDir, name, log } = init
  const failures: Failures = new Map()
  let store: LogStore | undefined
  let close: () => Promise<void> = async () => undefined

  const control = await serveControl<StoreUnitConfig>({
    path: controlSocket(dataDir, name),
    kind: 'store',
    name,
    methods: {
      configure: (config) => configureStore(opened(store), config, failures, log),
      status: () => storeStatus(opened(store), failures),
      stop: () => close(),
    },
  })
  const rootHasher = threadedRootHasher(join(dataDir, 'store'))
  // Plain sockets and pages: no gain of io_uring or huge pages was measured behind the links, and io_uring goes past the filter of
  // system calls.
  const transport = openTransport('libuv', log)
  store = await LogStore.open(
    {
      disk: nodeDisk(join(dataDir, 'store')),
      clock: systemClock(),
      chance: systemChance(),
      log,
      atEndOfTick: (task) => transport.atEndOfBurst(task),
      rootHasher,
    },
    init.store,
  )
  const resp = new RespServer(store, { version: buildId() })
  const listener = respListener({ resp, transport, principal: 'preface', readPreface })
  const auditListener = respListener({ resp, transport, principal: { kind: 'auditor' } })
  const peerSocket = sharedSocket(dataDir, 'store/peer')
  const auditSocket = sharedSocket(dataDir, 'store/audit')
  await listenOn(listener.server, peerSocket)
  await listenOn(auditListener.server, auditSocket)
  log.info({ namespaces: store.namespaces.size, peerPath: peerSocket.path }, 'store is open')

  close = async () => {
    await Promise.all([listener.close(), auditListener.close()])
    await transport.close()
    for (const { path } of [peerSocket, auditSocket]) rmSync(path, { force: true })
    await store.close()
    await rootHasher.close()
    unlock()
    log.info({}, 'store is closed')
  }
  return { closed: control.closed, stop: () => control.stop() }
}

/** Why namespaces are not as they are configured, by name. */
type Failures = Map<string, string>

/** Brings the namespaces to what is configured. One that cannot be brought there keeps no other from it, and is told in the status. */
async function configureStore(
  store: LogStore,
  config: StoreUnitConfig,
  failures: Failures,
  log: Log,
): Promise<void> {
  failures.clear()
  const attempt = async (name: string, act: () => Promise<void>) => {
    try {
      await act()
    } catch (caught) {
      if (!isNodeError(caught)) throw caught
      failures.set(name, describeError(caught))
      log.error({ namespace: name, cause: describeError(caught) }, 'namespace not as ordered')
    }
  }
  for (const name of config.ended) await attempt(name, () => removeEnded(store, name, log))
  for (const wanted of config.namespaces) {
    await attempt(wanted.name, () => bringAbout(store, wanted, log))
  }
}

async function removeEnded(store: LogStore, name: string, log: Log): Promise<void> {
  if (!store.namespaces.has(name) && store.whySetAside(name) === undefined) return
  await store.remove(name)
  log.info({ namespace: name }, 'namespace of an ended order removed')
}

async function bringAbout(store: LogStore, wanted: NamespaceConfig, log: Log): Promise<void> {
  const properties = propertiesOf(wanted)
  const found = store.namespaces.get(wanted.name)
  if (!found) {
    await store.create(wanted.name, properties)
    log.info({ namespace: wanted.name, maxBytes: wanted.maxBytes }, 'namespace opened')
  } else if (differs(found, properties)) {
    await found.change(properties)
    log.info({ namespace: wanted.name }, 'namespace changed')
  }
}

function propertiesOf(wanted: NamespaceConfig) {
  return {
    ...ORDER_DEFAULTS,
    mode: wanted.mode,
    worm: wanted.worm,
    maxBytes: wanted.maxBytes,
    isFrozen: wanted.state === 'suspended',
    writers: wanted.writers,
    readers: wanted.readers,
    ...(wanted.keptSince !== undefined && { keptSince: wanted.keptSince }),
  }
}

function differs(found: Namespace, wanted: ReturnType<typeof propertiesOf>): boolean {
  return Object.entries(wanted).some(
    ([name, value]) => !isDeepStrictEqual(Reflect.get(found.properties, name), value),
  )
}

function storeStatus(store: LogStore, failures: Failures): object {
  const open = [...store.namespaces.values()].map((one) => {
    const { dataBytes, liveBytes, damagedBytes, missingRecords, cutBytes } = one.log.counts
    const failure = failures.get(one.name) ?? (one.log.failure && describeError(one.log.failure))
    return {
      name: one.name,
      keys: one.log.index.liveKeys,
      dataBytes,
      liveBytes,
      maxBytes: one.properties.maxBytes,
      damagedBytes,
      missingRecords,
      cutBytes,
      state: one.properties.isFrozen ? 'suspended' : 'live',
      ...(failure !== undefined && { failure }),
    }
  })
  const closed = [...failures]
    .filter(([name]) => !store.namespaces.has(name))
    .map(([name, failure]) => ({ name, state: 'failed', failure }))
  const setAside = Object.fromEntries(store.setAside)
  return { ...store.ports.disk.space(), namespaces: [...open, ...closed], setAside }
}

function readPreface(line: string): Principal | undefined {
  const peer = prefacedPeer(parseObject(Buffer.from(line)))
  return peer && { kind: 'peer', account: peer }
}

function opened(store: LogStore | undefined): LogStore {
  if (store) return store
  throw new NodeError('UNIT_STARTING', 'the store is still being opened', { retryAfterMs: 200 })
}
