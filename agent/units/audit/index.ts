/**
 * The audit unit: one process that proves what this node keeps. It reads the node's store over `run/store/audit.sock`, answers
 * writers and watchers over `run/audit/peer.sock`, and tells the agent over its control socket what is due on the ledger.
 */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { nodeDisk } from '../../adapters/disk/node-disk.ts'
import { controlSocket, sharedSocket } from '../../adapters/process/run-sockets.ts'
import { connectUnix } from '../../adapters/socket/dial.ts'
import { listenUnix } from '../../adapters/socket/listen.ts'
import { respNamespace } from '../../adapters/socket/resp-namespace.ts'
import { systemClock } from '../../adapters/time/system-clock.ts'
import { NodeError } from '../../base/errors.ts'
import type { Log } from '../../base/ports.ts'
import type { AuditUnitConfig } from '../../state/unit-config.ts'
import { serveControl } from '../control.ts'
import { AuditKeeper } from './audit-keeper.ts'
import { servePeer } from './peer-service.ts'

/** Writers of all slots, and watchers: more than a large node has. */
const PEERS_MAX = 1024
/** Requests to the store at once: proofs go one shard after another, and serving tenants comes first. */
const STORE_REQUESTS_MAX = 2

/** A running audit unit. */
export interface AuditUnit {
  /** Resolves when it has ended. */
  readonly closed: Promise<void>
  stop(): Promise<void>
}

/**
 * Starts the unit; it works once it is configured.
 *
 * @param options.dataDir - Data directory of the node; the unit's files are in its `audit/`.
 * @param options.name - Name of the unit: `audit`.
 * @param options.log - Where it logs.
 * @returns The running unit, both sockets ready.
 * @throws NodeError `CONTROL_ALREADY_RUNNING`, `AUDIT_FILE_DAMAGED`, `DISK_*`.
 * @example
 * const unit = await startAuditUnit({ dataDir: '/var/lib/varve', name: 'audit', log })
 */
export async function startAuditUnit(options: {
  readonly dataDir: string
  readonly name: string
  readonly log: Log
}): Promise<AuditUnit> {
  const { dataDir, name, log } = options
  let keeper: AuditKeeper | undefined
  let close: () => Promise<void> = async () => undefined
  const opened = () => {
    if (keeper) return keeper
    throw new NodeError('UNIT_STARTING', 'the audit unit reads its files', { retryAfterMs: 200 })
  }
  // The control socket first: that it could be claimed shows that no other process has these files open.
  const control = await serveControl<AuditUnitConfig>({
    path: controlSocket(dataDir, name),
    kind: 'audit',
    name,
    methods: {
      configure: (config) => opened().configure(config),
      status: () => opened().status(),
      stop: () => close(),
    },
  })
  const directory = join(dataDir, 'audit')
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const made = new AuditKeeper({
    disk: nodeDisk(directory),
    clock: systemClock(),
    log,
    store: (namespace) =>
      respNamespace({
        namespace,
        inFlightMax: STORE_REQUESTS_MAX,
        connect: (signal) => connectUnix(sharedSocket(dataDir, 'store/audit').path, signal),
      }),
  })
  keeper = made
  const peers = await listenUnix({
    ...sharedSocket(dataDir, 'audit/peer'),
    connectionsMax: PEERS_MAX,
    onConnection: (socket) => servePeer(socket, made),
  })
  close = async () => {
    await peers.close()
    await made.stop()
  }
  return { closed: control.closed, stop: () => control.stop() }
}

/**
 * Runs the audit unit until it is told to stop, by the control socket or by SIGTERM.
 *
 * @param options - As for {@link startAuditUnit}.
 * @returns Resolves when it has ended.
 */
export async function runAuditUnit(options: Parameters<typeof startAuditUnit>[0]): Promise<void> {
  const unit = await startAuditUnit(options)
  process.once('SIGTERM', () => void unit.stop())
  process.once('SIGINT', () => void unit.stop())
  await unit.closed
}
