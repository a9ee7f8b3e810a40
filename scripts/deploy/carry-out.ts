/**
 * Does on a chain what is missing, and nothing else. There is no journal: each step looks at the chain whether it is done, so
 * whoever is killed at any moment just begins again, and what is sent twice does nothing the second time.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Provider, Signer } from 'ethers'
import { describeError, NodeError } from '../../agent/base/errors.ts'

/** One transaction, and how to see on the chain that its end is reached. */
export interface Step {
  /** For people: `make Orders`. */
  readonly what: string
  readonly to: string
  readonly data: string
  isDone(): Promise<boolean>
}

/** Looks at the chain this often while it waits for a block. */
const POLL_MS = 150
/** A chain that mines none of our transactions for so long is not working, or its gas got dearer than we pay. */
const SILENCE_MS_MAX = 300_000
/** Room above what was estimated: other transactions may come between. In percent. */
const GAS_MARGIN_PERCENT = 25n
/** Rounds that end where they began; the next one would too. */
const IDLE_ROUNDS_MAX = 5

/**
 * Carries steps out until all of them are done.
 *
 * Each round sends whatever the chain would accept now and waits until it is mined; a step that needs another one first is
 * refused by the estimate and comes in a later round.
 *
 * @param steps - `[n]`, in an order in which they can be done.
 * @param signer - Pays and signs, connected to the chain.
 * @param say - Told how far it is.
 * @throws NodeError `DEPLOY_FAILED` with the chain's own reason.
 */
export async function carryOut(
  steps: readonly Step[],
  signer: Signer & { readonly provider: Provider },
  say: (what: string) => void,
): Promise<void> {
  let fewest = steps.length + 1
  for (let idle = 0; ; idle++) {
    await untilAllMined(signer)
    const open = await missing(steps)
    if (open.length === 0) return
    if (open.length < fewest) {
      say(`${steps.length - open.length} of ${steps.length} steps done`)
      fewest = open.length
      idle = 0
    }
    const refusal = await sendAll(open, signer)
    if (refusal === undefined) continue
    if (idle >= IDLE_ROUNDS_MAX) throw refusal
    await sleep(POLL_MS)
  }
}

async function missing(steps: readonly Step[]): Promise<readonly Step[]> {
  const done = await Promise.all(steps.map((step) => step.isDone()))
  return steps.filter((_, index) => !done[index])
}

/** Sends what the chain would accept now. @returns Why a step could not be sent, if one could not. */
async function sendAll(
  open: readonly Step[],
  signer: Signer & { readonly provider: Provider },
): Promise<NodeError | undefined> {
  const estimates = await Promise.all(open.map((step) => estimate(step, signer)))
  const first = await signer.getNonce('latest')
  let nonce = first
  for (const [index, { to, data, what }] of open.entries()) {
    const gas = estimates[index]
    if (typeof gas !== 'bigint') continue
    const gasLimit = (gas * (100n + GAS_MARGIN_PERCENT)) / 100n
    try {
      await signer.sendTransaction({ to, data, nonce, gasLimit })
    } catch (cause) {
      // One that a killed run sent has the same number: it is mined, then we look again.
      if ((await signer.getNonce('pending')) > nonce) return undefined
      throw failure(what, cause)
    }
    nonce++
  }
  if (nonce === first) return estimates.find((one) => typeof one !== 'bigint')
  return undefined
}

/** Gas that a step takes, or why there is no answer or a refusal now. */
async function estimate(step: Step, signer: Signer): Promise<bigint | NodeError> {
  try {
    return await signer.estimateGas({ to: step.to, data: step.data })
  } catch (cause) {
    return failure(step.what, cause)
  }
}

const failure = (what: string, cause: unknown): NodeError =>
  new NodeError('DEPLOY_FAILED', `${what}: ${describeError(cause)}`, { cause })

/**
 * Waits until nothing of an account waits to be mined.
 *
 * @param signer - The account, connected to the chain.
 * @throws NodeError `DEPLOY_FAILED` if nothing is mined for minutes.
 */
export async function untilAllMined(signer: Signer): Promise<void> {
  let last = -1
  let waitedMs = 0
  for (;;) {
    const [mined, sent] = [await signer.getNonce('latest'), await signer.getNonce('pending')]
    if (mined >= sent) return
    waitedMs = mined === last ? waitedMs + POLL_MS : 0
    last = mined
    if (waitedMs > SILENCE_MS_MAX) {
      throw new NodeError('DEPLOY_FAILED', `${sent - mined} transactions are not mined`)
    }
    await sleep(POLL_MS)
  }
}
