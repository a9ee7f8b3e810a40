/** Where the memory of a buffer is, for system calls that are made without Node. */
import koffi from 'koffi'

/** Asking costs more than most of what is done with the answer. */
const addresses = new WeakMap<ArrayBufferLike, number>()

/**
 * Tells where bytes are.
 *
 * @param bytes - Any part of a buffer.
 * @returns The address of its first byte, which stays while the buffer lives; exact, because user space has 47 bits.
 */
export function addressOf(bytes: Uint8Array): number {
  const { buffer } = bytes
  let address = addresses.get(buffer)
  if (address === undefined) {
    address = Number(koffi.address(buffer))
    addresses.set(buffer, address)
  }
  return address + bytes.byteOffset
}
