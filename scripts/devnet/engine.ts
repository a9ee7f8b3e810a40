/**
 * The engine below the local ledger: anvil, or Hardhat's node where anvil has no binary. It is told when to mine and with
 * which time, has no accounts of its own, and dies with its supervisor.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { NodeError } from '../../agent/base/errors.ts'
import { type RpcClient, rpcClient } from './rpc.ts'

export type EngineKind = 'anvil' | 'hardhat'

/** States behind the head that the engine can still answer calls at, also after a restart: agents ask a few blocks behind. */
export const STATES_KEPT = 64
const SETPRIV = '/usr/bin/setpriv'
const READY_MS_MAX = 60_000
const READY_POLL_MS = 20

/** How to start an engine. */
export interface EngineStart {
  readonly kind: EngineKind
  readonly dataDir: string
  readonly chainId: number
  /** Genesis file in geth's form. */
  readonly genesisFile: string
  /** Time of the genesis, in seconds since 1970, as in that file. */
  readonly genesisTimestamp: number
  /** State to go on from, instead of the genesis; anvil only. */
  readonly stateFile?: string | undefined
}

/** A running engine. */
export interface Engine {
  readonly kind: EngineKind
  readonly pid: number
  readonly port: number
  readonly rpc: RpcClient
  /** Resolves when the process is gone, whatever the reason. */
  readonly exited: Promise<void>
  /** Ends the process at once; resolves when it is gone. */
  kill(): Promise<void>
}

/**
 * Says which engine this machine can run.
 *
 * @returns `anvil` where its binary is installed, else `hardhat`.
 * @throws NodeError `DEVNET_ENGINE_MISSING` if there is neither.
 */
export function availableEngine(): EngineKind {
  if (anvilPath() !== undefined) return 'anvil'
  try {
    createRequire(import.meta.url).resolve('hardhat/package.json')
    return 'hardhat'
  } catch (cause) {
    throw new NodeError('DEVNET_ENGINE_MISSING', 'no engine for a local ledger', { cause })
  }
}

function anvilPath(): string | undefined {
  const name = `@foundry-rs/anvil-${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`
  try {
    const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`)
    const path = join(dirname(manifest), 'bin/anvil')
    return existsSync(path) ? path : undefined
  } catch {
    return undefined
  }
}

/**
 * Starts an engine and waits until it answers.
 *
 * @param start - What to start.
 * @returns The engine, at its genesis or at the block of its state file.
 * @throws NodeError `DEVNET_ENGINE_FAILED` if it ends or stays silent for a minute.
 */
export async function startEngine(start: EngineStart): Promise<Engine> {
  const port = await freePort()
  const [command, ...args] = commandOf(start, port)
  const log = openSync(join(start.dataDir, 'engine.log'), 'a', 0o600)
  const child = spawn(command, args, { stdio: ['ignore', log, log], cwd: start.dataDir })
  closeSync(log)
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const rpc = rpcClient(port)
  const kill = async () => {
    child.kill('SIGKILL')
    rpc.close()
    await exited
  }
  try {
    await untilReady(child, rpc)
  } catch (caught) {
    await kill()
    throw caught
  }
  return { kind: start.kind, pid: child.pid ?? 0, port, rpc, exited, kill }
}

function commandOf(start: EngineStart, port: number): [string, ...string[]] {
  const engine = start.kind === 'anvil' ? anvilCommand(start, port) : hardhatCommand(start, port)
  // The kernel ends the engine when its supervisor is killed; Hardhat's engine also watches its parent by itself.
  return existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'KILL', ...engine] : engine
}

function anvilCommand(start: EngineStart, port: number): [string, ...string[]] {
  const path = anvilPath()
  if (path === undefined) throw new NodeError('DEVNET_ENGINE_MISSING', 'anvil has no binary here')
  // Anvil takes no genesis beside a state, but makes a block 0 of its own before it loads the one in the state, keeps both
  // and dumps both, and the next load takes either. Given the time, its own is the same block: the rest are its defaults.
  const from =
    start.stateFile === undefined
      ? ['--init', start.genesisFile]
      : ['--load-state', start.stateFile, '--timestamp', String(start.genesisTimestamp)]
  return [
    path,
    ...['--port', String(port), '--chain-id', String(start.chainId), '--hardfork', 'prague'],
    ...['--accounts', '0', '--no-mining', '--order', 'fifo', '--slots-in-an-epoch', '1'],
    ...['--prune-history', String(STATES_KEPT), '--quiet', ...from],
  ]
}

function hardhatCommand(start: EngineStart, port: number): [string, ...string[]] {
  const script = fileURLToPath(new URL('./hardhat-engine.ts', import.meta.url))
  return [process.execPath, script, String(port), start.genesisFile]
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') {
    throw new NodeError('DEVNET_ENGINE_FAILED', 'the system gave no port')
  }
  return address.port
}

async function untilReady(child: ChildProcess, rpc: RpcClient): Promise<void> {
  let last: unknown
  for (let waitedMs = 0; waitedMs < READY_MS_MAX; waitedMs += READY_POLL_MS) {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) break
    try {
      await rpc.call('eth_blockNumber', [])
      return
    } catch (caught) {
      last = caught
      await sleep(READY_POLL_MS)
    }
  }
  throw new NodeError('DEVNET_ENGINE_FAILED', 'the ledger engine does not come up', {
    cause: last,
    details: { exitCode: child.exitCode, signal: child.signalCode },
  })
}
