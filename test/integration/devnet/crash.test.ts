/**
 * The local ledger under SIGKILL of its engine and of its supervisor at random moments, while a client sends: whatever was
 * acknowledged is there afterwards, and every block that was ever seen comes back with the same hash.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { assert } from 'chai'
import { FetchRequest, getCreateAddress, JsonRpcProvider, toBeHex, Wallet } from 'ethers'
import { codeOf } from '../../../agent/base/errors.ts'
import { startDevnet } from '../../../scripts/devnet/devnet.ts'
import { type DevnetProcess, spawnDevnet } from '../../../scripts/devnet/spawn-devnet.ts'

const ROUNDS = Number(process.env['VARVE_DEVNET_KILLS'] ?? 6)
const RECIPIENT = `0x${'22'.repeat(20)}`
const OPTIONS = { blockTimeSeconds: 0.1, dumpBlocksMin: 10 }
/** Blocks behind the head at which agents still look. */
const STATES_BACK = 32

describe('local ledger', function () {
  this.timeout(60_000 + ROUNDS * 10_000)
  let dataDir: string
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'varve-devnet-'))
  })
  afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

  it(`loses no acknowledged transaction and changes no block in ${ROUNDS} kills of engine and supervisor`, async () => {
    let ledger = await spawnDevnet({ dataDir, ...OPTIONS })
    const client = new Client(ledger)
    // The genesis comes from another place than the blocks behind it, and a client rarely sees it as the head.
    await client.see(0)
    const seed = Math.floor(performance.timeOrigin) % 1_000_003
    const chance = lcg(seed)
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const sending = client.sendUntil(sleep(200 + chance(900)))
        await sleep(chance(900))
        if (round % 2 === 0) {
          const { enginePid } = await ledger.figures()
          if (enginePid !== undefined) process.kill(enginePid, 'SIGKILL')
          await sending
        } else {
          await ledger.kill()
          await sending
          ledger = await spawnDevnet({ dataDir, ...OPTIONS })
          assert.equal(ledger.url, client.url, 'a ledger keeps its port')
        }
        await client.check(`SEED=${seed} round ${round}`, round === ROUNDS - 1)
      }
      assert.isAbove(client.acknowledged.length, ROUNDS, 'the client was heard at all')
    } finally {
      await ledger.stop()
      client.close()
    }
  })

  it('comes back at the same head, with the states a few blocks back still readable', async () => {
    const first = await startDevnet({ dataDir, ...OPTIONS, blockTimeSeconds: 3600 })
    // One block past a dump.
    await mine(first, 41)
    await first.stop()
    const between = await startDevnet({ dataDir, ...OPTIONS, blockTimeSeconds: 3600 })
    await mine(between, 1)
    const before = between.figures()
    await between.stop()
    const second = await startDevnet({ dataDir, ...OPTIONS, blockTimeSeconds: 3600 })
    try {
      const { hash, height } = second.figures()
      assert.deepEqual({ hash, height }, { hash: before.hash, height: before.height })
      const provider = connect(second.url)
      const back = await provider.getBlock(height - STATES_BACK)
      const balance = await provider.send('eth_getBalance', [RECIPIENT, { blockHash: back?.hash }])
      assert.equal(balance, '0x0')
      assert.equal((await provider.getBlock('finalized'))?.number, height - 2)
      provider.destroy()
    } finally {
      await second.stop()
    }
  })

  it('computes the same blocks again whatever contracts read, over dumps and kills of the engine', async () => {
    // An engine that loaded a state counts every empty word that a contract reads as part of the state from then on; one
    // that made the contract itself does not. This contract reads the word that it is told.
    const init = '0x635f3554005f526004601cf3'
    const options = { ...OPTIONS, blockTimeSeconds: 3600 }
    let ledger = await startDevnet({ dataDir, ...options })
    const provider = connect(ledger.url)
    const wallet = new Wallet(ledger.accounts[0]?.privateKey ?? '', provider)
    let nonce = 0
    try {
      for (let life = 0; life < 4; life++) {
        await wallet.sendTransaction({ data: init, nonce: nonce++, gasLimit: 100_000n })
        await mine(ledger, 1)
        const reader = getCreateAddress({ from: wallet.address, nonce: nonce - 1 })
        assert.equal(await provider.getCode(reader), '0x5f355400')
        for (let block = 0; block < 14; block++) {
          const data = toBeHex(life * 100 + block + 1, 32)
          await wallet.sendTransaction({ to: reader, data, nonce: nonce++, gasLimit: 100_000n })
          await mine(ledger, 1)
        }
        const { height, hash, enginePid, dumpedBlock } = ledger.figures()
        assert.isAbove(dumpedBlock, 0)
        if (life % 2 === 0) {
          process.kill(enginePid ?? 0, 'SIGKILL')
          assert.equal((await provider.getBlock(height))?.hash, hash, `life ${life}`)
        }
        await ledger.stop()
        ledger = await startDevnet({ dataDir, ...options })
        assert.equal(ledger.figures().hash, hash, `life ${life}`)
      }
    } finally {
      provider.destroy()
      await ledger.stop()
    }
  })

  it('comes back from the dump before when the newest is damaged, and from the genesis when both are', async () => {
    const options = { ...OPTIONS, blockTimeSeconds: 3600 }
    const dumps = () => readdirSync(dataDir).filter((name) => name.startsWith('state-'))
    let ledger = await startDevnet({ dataDir, ...options })
    for (const [blocks, damaged] of [
      [15, 1],
      [10, 1],
      [10, 2],
    ] as const) {
      await mine(ledger, blocks)
      const { hash, height } = ledger.figures()
      await ledger.stop()
      const newest = dumps().sort(
        (a, b) => Number(b.replace(/\D/g, '')) - Number(a.replace(/\D/g, '')),
      )
      const isGenesisThere = readdirSync(dataDir).includes('journal-1.log')
      for (const name of newest.slice(0, damaged)) truncateSync(join(dataDir, name), 100)
      const again = await startDevnet({ dataDir, ...options }).catch((caught: unknown) => caught)
      if (damaged === 2 && !isGenesisThere) {
        assert.equal(codeOf(again), 'DEVNET_JOURNAL_CORRUPT')
        return
      }
      if (again instanceof Error) throw again
      ledger = again as typeof ledger
      assert.deepInclude(ledger.figures(), { hash, height })
      assert.lengthOf(dumps(), newest.length)
    }
    await ledger.stop()
  })

  it('keeps every block from the genesis on over dumps of engines that came from dumps', async () => {
    const options = { ...OPTIONS, blockTimeSeconds: 3600 }
    const seen: (string | null | undefined)[] = []
    for (let generation = 0; generation < 4; generation++) {
      const ledger = await startDevnet({ dataDir, ...options })
      const provider = connect(ledger.url)
      try {
        await mine(ledger, 16)
        const { height } = ledger.figures()
        const hashes: (string | null | undefined)[] = []
        for (let number = 0; number <= height; number++) {
          const block = await provider.getBlock(number)
          if (number > 0) assert.equal(block?.parentHash, hashes[number - 1], `block ${number}`)
          hashes.push(block?.hash)
        }
        assert.deepEqual(hashes.slice(0, seen.length), seen, `generation ${generation}`)
        seen.splice(0, seen.length, ...hashes)
      } finally {
        provider.destroy()
        await ledger.stop()
      }
      for (const name of readdirSync(dataDir).filter((name) => name.startsWith('state-'))) {
        const dump = JSON.parse(gunzipSync(readFileSync(join(dataDir, name))).toString()) as {
          blocks: { header: { number: string } }[]
        }
        const numbers = dump.blocks.map(({ header }) => Number(header.number))
        const last = Number(name.replace(/\D/g, ''))
        assert.sameMembers(numbers, [...Array(last + 1).keys()], `${name} holds each block once`)
      }
    }
    assert.lengthOf(seen, 65)
  })

  it('keeps transactions that wait for their turn over a dump and a restart', async () => {
    const first = await startDevnet({ dataDir, ...OPTIONS, blockTimeSeconds: 3600 })
    const provider = connect(first.url)
    const wallet = new Wallet(first.accounts[0]?.privateKey ?? '', provider)
    const waiting = await wallet.sendTransaction({ to: RECIPIENT, value: 5n, nonce: 1 })
    await mine(first, 25)
    assert.isAbove(first.figures().dumpedBlock, 0)
    await first.stop()
    const second = await startDevnet({ dataDir, ...OPTIONS, blockTimeSeconds: 3600 })
    try {
      assert.isNull(await provider.getTransactionReceipt(waiting.hash))
      await wallet.sendTransaction({ to: RECIPIENT, value: 7n, nonce: 0 })
      await mine(second, 1)
      assert.equal((await provider.getTransactionReceipt(waiting.hash))?.status, 1)
      assert.equal(await provider.getBalance(RECIPIENT), 12n)
    } finally {
      provider.destroy()
      await second.stop()
    }
  })

  it('keeps the chain on Hardhat’s node too, where anvil has no binary', async () => {
    const options = { dataDir, engine: 'hardhat', blockTimeSeconds: 3600 } as const
    const first = await startDevnet(options)
    const provider = connect(first.url)
    const wallet = new Wallet(first.accounts[0]?.privateKey ?? '', provider)
    const sent = await wallet.sendTransaction({ to: RECIPIENT, value: 5n })
    await mine(first, 3)
    const before = first.figures()
    process.kill(before.enginePid ?? 0, 'SIGKILL')
    await wallet.sendTransaction({ to: RECIPIENT, value: 6n, nonce: 1, gasLimit: 21_000n })
    await mine(first, 1)
    assert.equal((await provider.getBlock(before.height))?.hash, before.hash)
    const killed = first.figures()
    assert.equal(killed.restarts, 1)
    await first.stop()
    const second = await startDevnet(options)
    try {
      assert.equal(second.figures().hash, killed.hash)
      assert.equal((await provider.getTransactionReceipt(sent.hash))?.status, 1)
      assert.equal(await provider.getBalance(RECIPIENT), 11n)
    } finally {
      provider.destroy()
      await second.stop()
    }
  })

  it('serves nothing that forges the chain, and keeps a second supervisor out', async () => {
    const devnet = await startDevnet({ dataDir, ...OPTIONS })
    const provider = connect(devnet.url)
    try {
      for (const method of [
        ...['anvil_setBalance', 'evm_mine', 'hardhat_reset', 'evm_increaseTime'],
        ...['eth_sendTransaction', 'eth_sendUnsignedTransaction', 'eth_sign', 'personal_sign'],
      ]) {
        const failure = await provider.send(method, []).then(
          () => 'served',
          (caught: unknown) => String(caught),
        )
        assert.include(failure, 'is not served', method)
      }
      const second = await startDevnet({ dataDir, ...OPTIONS }).then(
        () => 'started',
        (caught: { code: string }) => caught.code,
      )
      assert.equal(second, 'DEVNET_IN_USE')
    } finally {
      provider.destroy()
      await devnet.stop()
    }
  })

  it('answers batches in order and refuses garbage and giants without falling', async () => {
    const devnet = await startDevnet({ dataDir, ...OPTIONS })
    try {
      const post = async (body: string) => {
        const response = await fetch(devnet.url, { method: 'POST', body })
        return { status: response.status, body: (await response.json()) as unknown }
      }
      const call = (id: number, method: string, params: unknown[] = []) => ({
        ...{ jsonrpc: '2.0', id, method, params },
      })
      const mixed = await post(
        JSON.stringify([
          call(1, 'eth_chainId'),
          call(2, 'eth_sendRawTransaction', ['0x1234']),
          call(3, 'evm_mine'),
          7,
        ]),
      )
      const answers = mixed.body as { id: number; result?: string; error?: { code: number } }[]
      assert.deepEqual(
        answers.map((one) => [one.id, one.result ?? one.error?.code]),
        [
          [1, '0x7a69'],
          [2, -32602],
          [3, -32601],
          [null, -32600],
        ] as unknown as (string | number | undefined)[][],
      )
      assert.deepInclude((await post('{')).body as object, { id: null })
      assert.equal((await post(`"${'x'.repeat(3 * 1024 * 1024)}"`)).status, 413)
      assert.equal((await fetch(devnet.url)).status, 405)
      assert.equal(
        ((await post(JSON.stringify(call(9, 'eth_chainId')))).body as { id: number }).id,
        9,
      )
    } finally {
      await devnet.stop()
    }
  })
})

/** A client that sends transfers one after another, remembers what was acknowledged, and every block it saw. */
class Client {
  readonly url: string
  readonly acknowledged: string[] = []
  readonly #seen = new Map<number, string>()
  readonly #provider: JsonRpcProvider
  readonly #wallet: Wallet

  constructor(ledger: DevnetProcess) {
    this.url = ledger.url
    this.#provider = connect(ledger.url)
    this.#wallet = new Wallet(ledger.accounts[1]?.privateKey ?? '', this.#provider)
  }

  async sendUntil(end: Promise<unknown>): Promise<void> {
    let isOver = false
    void end.then(() => {
      isOver = true
    })
    while (!isOver) {
      try {
        const nonce = await this.#wallet.getNonce('pending')
        const sent = await this.#wallet.sendTransaction({
          ...{ to: RECIPIENT, value: 1n, nonce, gasLimit: 21_000n },
          ...{ maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 1n, type: 2 },
        })
        this.acknowledged.push(sent.hash)
        await this.see('latest')
      } catch {
        await sleep(10)
      }
    }
  }

  async see(which: number | 'latest'): Promise<void> {
    const block = await this.#provider.getBlock(which)
    if (block?.hash) this.#seen.set(block.number, block.hash)
  }

  async check(when: string, isLast: boolean): Promise<void> {
    for (let waitedMs = 0; ; waitedMs += 50) {
      const receipts = await Promise.all(
        this.acknowledged.slice(-50).map((hash) => this.#provider.getTransactionReceipt(hash)),
      )
      if (receipts.every((receipt) => receipt !== null)) break
      assert.isBelow(waitedMs, 5000, `${when}: an acknowledged transaction is not mined`)
      await sleep(50)
    }
    const all = this.acknowledged
    for (const hash of isLast ? all : all.slice(-100)) {
      const receipt = await this.#provider.getTransactionReceipt(hash)
      assert.equal(receipt?.status, 1, `${when}: ${hash} was acknowledged`)
    }
    for (const [number, hash] of this.#seen) {
      assert.equal((await this.#provider.getBlock(number))?.hash, hash, `${when}: block ${number}`)
    }
  }

  close(): void {
    this.#provider.destroy()
  }
}

function connect(url: string): JsonRpcProvider {
  const request = new FetchRequest(url)
  request.timeout = 20_000
  return new JsonRpcProvider(request, 31_337, { staticNetwork: true, cacheTimeout: -1 })
}

async function mine(devnet: { advance(seconds: number): Promise<void> }, blocks: number) {
  for (let block = 0; block < blocks; block++) await devnet.advance(1)
}

/** A small generator, so that a failure's seed repeats its moments as far as the machine allows. */
function lcg(seed: number): (bound: number) => number {
  let state = seed
  return (bound) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return state % bound
  }
}
