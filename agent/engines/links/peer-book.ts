/** Who may be linked with, in the form that libp2p needs: the policy, checked once, looked up often. */
import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import type { Account } from '../../base/ids.ts'
import { accountOfPublicKey } from '../../base/ledger-key.ts'
import type { Log } from '../../base/ports.ts'
import { ADDRESSES_PER_PEER_MAX } from './constants.ts'
import type { LinkPeer, LinkPolicy } from './ports.ts'

/** A peer as libp2p knows it. */
export interface BookedPeer {
  readonly account: Account
  readonly peerId: PeerId
  /** `0..ADDRESSES_PER_PEER_MAX` addresses to dial, the peer id included. */
  readonly addresses: readonly Multiaddr[]
}

/** The policy in force. */
export interface PeerBook {
  readonly peers: ReadonlyMap<Account, BookedPeer>
  allows(account: Account): boolean
}

/** Only these ways lead anywhere: no relay, and no name service other than for host names. */
const DIALLABLE = /^\/(ip4|ip6|dns|dns4|dns6)\/[^/]+\/tcp\/\d+$/

/**
 * Books a policy. What is wrong with one peer's entry (anybody can register anything) costs only that peer.
 *
 * @param policy - Who may be linked with.
 * @param log - Told of entries that were skipped.
 * @returns The book.
 */
export function bookPeers(policy: LinkPolicy, log: Log): PeerBook {
  const peers = new Map<Account, BookedPeer>()
  for (const peer of policy.peers) {
    const booked = bookPeer(peer, log)
    if (booked) peers.set(peer.account, booked)
  }
  const guests = new Set(policy.guests)
  return { peers, allows: (account) => peers.has(account) || guests.has(account) }
}

/**
 * The account behind a peer id.
 *
 * @param peerId - As proven by a handshake, or as claimed.
 * @returns The account, or undefined if the key is not a secp256k1 key: such a peer has no account.
 */
export function accountOfPeerId(peerId: PeerId): Account | undefined {
  return peerId.type === 'secp256k1' ? accountOfPublicKey(peerId.publicKey.raw) : undefined
}

function bookPeer(peer: LinkPeer, log: Log): BookedPeer | undefined {
  try {
    if (accountOfPublicKey(peer.publicKey) !== peer.account) {
      log.warn({ peer: peer.account }, 'skipped a peer whose public key is not that of its account')
      return undefined
    }
    const peerId = peerIdFromPublicKey(publicKeyFromRaw(peer.publicKey))
    return { account: peer.account, peerId, addresses: addressesOf(peer, peerId, log) }
  } catch (err) {
    log.warn({ peer: peer.account, err }, 'skipped a peer whose public key is none')
    return undefined
  }
}

function addressesOf(peer: LinkPeer, peerId: PeerId, log: Log): Multiaddr[] {
  const usable = peer.addresses.filter((address) => DIALLABLE.test(address))
  if (usable.length < peer.addresses.length) {
    log.debug({ peer: peer.account }, 'skipped addresses that cannot be dialled')
  }
  const parsed: Multiaddr[] = []
  for (const address of usable.slice(0, ADDRESSES_PER_PEER_MAX)) {
    try {
      parsed.push(multiaddr(address).encapsulate(`/p2p/${peerId.toString()}`))
    } catch (err) {
      log.debug({ peer: peer.account, address, err }, 'skipped an address that does not parse')
    }
  }
  return parsed
}
