/** What the network needs from outside, and what it is told. Times are milliseconds of the monotonic clock unless they say otherwise. */
import type { Chance } from '../../base/ports.ts'
import type { Wire } from './handshake.ts'
import type { Prefix } from './routes.ts'

/** Where datagrams of a peer come from and go to. */
export interface Endpoint {
  /** IPv4 or IPv6 address, as text. */
  readonly address: string
  readonly port: number
}

/** Time for both uses: of the day in a handshake's timestamp, monotonic for everything else. */
export interface NetworkClock {
  now(): number
  monotonic(): number
}

/** Adapters: a UDP socket and a TUN device; in tests, a network in memory. */
export interface TunnelPorts {
  readonly clock: NetworkClock
  readonly chance: Chance
  /** Sends a datagram, or loses it: nothing is said. */
  send(datagram: Uint8Array, to: Endpoint): void
  /** Hands a packet to this machine. It came from a peer that has its source address. */
  deliver(packet: Uint8Array, peer: PeerKey): void
}

/** A peer's static key, 32 bytes as 64 hexadecimal digits. */
export type PeerKey = string

/** A member of the network, as this node may speak with it. */
export interface PeerConfig {
  readonly key: PeerKey
  readonly wire: Wire
  /** 32 bytes; absent: none. */
  readonly presharedKey?: Uint8Array
  /** Where it was said to be; absent: it comes to us. A datagram of its own that is genuine tells better. */
  readonly endpoint?: Endpoint
  /** Addresses that are its own: packets to them go to it, packets from it must come from them. */
  readonly allowed: readonly Prefix[]
  /** Sends a sign of life so often, to keep a way through a NAT open; absent: only when something was received. */
  readonly keepAliveMs?: number
}

/** How a peer is. */
export interface PeerStatus {
  readonly key: PeerKey
  readonly endpoint: Endpoint | undefined
  /** When the newest session was made; undefined before the first. */
  readonly handshakeMs: number | undefined
  /** When something genuine last came; undefined before the first. */
  readonly heardMs: number | undefined
  readonly sentBytes: number
  readonly receivedBytes: number
  /** Packets that waited for a session in vain. */
  readonly dropped: number
}

/** Datagrams that were dropped, by reason; no stranger can make any of them cost more than its check. */
export interface DropCounts {
  /** No message of a wire that is spoken here. */
  malformed: number
  /** First code wrong: the sender does not know this node. */
  unproven: number
  /** Under load, and told to prove where it is. */
  cookies: number
  /** Under load, and not even told. */
  shed: number
  /** Proven, and of nobody that may speak with this node, or played again. */
  refused: number
  /** Names a session that is not there, or is not what its keys sealed, or came before. */
  unopened: number
  /** Opened, and from an address that is not the peer's, or no packet at all. */
  misaddressed: number
}
