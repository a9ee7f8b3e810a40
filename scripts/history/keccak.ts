/** Keccak-256 in WebAssembly: files of history need it for every header, body and receipt, and ethers' takes 20 times longer. */
import { createKeccak } from 'hash-wasm'

const hasher = await createKeccak(256)

/**
 * Hashes bytes.
 *
 * @param bytes - Any bytes.
 * @returns 32 bytes.
 */
export function keccak(bytes: Uint8Array): Uint8Array {
  return hasher.init().update(bytes).digest('binary')
}
