/**
 * The supervised ledger: one engine, one journal, one queue through which everything that changes the chain passes.
 *
 * What changes the chain is written down durably before the engine hears of it, so the engine may die at any moment: it is
 * started again from a dump and the journal, and comes back with the same blocks, hash for hash. The chain is the journal;
 * the engine only computes it.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { keccak256 } from 'ethers'
import { fromHex, toHex } from '../../agent/base/bytes.ts'
import { isNodeError, NodeError } from '../../agent/base/errors.ts'
import { writeDurably } from './durable-file.ts'
import { type Engine, type EngineKind, startEngine } from './engine.ts'
import { dumpPath, journalPath, readRestorePlan, removeOldGenerations } from './generations.ts'
import { encodeRecord, Journal, type JournalRecord } from './journal.ts'
import type { RpcClient } from './rpc.ts'

/** A dump each so many blocks at least; replaying a block takes about a millisecond. */
const DUMP_BLOCKS_MIN = 300
/** A dump holds the whole chain, so dumps become rarer as it grows: one each twentieth of its height. */
const DUMP_HEIGHT_SHARE = 20
/** Starts of the engine in a row that may fail before the supervisor gives up. */
const STARTS_MAX = 5
const RESTART_MS_FIRST = 100

/** What a ledger is made with. */
export interface LedgerSettings {
  readonly dataDir: string
  readonly engine: EngineKind
  readonly chainId: number
  readonly genesisFile: string
  readonly genesisTimestamp: number
  /** Blocks between dumps at least; only tests change it. */
  readonly dumpBlocksMin?: number
}

/** What is known of the ledger now. */
export interface LedgerFigures {
  readonly height: number
  readonly hash: string
  readonly timestamp: number
  /** Times the engine was started again after it died. */
  readonly restarts: number
  /** Block of the newest state dump, 0 if none. */
  readonly dumpedBlock: number
  readonly enginePid: number | undefined
}

interface Head {
  number: number
  hash: string
  timestamp: number
}

/** See the file's comment. Made by {@link Ledger.open}. */
export class Ledger {
  readonly #settings: LedgerSettings
  readonly #pending = new Map<string, Uint8Array>()
  #journal: Journal
  #engine: Engine | undefined
  #available = Promise.withResolvers<RpcClient>()
  #head: Head
  #restarts = 0
  #dumpedBlock = 0
  /** Block at which a dump was tried last. */
  #triedBlock = 0
  #queue: Promise<unknown> = Promise.resolve()
  #stopping = false
  #failure = Promise.withResolvers<never>()

  private constructor(settings: LedgerSettings, journal: Journal) {
    this.#settings = settings
    this.#journal = journal
    this.#head = { number: 0, hash: '', timestamp: settings.genesisTimestamp }
    this.#available.promise.catch(() => undefined)
    this.#failure.promise.catch(() => undefined)
  }

  /**
   * Opens the ledger of a data directory and restores it.
   *
   * @param settings - What it is made with; the same at every start.
   * @returns The ledger, at its head.
   * @throws NodeError `DEVNET_DIVERGED`, `DEVNET_JOURNAL_CORRUPT`, `DEVNET_ENGINE_FAILED`.
   */
  static async open(settings: LedgerSettings): Promise<Ledger> {
    const newest = readRestorePlan(settings.dataDir).segments.at(-1)
    const { journal } = Journal.open(journalPath(settings.dataDir, newest?.firstBlock ?? 1))
    const ledger = new Ledger(settings, journal)
    try {
      await ledger.#restore()
    } catch (caught) {
      await ledger.stop()
      throw caught
    }
    return ledger
  }

  /** Rejects if the engine cannot be kept alive; never resolves. */
  get failure(): Promise<never> {
    return this.#failure.promise
  }

  get figures(): LedgerFigures {
    return {
      height: this.#head.number,
      hash: this.#head.hash,
      timestamp: this.#head.timestamp,
      restarts: this.#restarts,
      dumpedBlock: this.#dumpedBlock,
      enginePid: this.#engine?.pid,
    }
  }

  /** The engine's client, once it is up and at the head. */
  reader(): Promise<RpcClient> {
    return this.#available.promise
  }

  /**
   * Takes a signed transaction: durable first, then handed to the engine.
   *
   * @param raw - The transaction's bytes.
   * @returns Its hash.
   * @throws NodeError `DEVNET_RPC` if the engine refuses it.
   */
  send(raw: Uint8Array): Promise<string> {
    return this.#serially(async () => {
      await this.#journal.appendDurably({ kind: 'transaction', raw })
      return await this.#surviving(
        (rpc) => submit(rpc, raw, this.#pending),
        // Replay has offered it to the new engine already; ask what became of it.
        async (rpc) => {
          const hash = keccak256(raw)
          const found = await rpc.call('eth_getTransactionByHash', [hash])
          return found ? hash : await submit(rpc, raw, this.#pending)
        },
      )
    })
  }

  /**
   * Mines the next block.
   *
   * @param timestamp - Its time in seconds; raised to one more than the block before where it is not later.
   * @returns Its number.
   */
  mine(timestamp: number): Promise<number> {
    return this.#serially(async () => {
      const block = {
        number: this.#head.number + 1,
        timestamp: Math.max(timestamp, this.#head.timestamp + 1),
      }
      await this.#journal.appendDurably({ kind: 'block', ...block })
      await this.#surviving(
        (rpc) => this.#applyBlock(rpc, block, undefined),
        // Replay has mined it.
        () => Promise.resolve(),
      )
      await this.#dumpIfDue()
      return block.number
    })
  }

  /** Ends the engine and closes the files. Nothing needs to be saved: the journal holds it. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#available.reject(new NodeError('DEVNET_STOPPED', 'the ledger is stopping'))
    await this.#queue.catch(() => undefined)
    await this.#engine?.kill()
    this.#engine = undefined
    this.#journal.close()
  }

  #serially<T>(task: () => Promise<T>): Promise<T> {
    const run = this.#queue.then(() => {
      if (this.#stopping) throw new NodeError('DEVNET_STOPPED', 'the ledger is stopping')
      return task()
    })
    this.#queue = run.catch(() => undefined)
    return run
  }

  /** Runs `first`; if the engine dies underneath, restores it and runs `afterwards` instead. */
  async #surviving<T>(
    first: (rpc: RpcClient) => Promise<T>,
    afterwards: (rpc: RpcClient) => Promise<T>,
  ): Promise<T> {
    const engine = this.#engine
    let step = first
    if (engine !== undefined) {
      try {
        return await step(engine.rpc)
      } catch (caught) {
        if (!isNodeError(caught, 'DEVNET_UNREACHABLE')) throw caught
      }
    }
    step = afterwards
    await this.#revive(engine)
    return await step(await this.reader())
  }

  /** Starts a new engine in place of `dead`, unless that was done meanwhile. */
  async #revive(dead: Engine | undefined): Promise<void> {
    if (this.#engine !== dead || this.#stopping) return
    this.#closeGate()
    await dead?.kill()
    this.#restarts++
    for (let start = 1; ; start++) {
      try {
        await this.#restore()
        return
      } catch (caught) {
        if (
          start < STARTS_MAX &&
          isNodeError(caught, 'DEVNET_ENGINE_FAILED', 'DEVNET_UNREACHABLE')
        ) {
          await sleep(RESTART_MS_FIRST * 2 ** start)
          continue
        }
        this.#available.reject(caught)
        this.#failure.reject(caught)
        throw caught
      }
    }
  }

  #closeGate(): void {
    this.#engine = undefined
    this.#available = Promise.withResolvers<RpcClient>()
    this.#available.promise.catch(() => undefined)
  }

  /** Starts an engine from the newest dump and replays the journal on it; then it is the one that all are served by. */
  async #restore(): Promise<void> {
    const { dump, segments } = readRestorePlan(this.#settings.dataDir)
    let engine = await this.#startFrom(dump)
    try {
      for (const { firstBlock, records } of segments) {
        if (firstBlock > this.#dumpedBlock + 1) engine = await this.#startAnew(engine)
        this.#pending.clear()
        await this.#replay(engine.rpc, records)
      }
    } catch (caught) {
      await engine.kill()
      throw caught
    }
    this.#serve(engine)
  }

  /** Starts an engine from a dump, or from the genesis. */
  async #startFrom(dump: { block: number; json: Uint8Array } | undefined): Promise<Engine> {
    const { dataDir, engine: kind, chainId, genesisFile, genesisTimestamp } = this.#settings
    const stateFile = dump && join(dataDir, 'load.json')
    if (dump && stateFile) await writeDurably(stateFile, dump.json, 0o600)
    const engine = await startEngine({
      ...{ kind, dataDir, chainId, genesisFile, genesisTimestamp, stateFile },
    })
    if (stateFile !== undefined) rmSync(stateFile)
    this.#dumpedBlock = dump?.block ?? 0
    try {
      this.#head = await readHead(engine.rpc)
      if (this.#head.number !== this.#dumpedBlock) {
        throw new NodeError('DEVNET_DIVERGED', `the dump of block ${dump?.block} gave another`)
      }
      if (dump !== undefined) await checkGenesis(engine.rpc)
    } catch (caught) {
      await engine.kill()
      throw caught
    }
    return engine
  }

  /** Does again what was done between two journals: the rest is computed by an engine that was started from a dump. */
  async #startAnew(engine: Engine): Promise<Engine> {
    const block = this.#head.number
    const bytes = await dumpOf(engine.rpc)
    await writeDurably(dumpPath(this.#settings.dataDir, block), bytes, 0o600)
    await engine.kill()
    return await this.#startFrom({ block, json: gunzipSync(bytes) })
  }

  #serve(engine: Engine): void {
    this.#engine = engine
    // Whoever waits gets it, and whoever asks from now on.
    this.#available.resolve(engine.rpc)
    this.#available = Promise.withResolvers<RpcClient>()
    this.#available.resolve(engine.rpc)
    void engine.exited.then(() => {
      if (this.#engine === engine && !this.#stopping) {
        this.#serially(() => this.#revive(engine)).catch(() => undefined)
      }
    })
  }

  async #replay(rpc: RpcClient, records: readonly JournalRecord[]): Promise<void> {
    const hashes = new Map(
      records.flatMap((record) => (record.kind === 'mined' ? [[record.number, record.hash]] : [])),
    )
    for (const record of records) {
      if (record.kind === 'transaction') {
        // A refusal is repeated as it was.
        await submit(rpc, record.raw, this.#pending).catch(ignoreRefusal)
      } else if (record.kind === 'block') {
        await this.#applyBlock(rpc, record, hashes.get(record.number))
      }
    }
  }

  async #applyBlock(
    rpc: RpcClient,
    block: { number: number; timestamp: number },
    expectedHash: Uint8Array | undefined,
  ): Promise<void> {
    const { timestamp } = block
    await rpc.call('evm_mine', this.#settings.engine === 'anvil' ? [{ timestamp }] : [timestamp])
    const { transactions, ...head } = await readHead(rpc)
    const diverged =
      head.number !== block.number ||
      (expectedHash !== undefined && head.hash !== `0x${toHex(expectedHash)}`)
    if (diverged) {
      throw new NodeError(
        'DEVNET_DIVERGED',
        `block ${block.number} came out as ${head.number} ${head.hash}`,
      )
    }
    for (const hash of transactions) this.#pending.delete(hash)
    this.#head = head
    if (expectedHash === undefined) {
      this.#journal.append({ kind: 'mined', number: head.number, hash: fromHex(head.hash) })
    }
  }

  /**
   * Dumps the state where it is time, begins a new journal, and goes on with an engine that was started from the dump: so
   * the blocks from here on are what every later restore will compute. Readers are served by the old one until then.
   */
  async #dumpIfDue(): Promise<void> {
    const height = this.#head.number
    const due = Math.max(
      this.#settings.dumpBlocksMin ?? DUMP_BLOCKS_MIN,
      Math.ceil(height / DUMP_HEIGHT_SHARE),
    )
    const engine = this.#engine
    if (engine?.kind !== 'anvil' || height - Math.max(this.#dumpedBlock, this.#triedBlock) < due) {
      return
    }
    this.#triedBlock = height
    try {
      await writeDurably(dumpPath(this.#settings.dataDir, height), await dumpOf(engine.rpc), 0o600)
      await this.#beginJournal(engine.rpc, height + 1)
    } catch {
      // The engine died, or the disk is full: what is there still restores everything, and the next try comes later.
      return
    }
    removeOldGenerations(this.#settings.dataDir)
    try {
      await this.#restore()
      await engine.kill()
    } catch {
      await this.#revive(engine)
    }
  }

  /** A dump does not hold what waits to be mined, so the new journal begins with it, and is there whole or not at all. */
  async #beginJournal(rpc: RpcClient, firstBlock: number): Promise<void> {
    const waiting: Uint8Array[] = []
    for (const [hash, raw] of this.#pending) {
      if (await rpc.call('eth_getTransactionByHash', [hash])) waiting.push(raw)
    }
    const path = journalPath(this.#settings.dataDir, firstBlock)
    const records = waiting.map((raw) => encodeRecord({ kind: 'transaction', raw }))
    try {
      await writeDurably(path, Buffer.concat(records), 0o600)
      const { journal } = Journal.open(path)
      this.#journal.close()
      this.#journal = journal
    } catch (caught) {
      // What goes on in the old journal must not stand before a newer one.
      rmSync(path, { force: true })
      throw caught
    }
  }
}

/** The state as the engine dumps it, gzip; with older states, because agents read a few blocks back. */
async function dumpOf(rpc: RpcClient): Promise<Uint8Array> {
  return fromHex(String(await rpc.call('anvil_dumpState', [true])))
}

async function submit(
  rpc: RpcClient,
  raw: Uint8Array,
  pending: Map<string, Uint8Array>,
): Promise<string> {
  const hash = String(await rpc.call('eth_sendRawTransaction', [`0x${toHex(raw)}`]))
  pending.set(hash, raw)
  return hash
}

function ignoreRefusal(caught: unknown): void {
  if (!isNodeError(caught, 'DEVNET_RPC')) throw caught
}

/** Replay compares the blocks after a dump; of those in it, block 0 is the one that the engine may have made up itself. */
async function checkGenesis(rpc: RpcClient): Promise<void> {
  const read = (tag: string) => rpc.call('eth_getBlockByNumber', [tag, false])
  const genesis = (await read('0x0')) as { hash: string } | null
  const first = (await read('0x1')) as { parentHash: string } | null
  if (genesis !== null && genesis.hash === first?.parentHash) return
  throw new NodeError('DEVNET_DIVERGED', `block 0 came out as ${genesis?.hash}`, {
    details: { expected: first?.parentHash },
  })
}

async function readHead(rpc: RpcClient): Promise<Head & { transactions: readonly string[] }> {
  const block = (await rpc.call('eth_getBlockByNumber', ['latest', false])) as {
    number: string
    hash: string
    timestamp: string
    transactions: readonly string[]
  }
  return {
    number: Number(block.number),
    hash: block.hash,
    timestamp: Number(block.timestamp),
    transactions: block.transactions,
  }
}
