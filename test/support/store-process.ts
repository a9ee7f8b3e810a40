/** Starts and kills store units as real processes, and connects to them as a peer. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { controlSocket, sharedSocket } from '../../agent/adapters/process/run-sockets.ts'
import { respShardStore } from '../../agent/adapters/socket/resp-shard-store.ts'
import type { Account } from '../../agent/base/ids.ts'
import type { NamespaceConfig, StoreUnitConfig } from '../../agent/state/unit-config.ts'
import { connectControl } from '../../agent/units/control.ts'

const MAIN = fileURLToPath(new URL('./store-unit-main.ts', import.meta.url))

/** A store unit that runs. */
export interface StoreProcess {
  readonly child: ChildProcess
  readonly dataDir: string
  /** Ends it as a power button would. */
  kill(): Promise<void>
  /** Calls its control socket. */
  control(method: string, params: unknown): Promise<unknown>
}

/** Starts a unit. @returns It, once it is ready. */
export async function startStoreProcess(dataDir: string): Promise<StoreProcess> {
  const child = spawn(process.execPath, [MAIN, dataDir], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const ready = child.stdout ? once(child.stdout, 'data') : Promise.reject(child)
  await Promise.race([ready, exited.then(() => Promise.reject(child.exitCode))])
  return {
    child,
    dataDir,
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
    async control(method, params) {
      const client = await connectControl(controlSocket(dataDir, 'store'))
      try {
        return await client.call(method, params, { timeoutMs: 10_000 })
      } finally {
        client.close()
      }
    },
  }
}

/** A namespace as an order would have it. */
export function namespaceConfig(
  name: string,
  options: Partial<NamespaceConfig> = {},
): NamespaceConfig {
  return {
    name,
    mode: 'user',
    worm: false,
    maxBytes: 64 * 1024 * 1024,
    state: 'live',
    writers: [],
    readers: [],
    ...options,
  }
}

/** A configuration. */
export function storeConfig(
  namespaces: readonly NamespaceConfig[],
  ended: readonly string[] = [],
): StoreUnitConfig {
  return { namespaces, ended }
}

/** Dials the peer socket as the links unit would. */
export async function dialStore(dataDir: string, account: Account): Promise<Socket> {
  const socket = connect(sharedSocket(dataDir, 'store/peer').path)
  await once(socket, 'connect')
  socket.write(`${JSON.stringify({ account })}\n`)
  return socket
}

/** A shard store over the peer socket. */
export function peerStore(dataDir: string, account: Account, namespace: string) {
  return respShardStore({
    namespace,
    connect: () => dialStore(dataDir, account),
    timeoutMs: 5000,
  })
}
