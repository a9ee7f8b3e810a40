/**
 * The address of a key: 128 bits of the network's own range, so that whoever holds the key proves the address in the handshake, and
 * nobody has to give addresses out.
 */
import { createHash } from 'node:crypto'
import { concatBytes } from '../../base/bytes.ts'

/** First byte of all addresses: below 0200::/7, which no registry gives out (it was meant for NSAP, RFC 4048). */
const FIRST_BYTE = 0x02
const LABEL = Buffer.from('varve/network-address/1')

/**
 * Derives the address of a member.
 *
 * @param publicKey - Static key on the network, 32 bytes.
 * @returns 16 bytes. Two keys of one address would need 2^60 tries to find, and one for a given address 2^120.
 * @example
 * addressOf(keyPair.publicKey)[0] // 2
 */
export function addressOf(publicKey: Uint8Array): Uint8Array {
  const digest = createHash('sha256').update(LABEL).update(publicKey).digest()
  return concatBytes([Uint8Array.of(FIRST_BYTE), digest.subarray(0, 15)])
}
