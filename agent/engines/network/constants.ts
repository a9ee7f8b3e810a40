/**
 * Times, counts and sizes of the protocol.
 *
 * @see WireGuard: Next Generation Kernel Network Tunnel (Donenfeld, NDSS 2017), section 6
 */
import { SECOND_MS } from '../../base/units.ts'

/** A session that has sent so many messages is replaced. */
export const REKEY_AFTER_MESSAGES = 2n ** 60n
/** A session sends no message numbered so high. */
export const REJECT_AFTER_MESSAGES = 2n ** 64n - 2n ** 13n - 1n
/** The initiator replaces a session of this age when it sends. */
export const REKEY_AFTER_MS = 120 * SECOND_MS
/** A responder that still sends so long after the initiator should have replaced the session does it itself. */
export const RESPONDER_REKEY_DELAY_MS = 20 * SECOND_MS
/** A session of this age neither sends nor receives. */
export const REJECT_AFTER_MS = 180 * SECOND_MS
/** A handshake that nobody answers is given up after this long; the next packet begins another. */
export const REKEY_ATTEMPT_MS = 90 * SECOND_MS
/** Between two tries of a handshake; also the least time between two initiations that a peer may make us answer. */
export const REKEY_TIMEOUT_MS = 5 * SECOND_MS
/** Added to the time between two tries, at random, so that two ends that begin at once do not stay in step. */
export const REKEY_JITTER_MS = 334
/** Whoever received and had nothing to say for this long says that it lives. */
export const KEEPALIVE_MS = 10 * SECOND_MS
/** Between two initiations that are accepted from one peer: 50 a second. */
export const HANDSHAKE_INITIATION_EVERY_MS = 20

/** A secret for cookies is used for this long; the one before is still believed. */
export const COOKIE_SECRET_MS = 120 * SECOND_MS
/** A cookie that a peer sent us is used for this long. */
export const COOKIE_MS = 120 * SECOND_MS - 5 * SECOND_MS

/** Packets that wait for a session; the oldest go first, as with any full queue of a network. */
export const STAGED_PACKETS_MAX = 128

/** Sizes of messages, bytes. */
export const INITIATION_BYTES = 148
export const RESPONSE_BYTES = 92
export const COOKIE_REPLY_BYTES = 64
export const DATA_HEADER_BYTES = 16
export const TAG_BYTES = 16
/** A packet is padded with zeroes to a multiple, so that its length says less. */
export const PADDING_BYTES = 16
export const KEY_BYTES = 32
export const TIMESTAMP_BYTES = 12
export const COOKIE_BYTES = 16
export const COOKIE_NONCE_BYTES = 24
export const MAC_BYTES = 16

/** Numbers that may come late: as many as the kernel's WireGuard remembers, less one word. */
export const REPLAY_WINDOW = 8192 - 64
