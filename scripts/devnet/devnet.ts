/**
 * A ledger for one machine that survives restarts and kills: files, accounts, supervised engine, block timer and door put
 * together. One data directory is one chain, with one chain id and one port for good, so that agents find it again.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { lockDirectory } from '../../agent/adapters/kernel/directory-lock.ts'
import { isNodeError, NodeError } from '../../agent/base/errors.ts'
import { BALANCE_WEI, type DevnetAccount, devnetAccounts } from './accounts.ts'
import { writeDurably } from './durable-file.ts'
import { availableEngine, type EngineKind } from './engine.ts'
import { Ledger, type LedgerFigures } from './ledger.ts'
import { serveLedger } from './proxy.ts'

/** Chain id of a local ledger unless told otherwise; the one that development tools expect. */
export const CHAIN_ID = 31_337
const BLOCK_SECONDS = 1
/** Gas of a block: Ethereum's before 2025, plenty for the contracts and small enough to mine at once. */
const GAS_LIMIT = 30_000_000
/** 2: from each dump on, blocks are those of an engine that loaded it. */
const FORMAT = 2
const MS = 1000

/** How to start a local ledger. */
export interface DevnetOptions {
  /** Directory of the chain; made if missing, mode 0700. */
  readonly dataDir: string
  /** TCP port on loopback; unless given the one of the last start, at first a free one. */
  readonly port?: number | undefined
  /** Seconds between blocks, 1 unless given. Below 1 the chain's clock runs ahead of the machine's. */
  readonly blockTimeSeconds?: number | undefined
  /** Chain id, 31337 unless given; fixed at the first start. */
  readonly chainId?: number | undefined
  /** anvil where there is a binary, unless given; fixed at the first start. */
  readonly engine?: EngineKind | undefined
  /** Blocks between state dumps at least; leave it unless you test the ledger itself. */
  readonly dumpBlocksMin?: number | undefined
}

/** A local ledger that runs. */
export interface Devnet {
  /** JSON-RPC over HTTP on loopback; the same at every start of one data directory. */
  readonly url: string
  readonly chainId: number
  readonly dataDir: string
  /** Funded accounts, the same at every start. */
  readonly accounts: readonly DevnetAccount[]
  /** Rejects if the ledger cannot be kept alive; never resolves. */
  readonly failure: Promise<never>
  figures(): LedgerFigures
  /** Moves the chain's clock forward for good and mines a block. @param seconds - `>= 0`. */
  advance(seconds: number): Promise<void>
  stop(): Promise<void>
}

interface LedgerFile {
  readonly format: number
  readonly chainId: number
  readonly engine: EngineKind
  readonly genesisTimestamp: number
  readonly port: number
}

/**
 * Starts the local ledger of a data directory, or makes a new one there.
 *
 * @param options - See {@link DevnetOptions}.
 * @returns The ledger, at its head, mining.
 * @throws NodeError `DEVNET_IN_USE`, `DEVNET_SETTINGS_CHANGED`, `DEVNET_DIVERGED`, `DEVNET_JOURNAL_CORRUPT`,
 *   `DEVNET_ENGINE_MISSING`, `DEVNET_ENGINE_FAILED`.
 * @example
 * const devnet = await startDevnet({ dataDir: '.varve/ledger' })
 * console.log(devnet.url, devnet.accounts[0]?.address)
 */
export async function startDevnet(options: DevnetOptions): Promise<Devnet> {
  const dataDir = resolve(options.dataDir)
  const unlock = lockLedger(dataDir)
  try {
    return await start(options, dataDir, unlock)
  } catch (caught) {
    unlock()
    throw caught
  }
}

/** Keeps two supervisors off one ledger. @throws NodeError `DEVNET_IN_USE`. */
export function lockLedger(dataDir: string): () => void {
  try {
    return lockDirectory(dataDir, 'ledger.lock')
  } catch (cause) {
    if (!isNodeError(cause, 'DISK_LOCKED')) throw cause
    throw new NodeError('DEVNET_IN_USE', `another process runs a ledger in ${dataDir}`, { cause })
  }
}

async function start(options: DevnetOptions, dataDir: string, unlock: () => void): Promise<Devnet> {
  const file = readLedgerFile(dataDir)
  const wanted = settle(options, file)
  const accounts = devnetAccounts(dataDir)
  const genesisFile = join(dataDir, 'genesis.json')
  if (!existsSync(genesisFile)) await writeDurably(genesisFile, genesisOf(wanted, accounts))
  if (file === undefined) await writeLedgerFile(dataDir, wanted)

  const { chainId, engine, genesisTimestamp } = wanted
  const ledger = await Ledger.open({
    ...{ dataDir, chainId, engine, genesisFile, genesisTimestamp },
    ...(options.dumpBlocksMin === undefined ? {} : { dumpBlocksMin: options.dumpBlocksMin }),
  })
  try {
    const { server, port } = await serveLedger(ledger, wanted.port)
    if (port !== file?.port) await writeLedgerFile(dataDir, { ...wanted, port })
    const timer = startBlocks(ledger, (options.blockTimeSeconds ?? BLOCK_SECONDS) * MS)
    let stopped: Promise<void> | undefined
    const stopAll = async () => {
      timer.stop()
      server.close()
      server.closeAllConnections()
      await ledger.stop()
      unlock()
    }
    return {
      url: `http://127.0.0.1:${port}`,
      ...{ chainId, dataDir, accounts, advance: timer.advance },
      failure: ledger.failure,
      figures: () => ledger.figures,
      stop() {
        stopped ??= stopAll()
        return stopped
      },
    }
  } catch (caught) {
    await ledger.stop()
    throw caught
  }
}

function readLedgerFile(dataDir: string): LedgerFile | undefined {
  const path = join(dataDir, 'ledger.json')
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as LedgerFile) : undefined
}

async function writeLedgerFile(dataDir: string, file: LedgerFile): Promise<void> {
  await writeDurably(join(dataDir, 'ledger.json'), `${JSON.stringify(file, null, 2)}\n`)
}

function settle(options: DevnetOptions, file: LedgerFile | undefined): LedgerFile {
  if (file === undefined) {
    return {
      format: FORMAT,
      chainId: options.chainId ?? CHAIN_ID,
      engine: options.engine ?? availableEngine(),
      genesisTimestamp: Math.floor(Date.now() / MS),
      port: options.port ?? 0,
    }
  }
  const isSame =
    file.format === FORMAT &&
    (options.chainId ?? file.chainId) === file.chainId &&
    (options.engine ?? file.engine) === file.engine
  if (!isSame) {
    throw new NodeError('DEVNET_SETTINGS_CHANGED', `another ledger lives in ${options.dataDir}`, {
      details: { ...file },
    })
  }
  return { ...file, port: options.port ?? file.port }
}

/** A genesis in geth's form: all forks from the start, ether for our accounts. */
function genesisOf(ledger: LedgerFile, accounts: readonly DevnetAccount[]): string {
  const balance = `0x${BALANCE_WEI.toString(16)}`
  const genesis = {
    config: {
      chainId: ledger.chainId,
      terminalTotalDifficulty: 0,
      ...{ shanghaiTime: 0, cancunTime: 0, pragueTime: 0 },
    },
    nonce: '0x0',
    timestamp: `0x${ledger.genesisTimestamp.toString(16)}`,
    extraData: '0x',
    gasLimit: `0x${GAS_LIMIT.toString(16)}`,
    difficulty: '0x0',
    mixHash: `0x${'00'.repeat(32)}`,
    coinbase: `0x${'00'.repeat(20)}`,
    alloc: Object.fromEntries(accounts.map(({ address }) => [address, { balance }])),
  }
  return `${JSON.stringify(genesis, null, 2)}\n`
}

/** Mines on a steady beat; a beat that comes late does not make the next ones hurry. */
function startBlocks(ledger: Ledger, blockMs: number) {
  // A chain whose clock was moved forward stays ahead by as much after a restart.
  let aheadSeconds = Math.max(0, ledger.figures.timestamp - Math.floor(Date.now() / MS))
  let isStopped = false
  let timer: NodeJS.Timeout | undefined
  const mine = () => ledger.mine(Math.floor(Date.now() / MS) + aheadSeconds)
  const beat = async () => {
    const startedAt = Date.now()
    // Failures of the engine are the ledger's to report; the beat goes on until it is stopped.
    await mine().catch(() => undefined)
    if (!isStopped) timer = setTimeout(beat, Math.max(0, blockMs - (Date.now() - startedAt)))
  }
  timer = setTimeout(beat, blockMs)
  return {
    async advance(seconds: number): Promise<void> {
      aheadSeconds += seconds
      await mine()
    },
    stop(): void {
      isStopped = true
      clearTimeout(timer)
    },
  }
}
