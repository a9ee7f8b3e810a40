/** Why the ledger is waited for, and what can go wrong with transactions. */
import type { ErrorCatalogue } from '../base/errors.ts'

/** Reasons for which an agent believes nothing new and goes on with what it knows. */
export type LedgerWaitCode =
  | 'LEDGER_UNREACHABLE'
  | 'LEDGER_RPC_FAILED'
  | 'LEDGER_RATE_LIMITED'
  | 'LEDGER_RESPONSE_INVALID'
  | 'LEDGER_RESPONSE_TOO_LARGE'
  | 'LEDGER_WRONG_CHAIN'
  | 'LEDGER_WRONG_GRID'
  | 'LEDGER_NO_FINALITY'
  | 'LEDGER_BEHIND'
  | 'LEDGER_FORKED'
  | 'LEDGER_REVERTED'
  | 'LEDGER_HEADER_FORGED'
  | 'LEDGER_TIME_IMPLAUSIBLE'
  | 'LEDGER_LOGS_WITHHELD'
  | 'LEDGER_STALLED'
  | 'LEDGER_DISAGREE'

/** Why a transaction is not done. */
export type TransactionErrorCode =
  | 'TRANSACTION_REVERTED'
  | 'TRANSACTION_UNFUNDED'
  | 'TRANSACTION_REFUSED'

export type LedgerErrorCode = LedgerWaitCode | TransactionErrorCode

export const LEDGER_ERRORS: ErrorCatalogue<LedgerErrorCode> = {
  LEDGER_UNREACHABLE: {
    means: 'No answer came from enough of the RPC endpoints.',
    hint: 'Check the --ledger URLs and the network; the agent goes on with what it last read.',
  },
  LEDGER_RPC_FAILED: {
    means: 'An RPC endpoint answered a request with an error.',
    hint: 'See the message; the endpoint may be syncing or pruning state.',
  },
  LEDGER_RATE_LIMITED: {
    means: 'The endpoint takes no more requests for a while; none is sent until then.',
    hint: 'Use an endpoint of your own, or one that allows about 120 requests a minute.',
  },
  LEDGER_RESPONSE_INVALID: {
    means: 'An RPC endpoint answered something that is not what was asked for.',
    hint: 'Use another endpoint; nothing of the answer was believed.',
  },
  LEDGER_RESPONSE_TOO_LARGE: {
    means: 'An RPC endpoint sent more than an answer may have.',
    hint: 'Use another endpoint; the answer was dropped.',
  },
  LEDGER_WRONG_CHAIN: {
    means: 'The endpoint serves another chain than at first start.',
    hint: 'Check the --ledger URLs; a node never changes its chain. Use a new --data directory for another.',
  },
  LEDGER_WRONG_GRID: {
    means: 'At the grid address there is no grid, or another than at first start.',
    hint: 'Check --grid and that the endpoint is synced; a node never changes its grid.',
  },
  LEDGER_NO_FINALITY: {
    means: 'The chain has no final block yet, or the endpoint does not tell it.',
    hint: 'Wait for the first final block; use an endpoint that supports the "finalized" tag.',
  },
  LEDGER_BEHIND: {
    means: 'The endpoint is at an older final block than was already read.',
    hint: 'The endpoint lags or was rolled back; wait, or use another.',
  },
  LEDGER_FORKED: {
    means: 'A block that was final has another hash now.',
    hint: 'The endpoint is on another fork, or finality was broken; nothing is done until it agrees again.',
  },
  LEDGER_REVERTED: {
    means:
      'What was read as final turned out not to be: it was read anew from a block before, and nothing is deleted for a whole grace.',
    hint: 'An endpoint lied, or the chain broke its finality: compare the endpoints, and use several that are independent.',
  },
  LEDGER_HEADER_FORGED: {
    means: 'A block’s header does not hash to the hash that the endpoint gives it.',
    hint: 'The endpoint is faulty or lying: use another. If the chain’s headers have another format, set ledgerHeaders to unchecked.',
  },
  LEDGER_TIME_IMPLAUSIBLE: {
    means: 'A block’s time cannot be true by this machine’s clock and by the blocks before it.',
    hint: 'Check this machine’s clock, then the endpoint. Only for a local chain whose time is moved by hand, set ledgerTime to warped.',
  },
  LEDGER_LOGS_WITHHELD: {
    means: 'The events that were given are not all that the contract counted.',
    hint: 'The endpoint is pruned, faulty or lying; use another.',
  },
  LEDGER_STALLED: {
    means: 'The final block has not advanced for longer than blocks should take.',
    hint: 'The chain or the endpoint stands still; the agent goes on with what it last read.',
  },
  LEDGER_DISAGREE: {
    means: 'Fewer than a majority of the endpoints agree on what is final.',
    hint: 'One of them is faulty or lying: see the sources in the status.',
  },
  TRANSACTION_REVERTED: {
    means: 'The contract refuses the transaction.',
    hint: 'See the name of the error; it is tried again only after the ledger changed.',
  },
  TRANSACTION_UNFUNDED: {
    means: 'The account of the node cannot pay the gas.',
    hint: 'Send some of the native currency to the account shown in the status.',
  },
  TRANSACTION_REFUSED: {
    means: 'The endpoint did not take the transaction.',
    hint: 'See the message; it is tried again.',
  },
}
