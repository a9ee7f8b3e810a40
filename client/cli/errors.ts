/** What can go wrong at the command line itself. */
import type { ErrorCatalogue } from '../../agent/base/errors.ts'

export type CliErrorCode =
  | 'USAGE_INVALID'
  | 'SETTING_MISSING'
  | 'SETTING_INVALID'
  | 'CONFIG_INVALID'
  | 'SYSTEM_REFUSED'
  | 'KEYSTORE_MISSING'
  | 'KEYSTORE_EXISTS'
  | 'KEYSTORE_BUSY'
  | 'KEYSTORE_INVALID'
  | 'KEYSTORE_OPEN'
  | 'PASSWORD_MISSING'
  | 'PASSWORD_WRONG'
  | 'KEY_UNREADABLE'
  | 'CONFIRMATION_MISSING'
  | 'DECLINED'

export const CLI_ERRORS: ErrorCatalogue<CliErrorCode> = {
  USAGE_INVALID: {
    means: 'The command line cannot be understood.',
    hint: 'Run the command with --help.',
  },
  SETTING_MISSING: {
    means: 'The command needs a setting that is nowhere: which ledger, or which grid.',
    hint: 'Give --ledger and --grid, set VARVE_LEDGER and VARVE_GRID, or run "varve config set".',
  },
  SETTING_INVALID: {
    means: 'A setting cannot be what it says: an address is mistyped, or a URL is none.',
    hint: 'Correct it where it comes from; "varve config" shows where that is.',
  },
  SYSTEM_REFUSED: {
    means: 'The system refused to read or write a file.',
    hint: 'Check that it is there, that it is yours, and that there is room.',
  },
  CONFIG_INVALID: {
    means: 'The configuration file is not what this program writes.',
    hint: 'Correct it, or delete it and run "varve config set" again.',
  },
  KEYSTORE_MISSING: {
    means: 'The keystore file is not there.',
    hint: 'Make one with "varve keys new", or name another with --keystore.',
  },
  KEYSTORE_EXISTS: {
    means: 'There is a keystore file already; it is never overwritten.',
    hint: 'Name another with --keystore.',
  },
  KEYSTORE_BUSY: {
    means: 'Another process is making a keystore of this name.',
    hint: 'Wait until it is done, or name another with --keystore.',
  },
  KEYSTORE_INVALID: {
    means: 'The file is no encrypted keystore (web3 secret storage, version 3).',
    hint: 'Check the path; import a bare key with "varve keys import".',
  },
  KEYSTORE_OPEN: {
    means: 'Other users of this machine can read a file that holds a secret in plain.',
    hint: 'Run chmod 600 on it.',
  },
  PASSWORD_MISSING: {
    means: 'The keystore needs a password, and there is no terminal to ask at.',
    hint: 'Put it into a file that only you can read and name that with --password-file.',
  },
  PASSWORD_WRONG: {
    means: 'The password does not open the keystore.',
    hint: 'Try again; without the password the key is lost.',
  },
  KEY_UNREADABLE: {
    means: 'What was given is no private key: 32 bytes in hexadecimal.',
    hint: 'Check the file or the variable; nothing of it is shown here.',
  },
  CONFIRMATION_MISSING: {
    means: 'The command costs money or cannot be undone, and there is no terminal to ask at.',
    hint: 'Add --yes if you mean it.',
  },
  DECLINED: {
    means: 'You said no.',
    hint: 'Nothing was changed.',
  },
}
