/** What can go wrong for a client, beside what the contracts refuse (see `contract-errors.ts`). */
import type { ErrorCatalogue } from '../../agent/base/errors.ts'

export type ClientErrorCode =
  | 'LEDGER_UNREACHABLE'
  | 'LEDGER_REFUSED'
  | 'ARGUMENT_INVALID'
  | 'GRID_MISSING'
  | 'SIGNER_MISSING'
  | 'GAS_MISSING'
  | 'TOKENS_MISSING'
  | 'NONCE_TAKEN'
  | 'TRANSACTION_REVERTED'
  | 'TRANSACTION_NOT_MINED'
  | 'TRANSACTION_NOT_FINAL'
  | 'CONTRACT_REFUSED'
  | 'ORDER_NOT_FOUND'
  | 'NODE_NOT_FOUND'
  | 'NODES_TOO_FEW'
  | 'METADATA_STORES_FEW'
  | 'VOLUME_KEY_UNKNOWN'
  | 'VOLUME_INVALID'
  | 'PARAMETER_UNKNOWN'
  | 'PROPOSAL_NOT_FOUND'
  | 'PROPOSAL_NOT_PASSED'
  | 'STATUS_UNREACHABLE'

export const CLIENT_ERRORS: ErrorCatalogue<ClientErrorCode> = {
  LEDGER_UNREACHABLE: {
    means: 'No ledger answers at the URL, or not in time.',
    hint: 'Check --ledger and that the ledger runs.',
  },
  LEDGER_REFUSED: {
    means: 'The ledger answered with an error that is not a contract’s.',
    hint: 'The message is the ledger’s own; another RPC may behave better.',
  },
  ARGUMENT_INVALID: {
    means: 'A value cannot be what it is given as: a mistyped account, or a number out of range.',
    hint: 'Correct the value that the message names; the ledger was not asked.',
  },
  GRID_MISSING: {
    means: 'There is no grid at the address on this ledger.',
    hint: 'Check --grid and --ledger: one of them names another network.',
  },
  SIGNER_MISSING: {
    means: 'This changes the ledger and needs a key, and none was given.',
    hint: 'Make one with "varve keys new", and name it with --keystore or VARVE_KEYSTORE.',
  },
  GAS_MISSING: {
    means: 'The account cannot pay for the transaction’s gas.',
    hint: 'Send the account some of the ledger’s own coin.',
  },
  TOKENS_MISSING: {
    means: 'The account holds fewer tokens than this costs, its deposit included.',
    hint: 'Get tokens, or order less space or time.',
  },
  NONCE_TAKEN: {
    means: 'Another transaction of this account got in first.',
    hint: 'Look whether it did what you wanted, then run the command again.',
  },
  TRANSACTION_REVERTED: {
    means: 'The transaction was mined but undone: what it asked became impossible meanwhile.',
    hint: 'Run the command again to see why; nothing but the gas is gone.',
  },
  TRANSACTION_NOT_MINED: {
    means: 'The transaction was sent but is in no block yet.',
    hint: 'It may still be mined: look it up by its hash before you send another.',
  },
  TRANSACTION_NOT_FINAL: {
    means: 'The transaction is mined but not final yet.',
    hint: 'Wait; agents act only on what is final.',
  },
  CONTRACT_REFUSED: {
    means: 'A contract refused for a reason that this version does not know.',
    hint: 'Update the client.',
  },
  ORDER_NOT_FOUND: {
    means: 'There is no order with this number.',
    hint: 'List yours with "varve orders".',
  },
  NODE_NOT_FOUND: {
    means: 'There is no node with this number.',
    hint: 'List them with "varve nodes".',
  },
  NODES_TOO_FEW: {
    means: 'Too few nodes of distinct farms are alive with enough room at an allowed price.',
    hint: 'Order fewer shards or less space, or wait for nodes; see "varve nodes".',
  },
  METADATA_STORES_FEW: {
    means:
      'With fewer than three metadata stores one that is away stops writing, and one that is lost and one away stop opening.',
    hint: 'Order three or more, or say that fewer are meant: "--few-metadata", fewMetaStoresAllowed.',
  },
  VOLUME_KEY_UNKNOWN: {
    means: 'This account did not derive the key of the volume.',
    hint: 'Use the account that ordered the volume.',
  },
  VOLUME_INVALID: {
    means: 'The order is not a volume of yours that lives.',
    hint: 'See "varve orders"; only live volumes can be mounted.',
  },
  PARAMETER_UNKNOWN: {
    means: 'Policy has no parameter of this name, or the value is none for it.',
    hint: 'See "varve policy" for names, values and bounds.',
  },
  PROPOSAL_NOT_FOUND: {
    means: 'There is no proposal with this number.',
    hint: 'List them with "varve proposals".',
  },
  PROPOSAL_NOT_PASSED: {
    means: 'The proposal ended in another state than the one waited for.',
    hint: 'See "varve proposals" for the votes; propose again if it failed.',
  },
  STATUS_UNREACHABLE: {
    means: 'No agent answers on the status socket, or it answers something else.',
    hint: 'The socket is run/status.sock in the agent’s data directory; is the agent running?',
  },
}
