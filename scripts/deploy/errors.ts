/** What can go wrong when the contracts are deployed. */
import type { ErrorCatalogue } from '../../agent/base/errors.ts'

export type DeployErrorCode =
  | 'DEPLOY_NOT_BUILT'
  | 'DEPLOY_FAILED'
  | 'DEPLOY_LOST'
  | 'DEPLOY_KEY_MISSING'
  | 'DEPLOY_CHAIN_UNSUITABLE'

export const DEPLOY_ERRORS: ErrorCatalogue<DeployErrorCode> = {
  DEPLOY_NOT_BUILT: {
    means: 'The compiled contracts are not there.',
    hint: 'Run npm run build first.',
  },
  DEPLOY_FAILED: {
    means: 'A contract could not be deployed or wired.',
    hint: 'Read which one below; when the cause is gone, run the same command again: it goes on where it stopped.',
  },
  DEPLOY_LOST: {
    means: 'The deployment directory belongs to another chain: its grid has no code here.',
    hint: 'Use the ledger that it was made for, or another deployment directory.',
  },
  DEPLOY_CHAIN_UNSUITABLE: {
    means: 'On this chain audits could be foreseen, or specs not be read.',
    hint: 'Deploy on Ethereum or an OP-stack chain; docs/design/0003-contracts.md, section 11, says why.',
  },
  DEPLOY_KEY_MISSING: {
    means: 'No key to deploy with was given.',
    hint: 'Put the private key into a file that only you can read and name it with --key-file.',
  },
}
