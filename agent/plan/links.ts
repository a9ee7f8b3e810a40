/**
 * Plans who may connect to this node: every node of the registry, and the accounts that orders on this node name.
 *
 * Pure. A node whose key does not belong to its account is left out: the contract should not have let it in.
 */
import { fromHex, toHex } from '../base/bytes.ts'
import { isNodeError } from '../base/errors.ts'
import type { Account } from '../base/ids.ts'
import { accountOfPublicKey, compressPublicKey } from '../base/ledger-key.ts'
import type { LedgerNode, StoreOrder } from '../ledger/types.ts'
import type { PeerConfig } from '../state/unit-config.ts'

/** What the planner looks at. */
export interface LinksWorld {
  readonly self: Account
  readonly nodes: readonly LedgerNode[]
  /** Store orders on this node. */
  readonly stores: readonly StoreOrder[]
}

/**
 * Computes peers and guests.
 *
 * @param world - The registry and this node's store orders.
 * @returns Peers by ascending node number; guests sorted, none of them a peer or this node.
 * @example
 * planLinks({ self, nodes, stores: [] }).peers.length
 */
export function planLinks(world: LinksWorld): {
  readonly peers: readonly PeerConfig[]
  readonly guests: readonly Account[]
} {
  const peers = [...world.nodes]
    .sort((a, b) => a.id - b.id)
    .filter((node) => node.account !== world.self)
    .flatMap(peerOf)
  const known = new Set([world.self, ...peers.map(({ account }) => account)])
  const named = world.stores
    .filter(({ state }) => state === 'live')
    .flatMap(({ writers, readers }) => [...writers, ...readers])
  const guests = [...new Set(named)].filter((account) => !known.has(account)).sort()
  return { peers, guests }
}

function peerOf(node: LedgerNode): PeerConfig[] {
  const { account, addresses } = node
  if (node.state !== 'active' && node.state !== 'draining') return []
  try {
    const publicKey = fromHex(node.publicKey)
    if (accountOfPublicKey(publicKey) !== account) return []
    return [{ account, publicKey: toHex(compressPublicKey(publicKey)), addresses }]
  } catch (caught) {
    if (isNodeError(caught, 'KEY_INVALID')) return []
    throw caught
  }
}
