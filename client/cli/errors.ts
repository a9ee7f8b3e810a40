/** What can go wrong at the command line itself, and which exit code each failure gives. */
import type { ErrorCatalogue } from '../../agent/base/errors.ts'

export type CliErrorCode =
  | 'USAGE_INVALID'
  | 'SETTING_MISSING'
  | 'CONFIG_INVALID'
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

/** Exit codes, as `varve --help` lists them. */
export const EXIT = {
  done: 0,
  refused: 1,
  usage: 2,
  unreachable: 3,
  key: 4,
  notYet: 5,
  declined: 6,
  bug: 70,
} as const

/** What each exit code means, for `--help`. */
export const EXIT_TEXT: readonly (readonly [code: number, means: string])[] = [
  [EXIT.done, 'done'],
  [EXIT.refused, 'refused by a contract, or failed otherwise; nothing but gas is gone'],
  [EXIT.usage, 'wrong usage, or a setting is missing'],
  [EXIT.unreachable, 'no ledger, grid or agent answers'],
  [EXIT.key, 'no key, or a wrong password'],
  [EXIT.notYet, 'sent, but not mined or final in time: look before you repeat it'],
  [EXIT.declined, 'you said no'],
  [EXIT.bug, 'a bug in this program'],
]

const BY_CODE: Readonly<Record<string, number>> = {
  USAGE_INVALID: EXIT.usage,
  SETTING_MISSING: EXIT.usage,
  CONFIG_INVALID: EXIT.usage,
  CONFIRMATION_MISSING: EXIT.usage,
  PARAMETER_UNKNOWN: EXIT.usage,
  ID_INVALID: EXIT.usage,
  LEDGER_UNREACHABLE: EXIT.unreachable,
  GRID_MISSING: EXIT.unreachable,
  STATUS_UNREACHABLE: EXIT.unreachable,
  SIGNER_MISSING: EXIT.key,
  KEYSTORE_MISSING: EXIT.key,
  KEYSTORE_EXISTS: EXIT.key,
  KEYSTORE_BUSY: EXIT.key,
  KEYSTORE_INVALID: EXIT.key,
  KEYSTORE_OPEN: EXIT.key,
  PASSWORD_MISSING: EXIT.key,
  PASSWORD_WRONG: EXIT.key,
  KEY_UNREADABLE: EXIT.key,
  TRANSACTION_NOT_MINED: EXIT.notYet,
  TRANSACTION_NOT_FINAL: EXIT.notYet,
  DECLINED: EXIT.declined,
}

/**
 * Exit code of a failure.
 *
 * @param code - Code of the failure.
 * @returns {@link EXIT}`.refused` for all that is not named here.
 */
export function exitCodeOf(code: string): number {
  return BY_CODE[code] ?? EXIT.refused
}
