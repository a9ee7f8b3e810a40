/** The gate: who is let through, how fast, and what of the registry's entries is believed. */
import { generateKeyPair, privateKeyFromRaw, publicKeyFromRaw } from '@libp2p/crypto/keys'
import type { MultiaddrConnection } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromPublicKey } from '@libp2p/peer-id'
import { assert } from 'chai'
import { pino } from 'pino'
import { ledgerKeyFrom } from '../../../agent/base/ledger-key.ts'
import {
  ADDRESSES_PER_PEER_MAX,
  INBOUND_HANDSHAKES_PER_SECOND_MAX,
} from '../../../agent/engines/links/constants.ts'
import { gateFor } from '../../../agent/engines/links/gate.ts'
import { isStrayLinkError } from '../../../agent/engines/links/index.ts'
import { accountOfPeerId, bookPeers } from '../../../agent/engines/links/peer-book.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

const log = pino({ level: 'silent' })
const [known, guest, stranger] = [1, 2, 3].map((number) =>
  ledgerKeyFrom(new Uint8Array(32).fill(number)),
) as [
  ReturnType<typeof ledgerKeyFrom>,
  ReturnType<typeof ledgerKeyFrom>,
  ReturnType<typeof ledgerKeyFrom>,
]
const peerIdOf = (key: typeof known) =>
  peerIdFromPublicKey(publicKeyFromRaw(key.publicKeyCompressed))
const peer = (key: typeof known, addresses: readonly string[] = []) => ({
  account: key.account,
  publicKey: key.publicKeyCompressed,
  addresses,
})
const someConnection = {} as MultiaddrConnection

describe('the gate', () => {
  const book = bookPeers({ peers: [peer(known)], guests: [guest.account] }, log)

  it('refuses strangers in both directions, and counts them', async () => {
    const { gater, counts } = gateFor(() => book, new VirtualClock())
    for (const [key, refused] of [
      [known, false],
      [guest, false],
      [stranger, true],
    ] as const) {
      const id = peerIdOf(key)
      assert.equal(await gater.denyInboundEncryptedConnection?.(id, someConnection), refused)
      assert.equal(await gater.denyOutboundEncryptedConnection?.(id, someConnection), refused)
      assert.equal(await gater.denyDialPeer?.(id), refused)
    }
    assert.equal(counts.strangers, 2)
  })

  it('refuses keys that are no ledger keys', async () => {
    const { gater } = gateFor(() => book, new VirtualClock())
    const id = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
    assert.isUndefined(accountOfPeerId(id))
    assert.isTrue(await gater.denyInboundEncryptedConnection?.(id, someConnection))
  })

  it('goes by the book in force', async () => {
    let current = book
    const { gater } = gateFor(() => current, new VirtualClock())
    current = bookPeers({ peers: [], guests: [] }, log)
    assert.isTrue(await gater.denyInboundEncryptedConnection?.(peerIdOf(known), someConnection))
  })

  it('lets a bounded number of handshakes through a second', async () => {
    const clock = new VirtualClock()
    const { gater, counts } = gateFor(() => book, clock)
    const attempts = async (n: number) => {
      let through = 0
      for (let i = 0; i < n; i++) {
        if (!(await gater.denyInboundConnection?.(someConnection))) through++
      }
      return through
    }
    assert.equal(await attempts(1000), INBOUND_HANDSHAKES_PER_SECOND_MAX)
    assert.equal(counts.tooFast, 1000 - INBOUND_HANDSHAKES_PER_SECOND_MAX)
    await clock.advance(100)
    assert.equal(await attempts(1000), INBOUND_HANDSHAKES_PER_SECOND_MAX / 10)
    await clock.advance(60_000)
    assert.equal(await attempts(1000), INBOUND_HANDSHAKES_PER_SECOND_MAX)
  })
})

describe('the book of peers', () => {
  it('names peers as libp2p does', () => {
    const booked = bookPeers({ peers: [peer(known)], guests: [] }, log).peers.get(known.account)
    const theirs = peerIdFromPrivateKey(privateKeyFromRaw(known.privateKey))
    assert.isTrue(booked?.peerId.equals(theirs))
    assert.equal(accountOfPeerId(theirs), known.account)
  })

  it('skips an entry with a wrong or garbled key and keeps the others', () => {
    const wrong = { ...peer(known), publicKey: stranger.publicKeyCompressed }
    const garbled = { ...peer(guest), publicKey: new Uint8Array(5) }
    const book = bookPeers({ peers: [wrong, garbled, peer(stranger)], guests: [] }, log)
    assert.deepEqual([...book.peers.keys()], [stranger.account])
  })

  it('keeps only addresses that can be dialled, and not too many', () => {
    const good = ['/ip4/10.0.0.1/tcp/4001', '/ip6/::1/tcp/1', '/dns4/node.example/tcp/65535']
    const bad = ['', 'x', '/dnsaddr/x.example', '/ip4/1.2.3.4/udp/1/quic-v1', '/unix/tmp/x']
    const relayed = [
      `/ip4/1.2.3.4/tcp/1/p2p/${peerIdOf(guest)}/p2p-circuit`,
      '/ip4/999.1.1.1/tcp/1',
    ]
    const booked = (addresses: readonly string[]) =>
      bookPeers({ peers: [peer(known, addresses)], guests: [] }, log).peers.get(known.account)
    assert.deepEqual(
      booked([...bad, ...good, ...relayed])?.addresses.map(String),
      good.map((address) => `${address}/p2p/${peerIdOf(known)}`),
    )
    assert.equal(booked(Array(50).fill(good[0]))?.addresses.length, ADDRESSES_PER_PEER_MAX)
  })
})

describe('stray errors', () => {
  it('are those that libp2p throws about its own dead streams, and no others', () => {
    const stray = new Error('Cannot write to a stream that is closed')
    stray.name = 'StreamStateError'
    assert.isTrue(isStrayLinkError(stray))
    assert.isFalse(isStrayLinkError(new TypeError('x is not a function')))
    assert.isFalse(isStrayLinkError('text'))
  })
})
