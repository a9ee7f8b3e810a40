/** Units: names for the factors, and sizes and durations for people. */

export const KIB = 1024
export const MIB = 1024 * KIB
export const GIB = 1024 * MIB

export const SECOND_MS = 1000
export const MINUTE_MS = 60 * SECOND_MS

/**
 * Writes a size for people.
 *
 * @param bytes - `>= 0`.
 * @returns At most four significant digits and a binary unit: `1.50 MiB`.
 * @example
 * formatBytes(1572864) // '1.50 MiB'
 */
export function formatBytes(bytes: number): string {
  const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(2)} ${UNITS[unit]}`
}

/**
 * Reads a size as people write it.
 *
 * @param text - A number and an optional unit: `B`, `K`/`KiB`, `M`/`MiB`, `G`/`GiB`, `T`/`TiB` (binary), any case.
 * @returns Whole bytes, or undefined if `text` is not a size.
 * @example
 * parseBytes('64 MiB') // 67108864
 */
export function parseBytes(text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?\s*$/i.exec(text)
  if (!match) return undefined
  const exponent = ['', 'K', 'M', 'G', 'T'].indexOf((match[2] ?? '').toUpperCase())
  const bytes = Math.round(Number(match[1]) * 1024 ** exponent)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}
