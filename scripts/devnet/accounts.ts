/**
 * The accounts of a local ledger: made from a mnemonic that is drawn once and kept in the data directory, so that no two
 * ledgers share keys and none has the well-known ones that every other tool knows.
 */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { HDNodeWallet, Mnemonic, randomBytes } from 'ethers'
import { syncDirectory } from './journal.ts'

const MNEMONIC_FILE = 'mnemonic'
const ENTROPY_BYTES = 16
const PATH = "m/44'/60'/0'/0"

/** Accounts that hold ether from the first block on. */
export const ACCOUNTS = 20
/** What each of them holds at first, in wei: 10,000 ether. */
export const BALANCE_WEI = 10_000n * 10n ** 18n

/** A funded account of the local ledger. */
export interface DevnetAccount {
  /** Address with checksum. */
  readonly address: string
  /** `0x` and 64 digits. */
  readonly privateKey: string
}

/**
 * Reads the accounts of a ledger, drawing the mnemonic first where there is none.
 *
 * @param dataDir - Data directory of the ledger; must exist.
 * @returns `[ACCOUNTS]`, always the same for one directory. The file is readable by its owner only.
 * @example
 * const [deployer] = devnetAccounts(dataDir)
 */
export function devnetAccounts(dataDir: string): readonly DevnetAccount[] {
  const path = join(dataDir, MNEMONIC_FILE)
  if (!existsSync(path)) drawMnemonic(path, dataDir)
  const phrase = readFileSync(path, 'utf8').trim()
  const root = HDNodeWallet.fromMnemonic(Mnemonic.fromPhrase(phrase), PATH)
  return Array.from({ length: ACCOUNTS }, (_, index) => {
    const wallet = root.deriveChild(index)
    return { address: wallet.address, privateKey: wallet.privateKey }
  })
}

function drawMnemonic(path: string, dataDir: string): void {
  const phrase = Mnemonic.fromEntropy(randomBytes(ENTROPY_BYTES)).phrase
  const file = openSync(path, 'wx', 0o600)
  try {
    writeSync(file, `${phrase}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  syncDirectory(dataDir)
}
