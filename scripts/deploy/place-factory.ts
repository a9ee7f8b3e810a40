/** Puts the factory of a grid onto a chain, or finds it there. */
import {
  getCreateAddress,
  hexlify,
  keccak256,
  type Provider,
  type Signer,
  solidityPacked,
  Wallet,
} from 'ethers'
import { describeError, NodeError } from '../../agent/base/errors.ts'
import { untilAllMined } from './carry-out.ts'
import { factoryCode, factoryInit } from './factory.ts'

/** What making the factory takes, with room; it is 75 bytes. */
const GAS = 150_000n
/** The first transaction of an account that does nothing else cannot fail but for gas. */
const ATTEMPTS_MAX = 5

/**
 * Finds the factory or makes it. An account that follows from `secret` and `content` makes it with its first transaction,
 * so the address is the same however often this is begun.
 *
 * @param signer - Owner of the factory; pays for it, connected to the chain.
 * @param secret - 32 bytes that others do not know, or they could make another factory first.
 * @param content - Hash of everything that the grid is to be: another content is another grid.
 * @returns Address of the factory.
 * @throws NodeError `DEPLOY_FAILED`.
 */
export async function placeFactory(
  signer: Signer & { readonly provider: Provider },
  secret: string,
  content: string,
): Promise<string> {
  const { provider } = signer
  const owner = await signer.getAddress()
  const maker = new Wallet(keccak256(solidityPacked(['bytes32', 'bytes32'], [secret, content])))
  const connected = maker.connect(provider)
  await untilAllMined(signer)
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const nonce = await settled(connected)
    const found = await factoryOf(maker.address, nonce, owner, provider)
    if (found !== undefined) return found
    await fund(maker.address, signer)
    await sendUnlessSent(connected, nonce, owner)
  }
  throw new NodeError('DEPLOY_FAILED', `the factory cannot be made by ${maker.address}`)
}

async function settled(maker: Signer): Promise<number> {
  await untilAllMined(maker)
  return await maker.getNonce('latest')
}

async function factoryOf(
  maker: string,
  sent: number,
  owner: string,
  provider: Provider,
): Promise<string | undefined> {
  for (let nonce = 0; nonce < sent; nonce++) {
    const address = getCreateAddress({ from: maker, nonce })
    if (hexlify(await provider.getCode(address)) === factoryCode(owner)) return address
  }
  return undefined
}

async function fund(
  maker: string,
  signer: Signer & { readonly provider: Provider },
): Promise<void> {
  const { maxFeePerGas, gasPrice } = await signer.provider.getFeeData()
  const needed = GAS * 2n * (maxFeePerGas ?? gasPrice ?? 0n)
  if ((await signer.provider.getBalance(maker)) >= needed) return
  try {
    await signer.sendTransaction({ to: maker, value: needed })
  } catch (cause) {
    throw new NodeError('DEPLOY_FAILED', `the factory cannot be paid: ${describeError(cause)}`, {
      cause,
    })
  }
  await untilAllMined(signer)
}

async function sendUnlessSent(maker: Wallet, nonce: number, owner: string): Promise<void> {
  try {
    await maker.sendTransaction({ nonce, data: factoryInit(owner), gasLimit: GAS })
  } catch (cause) {
    if ((await maker.getNonce('pending')) > nonce) return
    throw new NodeError('DEPLOY_FAILED', `make the factory: ${describeError(cause)}`, { cause })
  }
}
