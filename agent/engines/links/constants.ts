/** Limits of links, each with its reason. */
import { KIB, MIB, MINUTE_MS, SECOND_MS } from '../../base/units.ts'

/** A ping leaves this often on every connection. */
export const PING_INTERVAL_MS = 2 * SECOND_MS

/**
 * So many intervals in a row without a single byte from the peer, and the connection is dead: noticed within
 * (3 + 1) * 2 s = 8 s. Intervals are counted, not milliseconds, so that a machine that was suspended cuts nobody.
 */
export const SILENT_INTERVALS_MAX = 3

/** A handshake takes three round trips; beyond this the peer is as good as gone. */
export const CONNECT_MS_MAX = 10 * SECOND_MS

/** One address must leave time for the next. */
export const CONNECT_ADDRESS_MS_MAX = 4 * SECOND_MS

/** Agreeing on a service takes one round trip. */
export const OPEN_STREAM_MS_MAX = 8 * SECOND_MS

/** Addresses of one peer that are tried: an IPv4, an IPv6 and a name for two uplinks, and then some. */
export const ADDRESSES_PER_PEER_MAX = 8

/** First pause before dialling a lost peer again; doubles with each failure. */
export const REDIAL_MS_MIN = 250

/** Longest pause: a peer that comes back is linked again within half a minute although nobody asks for it. */
export const REDIAL_MS_MAX = 30 * SECOND_MS

/** A dial this soon after a failed attempt gets that failure again, so that a loop of dials costs nothing. */
export const FAIL_FAST_MS = 500

/** A link that nobody used for so long is closed, and not dialled again before somebody asks. */
export const LINK_IDLE_MS_MAX = 10 * MINUTE_MS

/** Two that dial each other at once make two; a peer that rebooted leaves one half-open for some seconds. */
export const CONNECTIONS_PER_PEER_MAX = 4

/** Connections in all: below the usual limit of 1024 descriptors, with room for sockets of local services. */
export const CONNECTIONS_MAX = 600

/** Streams of one service on one connection, each way: one a mounted volume's slot, pipelined. */
export const STREAMS_PER_SERVICE_MAX = 128

/** Streams on one connection, all services and pings, each way. */
export const STREAMS_PER_CONNECTION_MAX = 160

/** Handshakes begun by others, a second, in all: each costs about 3 ms of one core. */
export const INBOUND_HANDSHAKES_PER_SECOND_MAX = 50

/** The same from one address: a whole test grid may live behind one. */
export const INBOUND_HANDSHAKES_PER_HOST_PER_SECOND_MAX = 32

/** Handshakes under way at once. */
export const INBOUND_HANDSHAKES_PENDING_MAX = 64

/** A stranger may not hold a socket longer than an honest handshake takes. */
export const INBOUND_HANDSHAKE_MS_MAX = 5 * SECOND_MS

/**
 * Most that a peer may send ahead of the reader on one stream: 100 MB/s over 20 ms. Windows begin at 256 KiB and only
 * grow while the reader keeps up.
 */
export const STREAM_WINDOW_BYTES_MAX = 2 * MIB

/** Received and not yet read; a little more than the window, so that only a peer that breaks the rules exceeds it. */
export const STREAM_READ_BUFFER_BYTES_MAX = 4 * MIB

/** Read ahead into the hands of the reader before the window closes. */
export const READ_AHEAD_BYTES = 256 * KIB

/** Written and not yet accepted by the connection, before the writer waits. */
export const WRITE_AHEAD_BYTES = 256 * KIB

/** A single write beyond this breaks the stream: whoever writes that much at once holds it in memory as well. */
export const STREAM_WRITE_BUFFER_BYTES_MAX = 64 * MIB
