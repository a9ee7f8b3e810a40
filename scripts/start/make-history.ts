/**
 * History to keep where nobody gives any: blocks of a ledger of its own that carry what busy chains carry, batches of other
 * chains' transactions as call data. Everything about it is real: it is mined, exported and checked as any history is.
 */
import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { JsonRpcProvider, Wallet } from 'ethers'
import { toHex } from '../../agent/base/bytes.ts'
import { spawnDevnet } from '../devnet/spawn-devnet.ts'
import { exportLedger } from '../history/export-ledger.ts'

/** What a transaction carries; more than a node takes from a stranger is 128 KiB. */
const BATCH_BYTES = 96 * 1024
/** As many as fit into a block of 30 million gas. */
const BATCHES_PER_BLOCK = 6
/** In all, 4.5 MiB: enough that what a volume keeps besides does not count. Whole blocks. */
const BATCHES = 8 * BATCHES_PER_BLOCK
const GAS = 4_800_000n
/** Blocks on top of one that make it final. */
const FINAL_BLOCKS = 4
const FEE_WEI = 10n ** 11n
/** Another chain than the grid's, so that nobody takes one for the other. */
const CHAIN_ID = 31_338
/** Blocks come when they are asked for. */
const NEVER_SECONDS = 86_400

/**
 * Makes it. A directory that an ended start left is replaced.
 *
 * @param ledgerDir - Where the ledger lives meanwhile; gone afterwards.
 * @param directory - Gets the files.
 */
export async function makeHistory(ledgerDir: string, directory: string): Promise<void> {
  rmSync(ledgerDir, { recursive: true, force: true })
  const ledger = await spawnDevnet({
    ...{ dataDir: ledgerDir, chainId: CHAIN_ID, blockTimeSeconds: NEVER_SECONDS },
  })
  const provider = new JsonRpcProvider(ledger.url, CHAIN_ID, { staticNetwork: true })
  try {
    const wallet = new Wallet(ledger.accounts[0]?.privateKey ?? '')
    for (let first = 0; first < BATCHES; first += BATCHES_PER_BLOCK) {
      const sent = Array.from({ length: BATCHES_PER_BLOCK }, async (_, index) => {
        const nonce = first + index
        const raw = await wallet.signTransaction({
          ...{ to: wallet.address, data: batch(nonce), nonce, gasLimit: GAS, type: 2 },
          ...{ chainId: CHAIN_ID, maxFeePerGas: FEE_WEI, maxPriorityFeePerGas: 1n },
        })
        await provider.send('eth_sendRawTransaction', [raw])
      })
      await Promise.all(sent)
      await ledger.advance(1)
    }
    const { height } = await ledger.figures()
    // An export takes only what is final.
    for (let block = 0; block < FINAL_BLOCKS; block++) await ledger.advance(1)
    await exportLedger({ url: ledger.url, from: 0, to: height, file: directory })
  } finally {
    provider.destroy()
    await ledger.stop()
    rmSync(ledgerDir, { recursive: true, force: true })
  }
}

/** Records as transfers are: a random hash and account, then fields that repeat. */
function batch(number: number): string {
  const parts: string[] = ['0x']
  for (let bytes = 0; bytes < BATCH_BYTES; bytes += 96) {
    const hash = createHash('sha256').update(`${number} ${bytes}`).digest()
    parts.push(toHex(hash), toHex(new Uint8Array(44)), toHex(hash.subarray(0, 20)))
  }
  return parts.join('')
}
