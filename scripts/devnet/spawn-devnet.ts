/**
 * Runs a local ledger in a process of its own, so that a busy caller does not slow its blocks, and so that killing it is
 * what a power cut is.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { NodeError } from '../../agent/base/errors.ts'
import { type DevnetAccount, devnetAccounts } from './accounts.ts'
import type { DevnetOptions } from './devnet.ts'
import type { LedgerFigures } from './ledger.ts'
import type { DevnetMessage, DevnetRequest } from './messages.ts'

/** Pieces of the process's error output that are kept to explain its end. */
const OUTPUT_PARTS_MAX = 16

/** A local ledger in another process. */
export interface DevnetProcess {
  readonly url: string
  readonly chainId: number
  readonly dataDir: string
  readonly accounts: readonly DevnetAccount[]
  readonly pid: number
  /** Resolves when the process is gone, whatever the reason. */
  readonly exited: Promise<void>
  figures(): Promise<LedgerFigures>
  /** Moves the chain's clock forward for good. @param seconds - `>= 0`. */
  advance(seconds: number): Promise<void>
  stop(): Promise<void>
  /** Ends the process with SIGKILL: a power cut. */
  kill(): Promise<void>
}

/**
 * Starts a ledger process and waits until it serves. It ends with the caller.
 *
 * @param options - As for `startDevnet`.
 * @returns The process.
 * @throws NodeError with the code that the ledger gave.
 * @example
 * const ledger = await spawnDevnet({ dataDir: '.varve/ledger' })
 */
export async function spawnDevnet(options: DevnetOptions): Promise<DevnetProcess> {
  const dataDir = resolve(options.dataDir)
  const child = fork(fileURLToPath(new URL('./main.ts', import.meta.url)), argumentsOf(options), {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  const exited = new Promise<void>((done) => child.once('exit', () => done()))
  const ready = await untilReady(child)
  const ask = asking(child)
  return {
    ...{ url: ready.url, chainId: ready.chainId, dataDir, accounts: devnetAccounts(dataDir) },
    ...{ pid: child.pid ?? 0, exited },
    figures: () => ask({ method: 'figures' }),
    async advance(seconds) {
      await ask({ method: 'advance', seconds })
    },
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

function argumentsOf(options: DevnetOptions): string[] {
  const flags: readonly [string, unknown][] = [
    ['--data', resolve(options.dataDir)],
    ['--port', options.port],
    ['--block-seconds', options.blockTimeSeconds],
    ['--chain-id', options.chainId],
    ['--engine', options.engine],
    ['--dump-blocks', options.dumpBlocksMin],
  ]
  return flags.flatMap(([flag, value]) => (value === undefined ? [] : [flag, String(value)]))
}

function untilReady(child: ChildProcess): Promise<{ url: string; chainId: number }> {
  return new Promise((resolveReady, reject) => {
    const output: string[] = []
    child.stderr?.on('data', (part: Buffer) => {
      output.push(part.toString())
      if (output.length > OUTPUT_PARTS_MAX) output.shift()
    })
    child.on('message', (message: DevnetMessage) => {
      if (message.kind === 'ready') resolveReady(message)
      if (message.kind === 'failed') reject(new NodeError(message.code, message.message))
    })
    child.once('error', (cause) =>
      reject(new NodeError('DEVNET_ENGINE_FAILED', 'the ledger did not start', { cause })),
    )
    child.once('exit', (exitCode) =>
      reject(
        new NodeError('DEVNET_ENGINE_FAILED', `the ledger ended: ${output.join('').slice(-500)}`, {
          details: { exitCode },
        }),
      ),
    )
  })
}

type Question<T = DevnetRequest> = T extends DevnetRequest ? Omit<T, 'id'> : never

function asking(child: ChildProcess): (question: Question) => Promise<LedgerFigures> {
  const waiting = new Map<number, PromiseWithResolvers<LedgerFigures>>()
  let nextId = 1
  child.on('message', (message: DevnetMessage) => {
    if (message.kind !== 'answer' && message.kind !== 'refusal') return
    const asked = waiting.get(message.id)
    waiting.delete(message.id)
    if (message.kind === 'answer') asked?.resolve(message.figures)
    else asked?.reject(new NodeError('DEVNET_RPC', message.message))
  })
  child.once('exit', () => {
    const gone = new NodeError('DEVNET_STOPPED', 'the ledger’s process is gone')
    for (const asked of waiting.values()) asked.reject(gone)
  })
  return (question) => {
    const id = nextId++
    const asked = Promise.withResolvers<LedgerFigures>()
    waiting.set(id, asked)
    child.send({ id, ...question }, (error) => {
      if (error) asked.reject(new NodeError('DEVNET_STOPPED', 'the ledger’s process is gone'))
    })
    return asked.promise
  }
}
