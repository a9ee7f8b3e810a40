/** Who a connection comes from, as far as limits by address go. */

/**
 * The part of a peer's name that one machine has in common over its connections.
 *
 * @param peerName - `1.2.3.4:5678`, `[2001:db8::1]:5678`, or anything else for what has no address.
 * @returns The IPv4 address; of IPv6 the first 64 bits, which one subscriber has; else the name itself.
 * @example
 * peerAddress('10.0.0.1:5000') // '10.0.0.1'
 */
export function peerAddress(peerName: string): string {
  const match = /^\[?(.*?)\]?:\d+$/.exec(peerName)
  const address = match?.[1] ?? peerName
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  return address.includes(':') ? firstHalf(address) : address
}

function firstHalf(address: string): string {
  const [head = '', tail] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  const rest = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - rest.length)
  return [...groups, ...Array<string>(zeros).fill('0'), ...rest].slice(0, 4).join(':')
}
