/** What can be wrong with a configuration. */
import type { ErrorCatalogue } from '../base/errors.ts'

export type ConfigErrorCode = 'CONFIG_INVALID' | 'CONFIG_UNREADABLE' | 'USAGE_INVALID'

export const CONFIG_ERRORS: ErrorCatalogue<ConfigErrorCode> = {
  CONFIG_INVALID: {
    means: 'A setting is missing, unknown or out of range.',
    hint: 'See `varve-agent config --help` and the commented agent/config/example.jsonc.',
  },
  CONFIG_UNREADABLE: {
    means: 'The configuration file cannot be read, or is not JSON with comments.',
    hint: 'Check the path given to --config and the line named in the message.',
  },
  USAGE_INVALID: {
    means: 'The command line cannot be understood.',
    hint: 'Run the command with --help.',
  },
}
