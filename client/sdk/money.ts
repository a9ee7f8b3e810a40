/** Tokens: balances, deposits with a permit in one transaction, and withdrawals. */
import { type Contract, Signature, type TypedDataDomain } from 'ethers'
import { NodeError } from '../../agent/base/errors.ts'
import { type Connection, reading, view } from './connection.ts'
import { formatTokens } from './token-units.ts'
import { type FollowOptions, send, type Transaction } from './transactions.ts'

/** A permit is used at once; an hour covers a slow block. */
const PERMIT_SECONDS = 3600

const PERMIT_TYPES = {
  Permit: [
    { name: 'owner', type: 'address' },
    { name: 'spender', type: 'address' },
    { name: 'value', type: 'uint256' },
    { name: 'nonce', type: 'uint256' },
    { name: 'deadline', type: 'uint256' },
  ],
}

/** What an account has. */
export interface Balance {
  readonly account: string
  /** Tokens in the account itself, smallest units. */
  readonly tokens: bigint
  /** Deposited and not held by orders, smallest units. */
  readonly free: bigint
  /** The ledger's own coin, wei. */
  readonly gasWei: bigint
  /** Votes that count for it now, smallest units. */
  readonly votes: bigint
  /** Whom its votes are delegated to; the zero address if they count for nobody. */
  readonly delegate: string
}

/**
 * Reads what an account has.
 *
 * @param connection - The grid.
 * @param account - Its address.
 */
export async function readBalance(connection: Connection, account: string): Promise<Balance> {
  const { token, escrow } = connection.contracts
  const [tokens, free, gasWei, votes, delegate] = await Promise.all([
    view(token, 'balanceOf', account) as Promise<bigint>,
    view(escrow, 'freeBalance', account) as Promise<bigint>,
    reading(connection.provider.getBalance(account)),
    view(token, 'getVotes', account) as Promise<bigint>,
    view(token, 'delegates', account) as Promise<string>,
  ])
  return { account, tokens, free, gasWei, votes, delegate }
}

/**
 * Deposits tokens of the signer into its free balance, with a permit, so in one transaction.
 *
 * @param connection - The grid, and who signs.
 * @param amount - Smallest units, `> 0`.
 * @param options - How far to follow the transaction.
 * @throws NodeError `TOKENS_MISSING` before anything is sent.
 */
export async function deposit(
  connection: Connection,
  amount: bigint,
  options?: FollowOptions,
): Promise<Transaction> {
  const { token, escrow } = connection.contracts
  const owner = await connection.signerAddress()
  const tokens = (await view(token, 'balanceOf', owner)) as bigint
  if (tokens < amount) {
    const said = `${formatTokens(amount)} are needed and ${formatTokens(tokens)} are there`
    throw new NodeError('TOKENS_MISSING', said, { details: { needed: amount, tokens } })
  }
  const head = await reading(connection.provider.getBlock('latest'))
  const deadline = (head?.timestamp ?? 0) + PERMIT_SECONDS
  const { v, r, s } = await signPermit(connection, owner, amount, deadline)
  const what = `deposit ${formatTokens(amount)}`
  const args = [owner, amount, deadline, v, r, s]
  return await send(
    connection,
    { what, contract: escrow, name: 'depositWithPermit', args },
    options,
  )
}

async function signPermit(
  connection: Connection,
  owner: string,
  value: bigint,
  deadline: number,
): Promise<Signature> {
  const { token, escrow } = connection.contracts
  const [domain, nonce] = await Promise.all([readDomain(token), view(token, 'nonces', owner)])
  const permit = { owner, spender: escrow.target, value, nonce, deadline }
  return Signature.from(await connection.signer().signTypedData(domain, PERMIT_TYPES, permit))
}

async function readDomain(token: Contract): Promise<TypedDataDomain> {
  const domain = (await view(token, 'eip712Domain')) as Record<string, unknown>
  return {
    name: String(domain['name']),
    version: String(domain['version']),
    chainId: domain['chainId'] as bigint,
    verifyingContract: String(domain['verifyingContract']),
  }
}

/**
 * Takes tokens out of the signer's free balance.
 *
 * @param connection - The grid, and who signs.
 * @param amount - Smallest units, `> 0`.
 * @param options - How far to follow the transaction.
 */
export async function withdraw(
  connection: Connection,
  amount: bigint,
  options?: FollowOptions,
): Promise<Transaction> {
  const { escrow: contract } = connection.contracts
  const what = `withdraw ${formatTokens(amount)}`
  return await send(connection, { what, contract, name: 'withdraw', args: [amount] }, options)
}

/**
 * Gives tokens of the signer to another account.
 *
 * @param connection - The grid, and who signs.
 * @param to - Who gets them.
 * @param amount - Smallest units.
 * @param options - How far to follow the transaction.
 */
export async function transfer(
  connection: Connection,
  to: string,
  amount: bigint,
  options?: FollowOptions,
): Promise<Transaction> {
  const { token: contract } = connection.contracts
  const what = `transfer ${formatTokens(amount)}`
  return await send(connection, { what, contract, name: 'transfer', args: [to, amount] }, options)
}
