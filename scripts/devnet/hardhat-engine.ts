/**
 * Hardhat's node as the engine below the local ledger, where anvil has no binary: `hardhat-engine.ts PORT GENESIS_FILE`.
 *
 * It cannot dump its state, so a restart replays the whole journal; and it takes every block for final at once. Everything
 * else is as with anvil. Accounts come from the data directory, which holds the genesis file too.
 */
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { HardhatUserConfig } from 'hardhat/config'
import { createHardhatRuntimeEnvironment } from 'hardhat/hre'
import { BALANCE_WEI, devnetAccounts } from './accounts.ts'

/** The engine looks this often whether its supervisor still lives. */
const PARENT_POLL_MS = 500
const MS = 1000

interface Genesis {
  readonly config: { readonly chainId: number }
  readonly timestamp: string
  readonly gasLimit: string
}

const [port, genesisFile = ''] = process.argv.slice(2)
const genesis = JSON.parse(readFileSync(genesisFile, 'utf8')) as Genesis
const parent = process.ppid
setInterval(() => {
  if (process.ppid !== parent) process.exit(1)
}, PARENT_POLL_MS)

const config: HardhatUserConfig = {
  networks: {
    ledger: {
      type: 'edr-simulated',
      chainType: 'l1',
      chainId: genesis.config.chainId,
      hardfork: 'prague',
      initialDate: new Date(Number(genesis.timestamp) * MS),
      blockGasLimit: Number(genesis.gasLimit),
      accounts: devnetAccounts(dirname(genesisFile)).map(({ privateKey }) => ({
        privateKey,
        balance: BALANCE_WEI,
      })),
      mining: { auto: false, interval: 0, mempool: { order: 'fifo' } },
      throwOnTransactionFailures: false,
    },
  },
}
// It looks for a project above its root, and the data directory is none.
const hre = await createHardhatRuntimeEnvironment(config, {}, import.meta.dirname)
const server = await hre.network.createServer('ledger', '127.0.0.1', Number(port))
await server.listen()
