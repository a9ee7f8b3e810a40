/**
 * The key that signs: from an encrypted keystore file (web3 secret storage, version 3, which every wallet reads), or from
 * the environment for machines. Never from an argument, which other users of a machine can see.
 */
import { scrypt as nodeScrypt, scryptSync as nodeScryptSync } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import {
  decryptKeystoreJson,
  encryptKeystoreJson,
  isKeystoreJson,
  scrypt,
  scryptSync,
  Wallet,
} from 'ethers'
import { tryLockFile } from '../../agent/adapters/kernel/file-lock.ts'
import { fromHex } from '../../agent/base/bytes.ts'
import { accountProblem, checksummedAccount } from '../../agent/base/checksummed-account.ts'
import { NodeError } from '../../agent/base/errors.ts'
import { requiredSetting, type Settings } from './settings.ts'
import type { Terminal } from './terminal.ts'

/** Memory that scrypt may take: files of other wallets use up to N = 2^18, r = 8. */
const SCRYPT_BYTES_MAX = 512 * 1024 * 1024
/** scrypt's cost: what wallets use, about a third of a second. */
const SCRYPT_COST = { N: 131_072, r: 8, p: 1 }
const OPEN_TO_OTHERS = 0o077

type Environment = Readonly<Record<string, string | undefined>>

// OpenSSL's scrypt takes a tenth of the time of the one in JavaScript that ethers brings along.
const deriveWithNode = promisify(
  (
    password: Uint8Array,
    salt: Uint8Array,
    length: number,
    options: { N: number; r: number; p: number; maxmem: number },
    done: (error: Error | null, key: Buffer) => void,
  ) => nodeScrypt(password, salt, length, options, done),
)
scrypt.register(async (password, salt, N, r, p, length) => {
  const options = { N, r, p, maxmem: SCRYPT_BYTES_MAX }
  return new Uint8Array(await deriveWithNode(password, salt, length, options))
})
scryptSync.register((password, salt, N, r, p, length) => {
  return new Uint8Array(
    nodeScryptSync(password, salt, length, { N, r, p, maxmem: SCRYPT_BYTES_MAX }),
  )
})

/**
 * The wallet that signs.
 *
 * @param settings - Which keystore, and where its password may be.
 * @param environment - `VARVE_PRIVATE_KEY` is used instead of a keystore if set; `VARVE_PASSWORD` opens the keystore.
 * @param terminal - Asked for the password where it is nowhere else.
 * @returns The wallet.
 * @throws NodeError `SIGNER_MISSING`, `KEYSTORE_INVALID`, `KEYSTORE_OPEN`, `PASSWORD_MISSING`, `PASSWORD_WRONG`,
 *   `KEY_UNREADABLE`.
 */
export async function openWallet(
  settings: Settings,
  environment: Environment,
  terminal: Terminal,
): Promise<Wallet> {
  const bare = environment['VARVE_PRIVATE_KEY']
  if (bare) return walletOf(bare)
  const path = requiredSetting(settings, 'keystore')
  if (!existsSync(path)) throw new NodeError('SIGNER_MISSING', `there is no keystore at ${path}`)
  const json = readKeystore(path)
  const password = await readPassword(settings, environment, terminal, `Password of ${path}: `)
  try {
    const { privateKey } = await terminal.during(
      'opening the keystore',
      decryptKeystoreJson(json, password),
    )
    return new Wallet(privateKey)
  } catch (cause) {
    throw new NodeError('PASSWORD_WRONG', `the password does not open ${path}`, { cause })
  }
}

function walletOf(key: string): Wallet {
  try {
    const bytes = fromHex(key.trim())
    if (bytes.byteLength === 32) return new Wallet(`0x${Buffer.from(bytes).toString('hex')}`)
  } catch {
    // Said below, without the cause: ethers may quote what it was given.
  }
  throw new NodeError('KEY_UNREADABLE', 'a private key is 32 bytes in hexadecimal')
}

function readKeystore(path: string): string {
  const json = readFileSync(path, 'utf8')
  if (!isKeystoreJson(json)) {
    throw new NodeError('KEYSTORE_INVALID', `${path} is no encrypted keystore`)
  }
  return json
}

/** From the file, else the environment, else the person. */
async function readPassword(
  settings: Settings,
  environment: Environment,
  terminal: Terminal,
  question: string,
): Promise<string> {
  const file = settings.values.passwordFile?.value
  if (file !== undefined) return readSecretFile(file)
  return environment['VARVE_PASSWORD'] ?? (await terminal.password(question))
}

/** A secret in plain must be its owner's alone. */
function readSecretFile(path: string): string {
  if (!existsSync(path)) throw new NodeError('PASSWORD_MISSING', `there is no file ${path}`)
  if ((statSync(path).mode & OPEN_TO_OTHERS) !== 0) {
    throw new NodeError('KEYSTORE_OPEN', `other users can read ${path}`)
  }
  return readFileSync(path, 'utf8').replace(/\r?\n$/, '')
}

/**
 * Makes a keystore.
 *
 * @param settings - Where it goes; nothing is ever overwritten.
 * @param environment - May hold the password.
 * @param terminal - Asked for the password twice where it is nowhere else.
 * @param keyFile - File with a bare key to import; a fresh key is drawn without it.
 * @returns Address of the account, and the path of the file.
 * @throws NodeError `KEYSTORE_EXISTS`, `KEYSTORE_BUSY`, `PASSWORD_MISSING`, `KEY_UNREADABLE`, `KEYSTORE_OPEN`.
 */
export async function makeKeystore(
  settings: Settings,
  environment: Environment,
  terminal: Terminal,
  keyFile?: string,
): Promise<{ address: string; path: string }> {
  const path = requiredSetting(settings, 'keystore')
  const place = reserveKeystore(path)
  try {
    const { address, privateKey } =
      keyFile === undefined ? Wallet.createRandom() : walletOf(readSecretFile(keyFile))
    const password = await readNewPassword(settings, environment, terminal)
    const json = await terminal.during(
      'encrypting the key',
      encryptKeystoreJson({ address, privateKey }, password, { scrypt: SCRYPT_COST }),
    )
    place.publish(`${json}\n`)
    return { address, path }
  } finally {
    place.release()
  }
}

async function readNewPassword(
  settings: Settings,
  environment: Environment,
  terminal: Terminal,
): Promise<string> {
  const password = await readPassword(settings, environment, terminal, 'New password: ')
  if (password === '') throw new NodeError('PASSWORD_MISSING', 'an empty password protects nothing')
  const isTyped = settings.values.passwordFile === undefined && !environment['VARVE_PASSWORD']
  if (isTyped && (await terminal.password('Again: ')) !== password) {
    throw new NodeError('PASSWORD_WRONG', 'the two passwords differ')
  }
  return password
}

/**
 * Reserves the path of a new keystore for this process, with a locked file beside it that becomes the keystore, whole or
 * not at all. What a killed process left of one is taken over.
 */
function reserveKeystore(path: string): { publish(json: string): void; release(): void } {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const draft = `${path}.new`
  const fd = openSync(draft, 'a', 0o600)
  if (!tryLockFile(fd)) {
    closeSync(fd)
    throw new NodeError('KEYSTORE_BUSY', `another process makes ${path}`)
  }
  const release = () => {
    rmSync(draft, { force: true })
    closeSync(fd)
  }
  // Only now: whoever had the draft before may just have made it the keystore.
  if (existsSync(path)) {
    release()
    throw new NodeError('KEYSTORE_EXISTS', `${path} is there already`)
  }
  return {
    publish(json) {
      fchmodSync(fd, 0o600)
      ftruncateSync(fd, 0)
      writeSync(fd, json)
      fsyncSync(fd)
      linkSync(draft, path)
      const folder = openSync(dirname(path), 'r')
      fsyncSync(folder)
      closeSync(folder)
    },
    release,
  }
}

/**
 * Address of a keystore, which it shows without its password.
 *
 * @param settings - Which keystore.
 * @returns Address, and the path of the file.
 * @throws NodeError `KEYSTORE_MISSING`, `KEYSTORE_INVALID`.
 */
export function showKeystore(settings: Settings): { address: string; path: string } {
  const path = requiredSetting(settings, 'keystore')
  if (!existsSync(path)) throw new NodeError('KEYSTORE_MISSING', `there is no keystore at ${path}`)
  const { address } = JSON.parse(readKeystore(path)) as { address?: unknown }
  const named = `0x${String(address).replace(/^0x/, '')}`
  if (accountProblem(named.toLowerCase()) !== undefined) {
    throw new NodeError('KEYSTORE_INVALID', `${path} does not name its account`)
  }
  return { address: checksummedAccount(named), path }
}

/**
 * The account whose key would sign, without opening anything.
 *
 * @param settings - Which keystore.
 * @param environment - `VARVE_PRIVATE_KEY` is used instead of a keystore if set.
 * @returns Its address.
 * @throws NodeError `SIGNER_MISSING`, `KEYSTORE_INVALID`, `KEY_UNREADABLE`.
 */
export function ownAccount(settings: Settings, environment: Environment): string {
  const bare = environment['VARVE_PRIVATE_KEY']
  if (bare) return walletOf(bare).address
  const path = requiredSetting(settings, 'keystore')
  if (!existsSync(path)) throw new NodeError('SIGNER_MISSING', `there is no keystore at ${path}`)
  return showKeystore(settings).address
}
