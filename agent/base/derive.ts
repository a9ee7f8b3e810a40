/** Keys from keys: HKDF-SHA-256 with a label that says what the result is for, so that no two uses ever share bytes. */
import { hkdfSync } from 'node:crypto'

const NO_SALT = new Uint8Array(0)

/**
 * Derives bytes for one purpose from a secret.
 *
 * @param secret - The parent secret, at least 32 bytes.
 * @param label - The purpose, `varve/<what>/<version>`; changing one character changes every byte.
 * @param lengthBytes - `1..8160`.
 * @param salt - What else the result must depend on (a transcript), any length, not secret; none if left out.
 * @returns `lengthBytes` bytes; secret.
 * @see RFC 5869
 * @example
 * derive(seed, 'varve/ledger/1', 32)
 */
export function derive(
  secret: Uint8Array,
  label: string,
  lengthBytes: number,
  salt: Uint8Array = NO_SALT,
): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, salt, label, lengthBytes))
}
