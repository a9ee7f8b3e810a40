/** Chains on which a grid would not be safe are refused by name, and by what they draw. */
import { refuseUnsuitableChain } from '../../../scripts/deploy/suitable-chain.ts'
import { rejectsWith } from '../../support/rejects-with.ts'

/** A chain that draws this. */
function chain(chainId: bigint, drawn: bigint) {
  return {
    getNetwork: async () => ({ chainId }) as never,
    call: async () => `0x${drawn.toString(16).padStart(64, '0')}`,
  }
}

describe('a chain to deploy on', () => {
  const RANDOM = 2n ** 255n + 12_345n

  for (const chainId of [42_161n, 42_170n, 421_614n, 324n, 300n]) {
    it(`is refused by its number: ${chainId}`, () =>
      rejectsWith('DEPLOY_CHAIN_UNSUITABLE', () => refuseUnsuitableChain(chain(chainId, RANDOM))))
  }

  for (const drawn of [0n, 1n, 2_500_000_000_000_000n, 2n ** 64n - 1n]) {
    it(`is refused where it draws ${drawn}`, () =>
      rejectsWith('DEPLOY_CHAIN_UNSUITABLE', () => refuseUnsuitableChain(chain(777n, drawn))))
  }

  it('is taken where it draws what looks random, or is local', async () => {
    await refuseUnsuitableChain(chain(1n, RANDOM))
    await refuseUnsuitableChain(chain(10n, 2n ** 64n))
    await refuseUnsuitableChain(chain(31_337n, 0n))
  })
})
