/**
 * What a kill leaves in Ignition's journal that would have it refuse to go on: a line without end, a contract or call
 * that it began with and of which it wrote down nothing more, and transactions that it was about to send.
 */
import { existsSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type EIP1193Provider, trackTransaction } from '@nomicfoundation/ignition-core'
import type { JsonRpcProvider, Wallet } from 'ethers'

/** How often and how many times it looks whether a transaction that waits was mined. */
const POLL_MS = 500
const POLLS = 240

/** A line of the journal, as far as it matters here. */
interface JournalMessage {
  readonly type: string
  readonly futureId?: string
  readonly networkInteractionId?: number
  readonly nonce?: number
  readonly networkInteraction?: { readonly id: number } & Call
}

/** What a transaction does; whoever deploys a contract names no receiver. */
interface Call {
  readonly to?: string
  readonly data: string
  readonly value: { readonly value: string }
}

/**
 * Brings the journal to a state from which Ignition can go on: cuts off what was only begun, sends what was about to be sent, and
 * notes the hash of what was sent.
 *
 * @param deploymentDir - Where the journal is; nothing is done if it is not there yet.
 * @param wallet - Account that deploys, connected to the chain.
 * @param chain - To look for transactions.
 * @param signing - What Ignition is given to reach the chain.
 * @throws Error - From the chain, if it refuses what was not sent.
 */
export async function mendInterrupted(
  deploymentDir: string,
  wallet: Wallet,
  chain: JsonRpcProvider,
  signing: EIP1193Provider,
): Promise<void> {
  for (const [nonce, call] of unnoted(deploymentDir)) {
    await sendUnlessSent(chain, wallet, nonce, call)
    const hash = await minedWith(chain, wallet.address, nonce)
    if (hash !== undefined) await trackTransaction(deploymentDir, hash, signing, 1)
  }
}

/** Nonces that were about to be used and for what, ascending, without those of which a hash is known. */
function unnoted(deploymentDir: string): [nonce: number, call: Call][] {
  const calls = new Map<string, Call>()
  const open = new Map<number, Call>()
  for (const line of usableLines(join(deploymentDir, 'journal.jsonl'))) {
    const { type, futureId, nonce, ...message } = JSON.parse(line) as JournalMessage
    const { networkInteraction: asked, networkInteractionId = asked?.id } = message
    const interaction = `${futureId}/${networkInteractionId}`
    if (type === 'NETWORK_INTERACTION_REQUEST' && asked) calls.set(interaction, asked)
    const call = calls.get(interaction)
    if (nonce === undefined || !call) continue
    if (type === 'TRANSACTION_PREPARE_SEND') open.set(nonce, call)
    if (type === 'TRANSACTION_SEND') open.delete(nonce)
  }
  return [...open].sort(([a], [b]) => a - b)
}

/** Lines of the journal, after what comes last was cut off if Ignition cannot go on from it: nothing was done for it yet. */
function usableLines(path: string): string[] {
  if (!existsSync(path)) return []
  const text = readFileSync(path, 'utf8')
  const lines = text.split('\n')
  while (lines.length > 1 && !isUsable(lines.at(-1) ?? '')) lines.pop()
  const kept = lines.join('\n')
  if (kept.length < text.length) truncateSync(path, Buffer.byteLength(kept))
  return lines.filter(Boolean)
}

function isUsable(lastLine: string): boolean {
  try {
    return !(JSON.parse(lastLine) as JournalMessage).type.endsWith('EXECUTION_STATE_INITIALIZE')
  } catch {
    return false
  }
}

/** Sends with the same nonce, so that it is done once, even if what the killed one sent arrives late. */
async function sendUnlessSent(
  chain: JsonRpcProvider,
  wallet: Wallet,
  nonce: number,
  { to, data, value }: Call,
): Promise<void> {
  const isSent = async () => (await chain.getTransactionCount(wallet.address, 'pending')) > nonce
  if (await isSent()) return
  const request = { nonce, data, value: BigInt(value.value), ...(to !== undefined && { to }) }
  try {
    await wallet.sendTransaction(request)
  } catch (refused) {
    if (!(await isSent())) throw refused
  }
}

/** Hash of the transaction of an account with a nonce, once it is mined; undefined if it is not in time. */
async function minedWith(
  chain: JsonRpcProvider,
  sender: string,
  nonce: number,
): Promise<string | undefined> {
  for (let poll = 0; (await chain.getTransactionCount(sender, 'latest')) <= nonce; poll++) {
    if (poll === POLLS) return undefined
    await sleep(POLL_MS)
  }
  let low = 0
  let high = await chain.getBlockNumber()
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if ((await chain.getTransactionCount(sender, middle)) > nonce) high = middle
    else low = middle + 1
  }
  const block = await chain.getBlock(low, true)
  return block?.prefetchedTransactions.find((one) => one.from === sender && one.nonce === nonce)
    ?.hash
}
