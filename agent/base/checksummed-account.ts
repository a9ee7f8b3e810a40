/** Accounts as people type them: the mix of cases is a checksum (EIP-55), so that a mistyped digit is noticed. */
import { keccak256 } from 'ethers/crypto'

/**
 * Tells what is wrong with an account or an address that a person gave.
 *
 * @param text - What was given.
 * @returns A sentence without its subject, such as `is no account`; undefined if it is an account, all in one case or with a
 *   checksum that fits.
 * @see https://eips.ethereum.org/EIPS/eip-55
 * @example
 * accountProblem('0x69923A0C30e1fe8a35fd8db446e8214663c4c926') // 'is mistyped: its mix of ...'
 */
export function accountProblem(text: string): string | undefined {
  if (!/^0x[0-9a-fA-F]{40}$/.test(text)) return 'is no account: 0x and 40 hexadecimal digits'
  const digits = text.slice(2)
  const isOneCase = digits === digits.toLowerCase() || digits === digits.toUpperCase()
  if (isOneCase || text === checksummedAccount(text)) return undefined
  return 'is mistyped: its mix of capital and small letters does not fit its digits (EIP-55)'
}

/**
 * Writes an account with its checksum.
 *
 * @param text - `0x` and 40 hexadecimal digits, of any case.
 * @returns The same digits, with the capital letters of EIP-55.
 */
export function checksummedAccount(text: string): string {
  const digits = text.slice(2).toLowerCase()
  const hash = keccak256(new TextEncoder().encode(digits)).slice(2)
  const shown = [...digits].map((digit, at) =>
    Number.parseInt(hash[at] ?? '0', 16) >= 8 ? digit.toUpperCase() : digit,
  )
  return `0x${shown.join('')}`
}
