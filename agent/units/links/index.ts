/**
 * The links unit: one process that holds the links of a node.
 *
 * `run/links/control.sock` is its control socket, `run/links/dial.sock` takes streams of this node's processes out, and
 * streams of peers go to `run/store/peer.sock` and `run/audit/peer.sock` (docs/design/0001, section 1; 0008).
 */

import { pino } from 'pino'
import { controlSocket, sharedSocket } from '../../adapters/process/run-sockets.ts'
import { listenUnix } from '../../adapters/socket/listen.ts'
import { systemChance } from '../../adapters/time/system-chance.ts'
import { systemClock } from '../../adapters/time/system-clock.ts'
import { fromHex } from '../../base/bytes.ts'
import { ledgerKeyFrom } from '../../base/ledger-key.ts'
import type { Log } from '../../base/ports.ts'
import { isStrayLinkError, type Links, startLibp2pLinks } from '../../engines/links/index.ts'
import type { SharedSocket } from '../../sandbox/users.ts'
import type { LinksUnitConfig } from '../../state/unit-config.ts'
import { serveControl } from '../control.ts'
import { forwardToService, serveDialClient } from './services.ts'

/** Streams that processes of this node may have open: all mounts of a large machine to all their slots. */
const DIAL_CLIENTS_MAX = 4096

/** Services that peers may dial, and the sockets of the units that serve them. */
const SERVICES: Readonly<Record<string, SharedSocket>> = {
  store: 'store/peer',
  audit: 'audit/peer',
}

/**
 * Runs the links unit until it is told to stop.
 *
 * @param options.dataDir - Data directory of the node; the sockets go to its `run/`.
 * @param options.name - Name of the unit, as the agent knows it.
 * @param options.log - Where to log; standard output if left out.
 * @returns Resolves when the unit has stopped.
 * @throws NodeError `CONTROL_ALREADY_RUNNING`, `DIAL_UNREACHABLE` if another links unit runs on the data directory.
 * @example
 * await runLinksUnit({ dataDir, name: 'links' })
 */
export async function runLinksUnit(options: {
  readonly dataDir: string
  readonly name: string
  readonly log?: Log
}): Promise<void> {
  const { dataDir, name } = options
  const log: Log = options.log ?? pino({ name })
  const links = new LinksUnit(dataDir, log)
  const strays = surviveStrayErrors(log)

  const control = await serveControl<LinksUnitConfig>({
    path: controlSocket(dataDir, name),
    kind: 'links',
    name,
    methods: {
      configure: (config) => links.configure(config),
      status: () => ({ ...links.status(), strayErrors: strays.count }),
      stop: () => links.stop(),
    },
  })
  process.once('SIGTERM', () => void control.stop())
  await links.listen()
  await control.closed
}

class LinksUnit {
  readonly #dataDir: string
  readonly #log: Log
  #links: Links | undefined
  #hostKey = ''
  #dialSocket: Awaited<ReturnType<typeof listenUnix>> | undefined

  constructor(dataDir: string, log: Log) {
    this.#dataDir = dataDir
    this.#log = log
  }

  async listen(): Promise<void> {
    this.#dialSocket = await listenUnix({
      ...sharedSocket(this.#dataDir, 'links/dial'),
      connectionsMax: DIAL_CLIENTS_MAX,
      onConnection: (socket) => void serveDialClient(socket, () => this.#links),
    })
  }

  async configure(config: LinksUnitConfig): Promise<void> {
    const hostKey = JSON.stringify([config.grid, config.privateKey, config.listen])
    if (hostKey !== this.#hostKey) await this.#restart(config, hostKey)
    this.#links?.setPolicy({
      guests: config.guests,
      peers: config.peers.map(({ account, publicKey, addresses }) => ({
        account,
        publicKey: bytesOrNone(publicKey),
        addresses,
      })),
    })
  }

  status(): object {
    return {
      configured: this.#links !== undefined,
      dialClients: this.#dialSocket?.connections ?? 0,
      ...this.#links?.status(),
    }
  }

  async stop(): Promise<void> {
    await this.#dialSocket?.close()
    await this.#links?.close()
  }

  /** A changed identity, grid or listen address needs a new host; the old one's streams break. */
  async #restart(config: LinksUnitConfig, hostKey: string): Promise<void> {
    const old = this.#links
    this.#links = undefined
    this.#hostKey = ''
    await old?.close()
    const links = await startLibp2pLinks({
      grid: config.grid,
      key: ledgerKeyFrom(fromHex(config.privateKey)),
      listen: config.listen,
      clock: systemClock(),
      chance: systemChance(),
      log: this.#log,
    })
    for (const [service, socket] of Object.entries(SERVICES)) {
      const socketPath = sharedSocket(this.#dataDir, socket).path
      await links.onInbound(service, (stream) => forwardToService(stream, socketPath))
    }
    this.#links = links
    this.#hostKey = hostKey
    this.#log.info({ account: links.account, listening: links.status().listening }, 'links are up')
  }
}

/** One peer's garbled key must not keep the others out: no bytes are no key, and the book skips the entry. */
function bytesOrNone(hex: string): Uint8Array {
  try {
    return fromHex(hex)
  } catch {
    return new Uint8Array(0)
  }
}

/** Lets libp2p's strays pass and ends the process at anything else: the supervisor starts it afresh. */
function surviveStrayErrors(log: Log): { readonly count: number } {
  const strays = { count: 0 }
  const onUncaught = (err: unknown) => {
    if (isStrayLinkError(err)) {
      strays.count++
      log.warn({ err }, 'libp2p threw where nobody can catch')
      return
    }
    log.error({ err }, 'the links unit stops at an error that nobody caught')
    process.exit(1)
  }
  process.on('uncaughtException', onUncaught)
  process.on('unhandledRejection', onUncaught)
  return strays
}
