/**
 * Transactions of which Ignition wrote down that it sends them, but not that it did: whoever kills it in between would have
 * it refuse to go on, since the account has sent more than it knows of.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type EIP1193Provider, trackTransaction } from '@nomicfoundation/ignition-core'
import type { JsonRpcProvider } from 'ethers'

/** How often and how many times it looks whether a transaction that waits was mined. */
const POLL_MS = 500
const POLLS = 240

/** A line of the journal, as far as it matters here. */
interface JournalMessage {
  readonly type: string
  readonly futureId?: string
  readonly networkInteractionId?: number
  readonly nonce?: number
}

/**
 * Tells Ignition of what was sent without being written down.
 *
 * @param deploymentDir - Where the journal is; nothing is done if it is not there yet.
 * @param sender - Account that deploys.
 * @param chain - To look for transactions.
 * @param signing - What Ignition is given to reach the chain.
 */
export async function recordUnrecorded(
  deploymentDir: string,
  sender: string,
  chain: JsonRpcProvider,
  signing: EIP1193Provider,
): Promise<void> {
  for (const nonce of unrecordedNonces(deploymentDir)) {
    const hash = await sentWith(chain, sender, nonce)
    if (hash !== undefined) await trackTransaction(deploymentDir, hash, signing, 1)
  }
}

/** Nonces that were about to be used, ascending, without those of which a hash is known. */
function unrecordedNonces(deploymentDir: string): number[] {
  const path = join(deploymentDir, 'journal.jsonl')
  if (!existsSync(path)) return []
  const open = new Map<string, number>()
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (!line.endsWith('}')) continue
    const { type, futureId, networkInteractionId, nonce } = JSON.parse(line) as JournalMessage
    const interaction = `${futureId}/${networkInteractionId}`
    if (type === 'TRANSACTION_PREPARE_SEND' && nonce !== undefined) open.set(interaction, nonce)
    if (type === 'TRANSACTION_SEND') open.delete(interaction)
  }
  return [...open.values()].sort((a, b) => a - b)
}

/** Hash of the transaction of an account with a nonce, once it is mined; undefined if none was sent. */
async function sentWith(
  chain: JsonRpcProvider,
  sender: string,
  nonce: number,
): Promise<string | undefined> {
  if ((await chain.getTransactionCount(sender, 'pending')) <= nonce) return undefined
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
