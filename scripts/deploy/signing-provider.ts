/** A provider whose one account signs here, so that no ledger needs to hold a key. */
import type { EIP1193Provider } from '@nomicfoundation/ignition-core'
import type { JsonRpcProvider, TransactionRequest, Wallet } from 'ethers'

/**
 * Wraps an RPC and a key.
 *
 * @param provider - The RPC.
 * @param wallet - Signs what Ignition sends.
 * @returns What Ignition talks to.
 */
export function signingProvider(provider: JsonRpcProvider, wallet: Wallet): EIP1193Provider {
  return {
    async request({ method, params }) {
      const list = Array.isArray(params) ? params : []
      if (method === 'eth_accounts') return [wallet.address]
      if (method !== 'eth_sendTransaction') return await provider.send(method, list)
      const { gas, ...rest } = list[0] as Record<string, string>
      const { chainId } = await provider.getNetwork()
      const request: TransactionRequest = { ...rest, gasLimit: gas ?? null, chainId, type: 2 }
      const raw = await wallet.signTransaction(request)
      return await provider.send('eth_sendRawTransaction', [raw])
    },
  }
}
