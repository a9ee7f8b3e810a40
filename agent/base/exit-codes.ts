/** What the exit codes of both programs mean; scripts rely on them, so that a number never changes its meaning. */

/** Exit codes of `varve` and `varve-agent`. */
export const EXIT = {
  done: 0,
  refused: 1,
  usage: 2,
  unreachable: 3,
  key: 4,
  notYet: 5,
  declined: 6,
  ill: 7,
  bug: 70,
} as const

/** What each exit code means, for `--help`. */
export const EXIT_TEXT: readonly (readonly [code: number, means: string])[] = [
  [EXIT.done, 'done'],
  [EXIT.refused, 'refused by a contract, or failed otherwise; nothing but gas is gone'],
  [EXIT.usage, 'wrong usage, or a setting is missing or wrong'],
  [EXIT.unreachable, 'no ledger, grid or agent answers'],
  [EXIT.key, 'no key, or a wrong password'],
  [EXIT.notYet, 'sent, but not mined or final in time: look before you repeat it'],
  [EXIT.declined, 'you said no'],
  [EXIT.ill, 'shown, and what was asked about is not well'],
  [EXIT.bug, 'a bug in this program'],
]

const BY_CODE: Readonly<Record<string, number>> = {
  ARGUMENT_INVALID: EXIT.usage,
  CONFIG_INVALID: EXIT.usage,
  CONFIG_UNREADABLE: EXIT.usage,
  CONFIRMATION_MISSING: EXIT.usage,
  ID_INVALID: EXIT.usage,
  PARAMETER_UNKNOWN: EXIT.usage,
  SETTING_INVALID: EXIT.usage,
  SETTING_MISSING: EXIT.usage,
  STORE_USAGE: EXIT.usage,
  USAGE_INVALID: EXIT.usage,
  GRID_MISSING: EXIT.unreachable,
  LEDGER_UNREACHABLE: EXIT.unreachable,
  STATUS_UNREACHABLE: EXIT.unreachable,
  KEYSTORE_BUSY: EXIT.key,
  KEYSTORE_EXISTS: EXIT.key,
  KEYSTORE_INVALID: EXIT.key,
  KEYSTORE_MISSING: EXIT.key,
  KEYSTORE_OPEN: EXIT.key,
  KEY_UNREADABLE: EXIT.key,
  PASSWORD_MISSING: EXIT.key,
  PASSWORD_WRONG: EXIT.key,
  SIGNER_MISSING: EXIT.key,
  TRANSACTION_NOT_FINAL: EXIT.notYet,
  TRANSACTION_NOT_MINED: EXIT.notYet,
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

/** The part of a help text that lists the exit codes. */
export const EXIT_HELP = `Exit codes:
${EXIT_TEXT.map(([code, means]) => `  ${String(code).padStart(2)}  ${means}`).join('\n')}
`
