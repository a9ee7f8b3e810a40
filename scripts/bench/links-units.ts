/**
 * Links units as processes of their own, for benchmarks and integration tests: each with a data directory under the
 * temporary folder, spoken to over its control socket, and killable like a machine that loses power.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { controlSocket, sharedSocket } from '../../agent/adapters/process/run-sockets.ts'
import { toHex } from '../../agent/base/bytes.ts'
import { NodeError } from '../../agent/base/errors.ts'
import { type LedgerKey, ledgerKeyFrom } from '../../agent/base/ledger-key.ts'
import type { LinksStatus } from '../../agent/engines/links/index.ts'
import type { LinksUnitConfig, PeerConfig } from '../../agent/state/unit-config.ts'
import { connectControl } from '../../agent/units/control.ts'

const WORKER = fileURLToPath(new URL('./links-unit.ts', import.meta.url))

/** Grid of all tests. */
export const TEST_GRID = `0x${'9a'.repeat(20)}`

/** Status of the unit as it goes over the control socket. */
export type LinksUnitStatus = LinksStatus & { configured: boolean; strayErrors: number }

/** One links unit in its own process. */
export interface LinksProcess {
  readonly key: LedgerKey
  readonly dataDir: string
  readonly dialSocketPath: string
  /** Where peers' streams go: listen here to serve them. */
  readonly peerSocketPath: string
  readonly child: ChildProcess
  /** Configures it with these peers; the first call decides the port. @returns Its own entry for others' lists. */
  configure(peers: readonly PeerConfig[], change?: Partial<LinksUnitConfig>): Promise<PeerConfig>
  status(): Promise<LinksUnitStatus>
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>
  /** Starts it again after `kill`, on the same directory and port. */
  restart(): Promise<void>
  /** Kills it and removes its directory. */
  remove(): Promise<void>
}

/**
 * Starts a links unit.
 *
 * @param number - Decides its key, `1..255`.
 * @returns The unit, not configured yet.
 */
export async function startLinksProcess(number: number): Promise<LinksProcess> {
  const key = ledgerKeyFrom(new Uint8Array(32).fill(number))
  const dataDir = mkdtempSync(join(tmpdir(), 'varve-links-'))
  for (const unit of ['links', 'store']) mkdirSync(join(dataDir, 'run', unit), { recursive: true })
  const controlPath = controlSocket(dataDir, 'links')
  let child = await spawnUnit(dataDir)
  let port = 0

  async function call(method: string, params: unknown): Promise<unknown> {
    const control = await connectControl(controlPath)
    try {
      return await control.call(method, params, { timeoutMs: 20_000 })
    } finally {
      control.close()
    }
  }

  const unit: LinksProcess = {
    key,
    dataDir,
    dialSocketPath: sharedSocket(dataDir, 'links/dial').path,
    peerSocketPath: sharedSocket(dataDir, 'store/peer').path,
    get child() {
      return child
    },
    async configure(peers, change = {}) {
      const config: LinksUnitConfig = {
        grid: TEST_GRID,
        privateKey: toHex(key.privateKey),
        listen: [`/ip4/127.0.0.1/tcp/${port}`],
        peers,
        guests: [],
        ...change,
      }
      await call('configure', config)
      const { listening } = await unit.status()
      port = Number(/\/tcp\/(\d+)/.exec(listening[0] ?? '')?.[1] ?? 0)
      if (change.listen === undefined && config.listen[0] !== `/ip4/127.0.0.1/tcp/${port}`) {
        // The port is known now: say so, that a later call does not ask for another.
        await call('configure', { ...config, listen: [`/ip4/127.0.0.1/tcp/${port}`] })
      }
      return {
        account: key.account,
        publicKey: toHex(key.publicKeyCompressed),
        addresses: port === 0 ? [] : [`/ip4/127.0.0.1/tcp/${port}`],
      }
    },
    status: async () => (await call('status', {})) as LinksUnitStatus,
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
    async restart() {
      child = await spawnUnit(dataDir)
    },
    async remove() {
      await unit.kill()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
  return unit
}

async function spawnUnit(dataDir: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [WORKER, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    env: { ...process.env, VARVE_TEST_LOG: process.env['VARVE_TEST_LOG'] ?? 'silent' },
  })
  child.stdout?.pipe(process.stdout)
  await Promise.race([once(child, 'message'), failOnExit(child)])
  return child
}

async function failOnExit(child: ChildProcess): Promise<never> {
  const [code] = await once(child, 'exit')
  throw new NodeError('UNIT_FAILED', `the links unit ended with ${code} before it was ready`)
}
