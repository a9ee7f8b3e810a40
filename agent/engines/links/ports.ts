/**
 * Links between nodes, as the rest of the agent sees them: streams to accounts, and nothing about how they travel.
 *
 * `libp2p-links.ts` satisfies `Links` over TCP, noise and yamux; `test/support/fake-links.ts` in memory under a seed. The
 * bulk path over TLS 1.3 will be a third (docs/design/0008).
 */
import type { Account } from '../../base/ids.ts'

/**
 * A stream of bytes in both directions to one authenticated peer. Every stream ends in one of two ways, and a reader can
 * tell them apart: cleanly (`read` gives undefined), or broken (`read` and `write` reject with `LINK_CLOSED`).
 */
export interface LinkStream {
  /** Who is at the other end, proven by the handshake. */
  readonly peer: Account
  /**
   * Waits for bytes. One read at a time.
   *
   * @returns The next bytes in order, at least one, or undefined after the peer's `end`.
   * @throws NodeError `LINK_CLOSED` if the stream broke: bytes may be missing.
   */
  read(): Promise<Uint8Array | undefined>
  /**
   * Sends bytes. Resolves when more may be sent, which is how a slow reader slows the writer. One write at a time.
   *
   * @param bytes - Belong to the stream from now on: never change them.
   * @throws NodeError `LINK_CLOSED`.
   */
  write(bytes: Uint8Array): Promise<void>
  /** Says that nothing more will be written; reading goes on. Resolves once all is handed over. @throws as `write`. */
  end(): Promise<void>
  /** Breaks the stream in both directions, here and at the peer. Repeatable; nothing after a clean end of both. */
  abort(reason: unknown): void
}

/** Takes a stream that a peer opened. What it throws breaks the stream. */
export type InboundHandler = (stream: LinkStream) => Promise<void> | void

/** A peer that may connect and be dialled. */
export interface LinkPeer {
  readonly account: Account
  /** Compressed secp256k1 key, 33 bytes. Must be the key of `account`. */
  readonly publicKey: Uint8Array
  /** Multiaddrs without the peer id; empty if it only dials. */
  readonly addresses: readonly string[]
}

/** Who may be linked with. Everybody else is refused at the handshake, in both directions. */
export interface LinkPolicy {
  readonly peers: readonly LinkPeer[]
  /** Accounts that may connect although the registry does not know them. */
  readonly guests: readonly Account[]
}

/** What is known of one peer at this moment. */
export interface LinkPeerStatus {
  readonly account: Account
  /** `linked`; `dialling`; `waiting` for the next attempt; `idle`: nobody asked for it. */
  readonly state: 'linked' | 'dialling' | 'waiting' | 'idle'
  readonly connections: number
  /** Service streams open now. */
  readonly streams: number
  /** Round trip of the last keep-alive, milliseconds; undefined before the first. */
  readonly rttMs: number | undefined
  /** Payload bytes of service streams since the start. */
  readonly bytesIn: number
  readonly bytesOut: number
  /** Attempts that failed since the last success, and what the last said. */
  readonly failures: number
  readonly lastFailure: string | undefined
}

/** What is known of all links. */
export interface LinksStatus {
  readonly account: Account
  /** Addresses listened on, with the ports that were given. */
  readonly listening: readonly string[]
  readonly peers: readonly LinkPeerStatus[]
  /** Handshakes refused since the start, by reason. */
  readonly refused: {
    readonly strangers: number
    readonly tooFast: number
    readonly tooMany: number
  }
  /** Connections that were cut because nothing was heard on them. */
  readonly silent: number
  /** Connections that were cut because their peer was removed. */
  readonly removed: number
}

/** Links of one node. */
export interface Links {
  readonly account: Account
  /** Replaces the whole policy; connections of peers that are no longer in it are cut at once. */
  setPolicy(policy: LinkPolicy): void
  /**
   * Opens a stream to a service of a peer, over a connection that is there or is made now. Dialling oneself is joined
   * locally.
   *
   * @param peer - The peer's account.
   * @param service - Name of a service there: `[a-z][a-z0-9-]{0,31}`.
   * @param signal - Gives up.
   * @throws NodeError `LINK_PEER_UNKNOWN`, `LINK_NO_ADDRESS`, `LINK_UNREACHABLE`, `LINK_SERVICE_UNKNOWN`,
   *   `LINK_LIMIT`, or the signal's reason.
   */
  dial(peer: Account, service: string, signal: AbortSignal): Promise<LinkStream>
  /** Serves streams that peers open to `service`; a later call replaces the handler. */
  onInbound(service: string, handler: InboundHandler): Promise<void>
  status(): LinksStatus
  /** Breaks all streams and stops listening. Repeatable. */
  close(): Promise<void>
}
