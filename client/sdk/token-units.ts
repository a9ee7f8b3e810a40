/** Amounts of the token as people write and read them. */
import { formatUnits, parseUnits } from 'ethers'

/** Decimals of the token; fixed by its contract. */
const DECIMALS = 18

/**
 * Writes an amount for people.
 *
 * @param amount - Smallest units.
 * @returns `1.5 VARVE`.
 */
export function formatTokens(amount: bigint): string {
  return `${formatUnits(amount, DECIMALS).replace(/\.0$/, '')} VARVE`
}

/**
 * Reads an amount as people write it.
 *
 * @param text - Tokens, up to 60 digits and 18 decimals: `1.5`.
 * @returns Smallest units, or undefined if `text` is no amount.
 */
export function parseTokens(text: string): bigint | undefined {
  if (!/^\d{1,60}(\.\d{1,18})?$/.test(text.trim())) return undefined
  return parseUnits(text.trim(), DECIMALS)
}
