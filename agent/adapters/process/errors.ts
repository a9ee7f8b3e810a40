/** What can go wrong with an agent's data directory. */
import type { ErrorCatalogue } from '../../base/errors.ts'

export type ProcessErrorCode =
  | 'AGENT_ALREADY_RUNNING'
  | 'IDENTITY_CORRUPT'
  | 'DATA_DIRECTORY_UNUSABLE'

export const PROCESS_ERRORS: ErrorCatalogue<ProcessErrorCode> = {
  AGENT_ALREADY_RUNNING: {
    means: 'Another agent uses the data directory.',
    hint: 'Stop it first, or give this one another --data directory.',
  },
  IDENTITY_CORRUPT: {
    means: 'The file identity.json of the data directory is not an identity.',
    hint: 'Restore it from a backup: a node without its identity loses its registration and its mounts.',
  },
  DATA_DIRECTORY_UNUSABLE: {
    means: 'The data directory cannot be made or written.',
    hint: 'Check the path given to --data, its owner and the disk.',
  },
}
