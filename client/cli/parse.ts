/** Arguments as people write them: sizes, durations, amounts, numbers. */
import { InvalidArgumentError } from 'commander'
import { accountProblem } from '../../agent/base/checksummed-account.ts'
import { parseBytes } from '../../agent/base/units.ts'
import { parseTokens } from '../sdk/index.ts'

const UNIT_SECONDS: Readonly<Record<string, number>> = {
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
  w: 604_800,
}

/** The token's contract can never hold more units. */
const AMOUNT_MAX = 2n ** 208n - 1n

/** `64MiB`, `1 GiB`. @returns Bytes, `>= 1`. */
export function sizeArgument(text: string): number {
  const bytes = parseBytes(text)
  if (bytes !== undefined && bytes >= 1) return bytes
  throw new InvalidArgumentError('expected a size such as 64MiB or 1GiB')
}

/** `90s`, `5m`, `2h`, `30d`, `1w`, or bare seconds. @returns Seconds, `>= 1`. */
export function durationArgument(text: string): number {
  const match = /^(\d+)\s*([smhdw]?)$/.exec(text.trim().toLowerCase())
  const seconds = Number(match?.[1]) * (UNIT_SECONDS[match?.[2] || 's'] ?? Number.NaN)
  if (Number.isSafeInteger(seconds) && seconds >= 1) return seconds
  throw new InvalidArgumentError('expected a duration such as 90s, 2h or 30d')
}

/** `1.5` tokens. @returns Smallest units, above 0. */
export function amountArgument(text: string): bigint {
  const amount = parseTokens(text)
  if (amount !== undefined && amount > AMOUNT_MAX) {
    throw new InvalidArgumentError('expected fewer tokens than there can ever be')
  }
  if (amount !== undefined && amount > 0n) return amount
  throw new InvalidArgumentError('expected an amount of tokens such as 1.5')
}

/** Coins of the ledger, none included. @returns Wei, `>= 0`. */
export function coinsArgument(text: string): bigint {
  const amount = parseTokens(text)
  if (amount !== undefined && amount >= 0n && amount <= AMOUNT_MAX) return amount
  throw new InvalidArgumentError('expected an amount of coins such as 0.5')
}

/** A number that the ledger gave. @returns `>= 1`. */
export function numberArgument(text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= 1) return value
  throw new InvalidArgumentError('expected a number from 1')
}

/** A count. @returns `>= 0`. */
export function countArgument(text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value
  throw new InvalidArgumentError('expected a number from 0')
}

/** Number of a proposal, or the beginning of it. */
export function proposalArgument(text: string): string {
  if (/^\d{1,78}$/.test(text)) return text
  throw new InvalidArgumentError('expected the number of a proposal, or its beginning')
}

/** `4+2`. @returns k and m. */
export function shardsArgument(text: string): { dataShards: number; parityShards: number } {
  const match = /^(\d{1,3})\+(\d{1,3})$/.exec(text)
  const [dataShards, parityShards] = [Number(match?.[1]), Number(match?.[2])]
  if (match && dataShards >= 1 && dataShards + parityShards <= 255)
    return { dataShards, parityShards }
  throw new InvalidArgumentError(
    'expected data and parity shards such as 4+2, at most 255 together',
  )
}

/** An account, with the checksum of EIP-55 if its letters are of both cases. */
export function accountArgument(text: string): string {
  const problem = accountProblem(text)
  if (problem === undefined) return text
  throw new InvalidArgumentError(`it ${problem}`)
}

/** The SHA-256 of an image. */
export function digestArgument(text: string): string {
  if (/^0x[0-9a-fA-F]{64}$/.test(text)) return text
  throw new InvalidArgumentError('expected 0x and 64 hexadecimal digits')
}

/** Makes the parser of an option that takes several values, out of that of one. */
export function listOf<T>(parse: (text: string) => T): (text: string, before?: T[]) => T[] {
  return (text, before = []) => [...before, parse(text)]
}

/** Numbers of nodes and farms are 32 bits wide on the ledger. */
const REGISTRY_NUMBER_MAX = 2 ** 32 - 1
/** Numbers of slots are 16 bits wide on the ledger. */
const SLOT_NUMBER_MAX = 2 ** 16 - 1

/** Number of a node or a farm. @returns `1..2^32-1`. */
export function registryNumberArgument(text: string): number {
  return atMost(REGISTRY_NUMBER_MAX, numberArgument(text))
}

/** Index of a slot. @returns `0..65535`. */
export function slotArgument(text: string): number {
  return atMost(SLOT_NUMBER_MAX, countArgument(text))
}

function atMost(max: number, value: number): number {
  if (value <= max) return value
  throw new InvalidArgumentError(`expected at most ${max}`)
}
