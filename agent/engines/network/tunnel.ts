/**
 * One end of the network: takes datagrams of anybody and packets of this machine, and says what goes where. No socket, no device, no
 * timer of its own: the unit that has them calls it (sans I/O).
 */
import { assert } from '../../base/assert.ts'
import { toHex } from '../../base/bytes.ts'
import { COOKIE_REPLY_BYTES, INITIATION_BYTES, RESPONSE_BYTES } from './constants.ts'
import { CookieMaker } from './cookies.ts'
import { receiveInitiation, type Wire } from './handshake.ts'
import { HandshakeLoad } from './load.ts'
import { Peer, type SessionIndices } from './peer.ts'
import type { DropCounts, Endpoint, PeerConfig, PeerKey, PeerStatus, TunnelPorts } from './ports.ts'
import { packetEnds, Routes } from './routes.ts'
import { type KeyPair, keyPairFrom } from './x25519.ts'

/** What a tunnel is made of. */
export interface TunnelInit {
  /** Static private key of this node on the network, 32 bytes; secret. */
  readonly privateKey: Uint8Array
  readonly ports: TunnelPorts
}

/** One end of the network. */
export class Tunnel {
  /** Static key of this node. */
  readonly key: PeerKey
  readonly drops: DropCounts = {
    ...{ malformed: 0, unproven: 0, cookies: 0, shed: 0, refused: 0, unopened: 0, misaddressed: 0 },
  }
  readonly #own: KeyPair
  readonly #ports: TunnelPorts
  readonly #cookies: CookieMaker
  readonly #load = new HandshakeLoad()
  readonly #peers = new Map<PeerKey, Peer>()
  readonly #byIndex = new Map<number, Peer>()
  readonly #indices: SessionIndices
  #wires: readonly Wire[] = []
  #routes = new Routes<Peer>()

  constructor(init: TunnelInit) {
    this.#own = keyPairFrom(init.privateKey)
    this.key = toHex(this.#own.publicKey)
    this.#ports = init.ports
    const { clock, chance } = init.ports
    this.#cookies = new CookieMaker(this.#own.publicKey, chance, clock.monotonic())
    this.#indices = {
      take: (peer) => this.#takeIndex(peer),
      release: (index) => {
        this.#byIndex.delete(index)
      },
    }
  }

  /**
   * Says who may speak with this node now. Who is no longer listed is cut off at once; who is unchanged keeps its sessions.
   *
   * @param peers - `[n]` peers, keys unique.
   */
  setPeers(peers: readonly PeerConfig[]): void {
    const wanted = new Map(peers.map((peer) => [peer.key, peer]))
    assert(wanted.size === peers.length, 'a peer is listed once')
    for (const [key, peer] of this.#peers) {
      if (JSON.stringify(wanted.get(key)) === JSON.stringify(peer.config)) continue
      peer.close()
      this.#peers.delete(key)
    }
    for (const [key, config] of wanted) {
      if (this.#peers.has(key) || key === this.key) continue
      const made = { own: this.#own, ports: this.#ports, indices: this.#indices }
      this.#peers.set(key, new Peer({ config, ...made }))
    }
    this.#wires = [...new Set(peers.map(({ wire }) => wire))]
    this.#routes = new Routes()
    for (const peer of this.#peers.values()) {
      for (const prefix of peer.config.allowed) this.#routes.set(prefix, peer)
    }
  }

  /** How each peer is, in the order they were listed. */
  statuses(): readonly PeerStatus[] {
    return [...this.#peers.values()].map((peer) => peer.status())
  }

  /**
   * Takes a packet of this machine.
   *
   * @returns False if no peer has its destination.
   */
  packet(packet: Uint8Array): boolean {
    const ends = packetEnds(packet)
    const peer = ends && this.#routes.find(ends.destination)
    peer?.sendPacket(packet.subarray(0, ends?.length))
    return peer !== undefined
  }

  /**
   * Takes a datagram.
   *
   * @param datagram - From anybody. It is not kept.
   * @param from - Where it came from, as the kernel says.
   */
  datagram(datagram: Uint8Array, from: Endpoint): void {
    if (datagram.byteLength < 16) {
      this.#drop('malformed')
      return
    }
    const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength)
    const type = view.getUint32(0, true)
    const wire = this.#wires.find(({ types }) => types.includes(type))
    switch (wire?.types.indexOf(type)) {
      case 0:
        this.#initiation(datagram, from, type)
        break
      case 1:
        this.#response(datagram, from, view)
        break
      case 2:
        this.#cookieReply(datagram, view)
        break
      case 3:
        this.#data(datagram, from, view)
        break
      default:
        this.#drop('malformed')
    }
  }

  /** Does what is due: each 100 ms or so. */
  tick(): void {
    for (const peer of this.#peers.values()) peer.tick()
  }

  #initiation(message: Uint8Array, from: Endpoint, type: number): void {
    if (message.byteLength !== INITIATION_BYTES) {
      this.#drop('malformed')
      return
    }
    const wires = this.#wires.filter(({ types }) => types[0] === type)
    if (!this.#isWelcome(message, from, wires[0])) return
    for (const wire of wires) {
      const received = receiveInitiation(wire, this.#own, message)
      const peer = received && this.#peers.get(toHex(received.staticKey))
      if (received && peer?.config.wire === wire && peer.takeInitiation(received, from)) return
    }
    this.#drop('refused')
  }

  #response(message: Uint8Array, from: Endpoint, view: DataView): void {
    if (message.byteLength !== RESPONSE_BYTES) {
      this.#drop('malformed')
      return
    }
    const index = view.getUint32(8, true)
    const peer = this.#byIndex.get(index)
    if (!this.#isWelcome(message, from, peer?.config.wire)) return
    if (!peer?.takeResponse(message, index, from)) this.#drop('unopened')
  }

  #cookieReply(message: Uint8Array, view: DataView): void {
    if (message.byteLength !== COOKIE_REPLY_BYTES) {
      this.#drop('malformed')
      return
    }
    const index = view.getUint32(4, true)
    if (!this.#byIndex.get(index)?.takeCookie(message, index)) this.#drop('unopened')
  }

  #data(datagram: Uint8Array, from: Endpoint, view: DataView): void {
    const index = view.getUint32(4, true)
    const peer = this.#byIndex.get(index)
    const isOfWire = peer?.config.wire.types[3] === view.getUint32(0, true)
    const packet = isOfWire ? peer?.takeData(datagram, index, from) : undefined
    if (!peer || !packet) {
      this.#drop('unopened')
      return
    }
    if (packet.byteLength === 0) return
    const ends = packetEnds(packet)
    if (!ends || this.#routes.find(ends.source) !== peer) {
      this.#drop('misaddressed')
      return
    }
    this.#ports.deliver(packet.subarray(0, ends.length), peer.config.key)
  }

  /** Whether a handshake message proves enough for what it costs; answers with a cookie where it does not. */
  #isWelcome(message: Uint8Array, from: Endpoint, wire: Wire | undefined): boolean {
    if (!wire) return false
    const nowMs = this.#ports.clock.monotonic()
    const isUnderLoad = this.#load.isUnderLoad(nowMs)
    const source = Buffer.from(`${from.address} ${from.port}`)
    const proof = this.#cookies.judge(message, source, isUnderLoad, nowMs)
    if (proof === 'none') this.#drop('unproven')
    if (proof === 'located' && !this.#load.takeSource(from.address)) {
      this.#drop('shed')
      return false
    }
    if (proof !== 'known' || !isUnderLoad) return proof !== 'none'
    if (!this.#load.takeCookie()) {
      this.#drop('shed')
      return false
    }
    this.#drop('cookies')
    this.#ports.send(this.#cookies.reply(wire.types[2], message, source, nowMs), from)
    return false
  }

  #drop(why: keyof DropCounts): void {
    this.drops[why]++
  }

  #takeIndex(peer: Peer): number {
    for (;;) {
      const index = new DataView(this.#ports.chance.bytes(4).slice().buffer).getUint32(0)
      if (this.#byIndex.has(index)) continue
      this.#byIndex.set(index, peer)
      return index
    }
  }
}
