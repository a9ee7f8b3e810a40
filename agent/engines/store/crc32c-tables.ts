/** Tables of CRC-32C for taking several bytes at once (slicing, Kounavis and Berry 2008). */

const POLYNOMIAL = 0x82f63b78

/**
 * Makes tables.
 *
 * @param count - How many, one for each byte taken at once.
 * @returns `[count, 256]` i32: table `n` has the register after a byte and `n` zero bytes.
 */
export function crc32cTables(count: number): Int32Array {
  const tables = new Int32Array(count * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    tables[byte] = crc
  }
  for (let at = 256; at < tables.length; at++) {
    const previous = tables[at - 256] as number
    tables[at] = (tables[previous & 255] as number) ^ (previous >>> 8)
  }
  return tables
}
