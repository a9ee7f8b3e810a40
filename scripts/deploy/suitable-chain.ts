/**
 * Refuses chains on which a grid would not be safe: audits take their seed from PREVRANDAO, which some chains keep constant, and
 * specs are read as the code of contracts, which not every chain lets another contract read.
 *
 * @see docs/design/0003-contracts.md, section 11
 */
import type { Provider } from 'ethers'
import { NodeError } from '../../agent/base/errors.ts'
import type { DeployErrorCode } from './errors.ts'

const CONSTANT = 'its PREVRANDAO is constant, so everybody knows the seeds of audits in advance'
const NO_CODE = 'its contracts cannot read the code of others, so specs cannot be read'

/** Known by their chain ids. */
const UNSUITABLE: ReadonlyMap<bigint, readonly [name: string, why: string]> = new Map([
  [42_161n, ['Arbitrum One', CONSTANT]],
  [42_170n, ['Arbitrum Nova', CONSTANT]],
  [421_614n, ['Arbitrum Sepolia', CONSTANT]],
  [324n, ['zkSync Era', NO_CODE]],
  [300n, ['zkSync Sepolia', NO_CODE]],
])
/** Local chains of one user: what they draw is for trying things out. */
const LOCAL: ReadonlySet<bigint> = new Set([1_337n, 31_337n])
/** Init code that returns PREVRANDAO: `PREVRANDAO PUSH0 MSTORE PUSH1 32 PUSH0 RETURN`. */
const PROBE = '0x445f5260205ff3'
/** A random word is below this once in 2^192 times; the constants in use are. */
const SMALLEST = 2n ** 64n

/**
 * Looks whether a grid can be deployed.
 *
 * @param provider - The chain.
 * @throws NodeError `DEPLOY_CHAIN_UNSUITABLE`.
 * @example
 * await refuseUnsuitableChain(provider)
 */
export async function refuseUnsuitableChain(
  provider: Pick<Provider, 'getNetwork' | 'call'>,
): Promise<void> {
  const { chainId } = await provider.getNetwork()
  const known = UNSUITABLE.get(chainId)
  if (known) throw unsuitable(known[0], known[1])
  if (LOCAL.has(chainId)) return
  const drawn = BigInt(await provider.call({ data: PROBE }))
  if (drawn < SMALLEST) throw unsuitable(`chain ${chainId}`, CONSTANT)
}

function unsuitable(name: string, why: string): NodeError<DeployErrorCode> {
  return new NodeError('DEPLOY_CHAIN_UNSUITABLE', `${name}: ${why}`)
}
