/**
 * Ends of the planetary network in one process: datagrams go through a queue that a test may lose, reorder, repeat and rewrite; time
 * passes when the test says so, and chance comes from a seed.
 */
import { toHex } from '../../agent/base/bytes.ts'
import { WIREGUARD, type Wire } from '../../agent/engines/network/handshake.ts'
import type { Endpoint, PeerConfig } from '../../agent/engines/network/ports.ts'
import { parsePrefix } from '../../agent/engines/network/routes.ts'
import { Tunnel } from '../../agent/engines/network/tunnel.ts'
import { seededChance } from './seeded-chance.ts'

/** A datagram under way. */
export interface Datagram {
  readonly bytes: Uint8Array
  readonly from: Endpoint
  readonly to: Endpoint
}

/** One end: its tunnel, where it is, and what came out of it. */
export interface End {
  readonly tunnel: Tunnel
  readonly name: string
  endpoint: Endpoint
  /** Address inside the network, as text. */
  readonly inside: string
  readonly received: { readonly text: string; readonly peer: string }[]
}

/** Some ends and the network between them. */
export class NetworkWorld {
  readonly ends: End[] = []
  readonly underWay: Datagram[] = []
  /** All that was ever sent, for who listens in. */
  readonly recorded: Datagram[] = []
  nowMs = 1_000_000
  readonly #chance: ReturnType<typeof seededChance>
  #privateKeys = 0

  constructor(seed: number) {
    this.#chance = seededChance(seed)
  }

  /** Adds an end with a key of its own, at 192.0.2.N inside 10.0.0.N. */
  add(name: string): End {
    const number = this.ends.length + 1
    const end: End = {
      name,
      endpoint: { address: `192.0.2.${number}`, port: 51_820 },
      inside: `10.0.0.${number}`,
      received: [],
      tunnel: new Tunnel({
        privateKey: new Uint8Array(32).fill(++this.#privateKeys),
        ports: {
          clock: { now: () => 1_700_000_000_000 + this.nowMs, monotonic: () => this.nowMs },
          chance: this.#chance,
          send: (datagram, to) => {
            const sent = { bytes: Uint8Array.from(datagram), from: end.endpoint, to }
            this.underWay.push(sent)
            this.recorded.push(sent)
          },
          deliver: (packet, peer) => {
            const who = this.ends.find(({ tunnel }) => tunnel.key === peer)
            end.received.push({ text: textOf(packet), peer: who?.name ?? peer })
          },
        },
      }),
    }
    this.ends.push(end)
    return end
  }

  /** Lets ends speak with each other, each pair by the same wire and pre-shared key. */
  join(ends: readonly End[], options: { wire?: Wire; presharedKey?: Uint8Array } = {}): void {
    for (const end of ends) {
      const others = ends.filter((other) => other !== end)
      end.tunnel.setPeers(others.map((other) => this.peerOf(other, options)))
    }
  }

  /** An end as a peer of another. */
  peerOf(end: End, options: Partial<PeerConfig> = {}): PeerConfig {
    return {
      key: end.tunnel.key,
      wire: WIREGUARD,
      endpoint: end.endpoint,
      allowed: [parsePrefix(end.inside)],
      ...options,
    }
  }

  /** Sends a text in a packet from one end to another. */
  say(from: End, to: End, text: string): boolean {
    return from.tunnel.packet(packetOf(from.inside, to.inside, text))
  }

  /** Carries what is under way to where it goes, and what that causes, until nothing is. */
  carry(change: (datagram: Datagram) => readonly Datagram[] = (one) => [one]): void {
    for (let steps = 0; this.underWay.length > 0 && steps < 10_000; steps++) {
      const next = this.underWay.shift()
      for (const { bytes, from, to } of next ? change(next) : []) {
        const end = this.ends.find(
          ({ endpoint }) => endpoint.address === to.address && endpoint.port === to.port,
        )
        end?.tunnel.datagram(bytes, from)
      }
    }
  }

  /** Lets time pass, a tenth of a second at a time, carrying all. */
  pass(ms: number, change?: (datagram: Datagram) => readonly Datagram[]): void {
    const until = this.nowMs + ms
    while (this.nowMs < until) {
      this.nowMs = Math.min(until, this.nowMs + 100)
      for (const { tunnel } of this.ends) tunnel.tick()
      this.carry(change)
    }
  }
}

/** An IPv4 packet with a text in it. */
export function packetOf(source: string, destination: string, text: string): Uint8Array {
  const body = Buffer.from(text)
  const packet = Buffer.alloc(20 + body.byteLength)
  packet[0] = 0x45
  packet.writeUInt16BE(packet.byteLength, 2)
  packet.set(parsePrefix(source).address, 12)
  packet.set(parsePrefix(destination).address, 16)
  packet.set(body, 20)
  return packet
}

function textOf(packet: Uint8Array): string {
  const text = Buffer.from(packet.subarray(20)).toString()
  return /^[\x20-\x7e]*$/.test(text) ? text : toHex(packet)
}
