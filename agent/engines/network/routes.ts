/** Which peer an address belongs to: the longest prefix that holds it, for IPv4 and IPv6. */
import { NodeError } from '../../base/errors.ts'

/** An address or prefix, as bytes. */
export interface Prefix {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array
  /** Leading bits that count, `0..32` or `0..128`. */
  readonly bits: number
}

/**
 * Reads a prefix.
 *
 * @param text - `10.1.0.0/16`, `fd00::/8`, or a single address.
 * @throws NodeError `NETWORK_ADDRESS_INVALID`.
 * @example
 * parsePrefix('10.0.0.1').bits // 32
 */
export function parsePrefix(text: string): Prefix {
  const [host = '', length, ...rest] = text.split('/')
  const address = host.includes(':') ? parseIpv6(host) : parseIpv4(host)
  const bits = length === undefined ? 8 * (address?.byteLength ?? 0) : Number(length)
  const isWhole = length === undefined || /^\d{1,3}$/.test(length)
  if (!address || rest.length > 0 || !isWhole || bits > 8 * address.byteLength) {
    throw new NodeError('NETWORK_ADDRESS_INVALID', `"${text.slice(0, 100)}" is no IP prefix`)
  }
  return { address, bits }
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split('.')
  const isAddress = parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part))
  const bytes = parts.map(Number)
  return isAddress && bytes.every((byte) => byte < 256) ? Uint8Array.from(bytes) : undefined
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head = [], tail = []] = halves.map((half) => (half === '' ? [] : half.split(':')))
  const missing = 8 - head.length - tail.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined
  const groups = [...head, ...Array.from({ length: missing }, () => '0'), ...tail]
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined
  return Uint8Array.from(
    groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]),
  )
}

interface TrieNode<T> {
  readonly children: [TrieNode<T> | undefined, TrieNode<T> | undefined]
  value: T | undefined
}

const emptyNode = <T>(): TrieNode<T> => ({ children: [undefined, undefined], value: undefined })

/** A table of prefixes; each belongs to one peer, the last that claimed it. */
export class Routes<T> {
  readonly #ipv4 = emptyNode<T>()
  readonly #ipv6 = emptyNode<T>()

  /** Gives a prefix to a peer. */
  set(prefix: Prefix, value: T): void {
    let node = this.#root(prefix.address)
    for (let bit = 0; bit < prefix.bits; bit++) {
      const side = bitOf(prefix.address, bit)
      const next = node.children[side] ?? emptyNode<T>()
      node.children[side] = next
      node = next
    }
    node.value = value
  }

  /**
   * Finds whose an address is.
   *
   * @param address - 4 or 16 bytes.
   * @returns Who has the longest prefix that holds it; undefined if nobody has one.
   */
  find(address: Uint8Array): T | undefined {
    let node: TrieNode<T> | undefined = this.#root(address)
    let found: T | undefined
    for (let bit = 0; node; bit++) {
      found = node.value ?? found
      node = bit < 8 * address.byteLength ? node.children[bitOf(address, bit)] : undefined
    }
    return found
  }

  #root(address: Uint8Array): TrieNode<T> {
    return address.byteLength === 4 ? this.#ipv4 : this.#ipv6
  }
}

function bitOf(address: Uint8Array, bit: number): 0 | 1 {
  return (((address[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1) as 0 | 1
}

/** Source and destination of an IP packet. */
export interface PacketEnds {
  readonly source: Uint8Array
  readonly destination: Uint8Array
  /** Bytes of the packet, without padding behind it. */
  readonly length: number
}

/**
 * Reads the ends of a packet.
 *
 * @param packet - From anybody; may have padding behind it.
 * @returns Undefined if it is no whole IPv4 or IPv6 packet.
 */
export function packetEnds(packet: Uint8Array): PacketEnds | undefined {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength)
  const version = (packet[0] ?? 0) >> 4
  if (version === 4 && packet.byteLength >= 20) {
    const length = view.getUint16(2)
    if (length < 20 || length > packet.byteLength) return undefined
    return { source: packet.subarray(12, 16), destination: packet.subarray(16, 20), length }
  }
  if (version === 6 && packet.byteLength >= 40) {
    const length = 40 + view.getUint16(4)
    if (length > packet.byteLength) return undefined
    return { source: packet.subarray(8, 24), destination: packet.subarray(24, 40), length }
  }
  return undefined
}
