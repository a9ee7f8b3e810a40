/** From what an agent asks of the contracts to the bytes of a transaction. Pure. */
import { assert } from '../base/assert.ts'
import type { Account } from '../base/ids.ts'
import { AUDIT_ACTS, AUDITS_ABI, NODES_ABI, ORDERS_ABI } from './abi.ts'
import type { GridPin, NodeOffer, WantedCall } from './types.ts'

/**
 * Encodes a call.
 *
 * @param call - What is asked.
 * @param pin - Where the contracts are.
 * @returns The contract and the call data as hexadecimal.
 * @example
 * encodeCall({ method: 'heartbeat' }, pin).to === pin.nodes
 */
export function encodeCall(call: WantedCall, pin: GridPin): { to: Account; data: string } {
  switch (call.method) {
    case 'register': {
      const { publicKey, sealingKey, offer, addresses } = call
      return toNodes(pin, 'register', [publicKey, sealingKey, tuple(offer), addresses])
    }
    case 'setOffer':
      return toNodes(pin, 'setOffer', [tuple(call.offer)])
    case 'setAddresses':
      return toNodes(pin, 'setAddresses', [call.addresses])
    case 'heartbeat':
      return toNodes(pin, 'heartbeat', [])
    case 'replace': {
      const data = ORDERS_ABI.encodeFunctionData('replace', [
        call.order,
        call.slot,
        call.node,
        call.maxRatePerSecond,
      ])
      return { to: pin.orders, data }
    }
    case 'audit': {
      const act = AUDITS_ABI.parseTransaction({ data: call.act })
      assert(act && AUDIT_ACTS.includes(act.name), 'only acts of audits are sent to their contract')
      return { to: call.audits, data: call.act }
    }
  }
}

/**
 * Encodes an act of a keeper.
 *
 * @param act - A method of the contract of audits, and its arguments.
 * @returns Call data as hexadecimal.
 */
export function encodeKeeperAct(act: {
  readonly method: string
  readonly args: readonly unknown[]
}): string {
  return AUDITS_ABI.encodeFunctionData(act.method, act.args)
}

function toNodes(pin: GridPin, method: string, values: readonly unknown[]) {
  return { to: pin.nodes, data: NODES_ABI.encodeFunctionData(method, values) }
}

function tuple(offer: NodeOffer): readonly [bigint, bigint] {
  return [BigInt(offer.capacityBytes), offer.pricePerGibSecond]
}
