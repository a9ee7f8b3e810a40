/** Accounts that a caller gives, who may have typed them. */
import { accountProblem } from '../../agent/base/checksummed-account.ts'
import { NodeError } from '../../agent/base/errors.ts'
import { type Account, account } from '../../agent/base/ids.ts'

/**
 * Takes over an account that somebody gave.
 *
 * @param text - `0x` and 40 hexadecimal digits; letters of both cases must fit as a checksum (EIP-55).
 * @returns The account, in lower case.
 * @throws NodeError `ARGUMENT_INVALID`.
 */
export function givenAccount(text: string): Account {
  const problem = accountProblem(text)
  if (problem === undefined) return account(text)
  throw new NodeError('ARGUMENT_INVALID', `"${text}" ${problem}`)
}
