/** The words in which a client hears of failures: 0-db's where 0-db has the case, a leading code word of ours elsewhere. */
import { codeOf, describeError, isNodeError } from '../../../base/errors.ts'

const WORDS: Readonly<Record<string, string>> = {
  LOG_RECORD_CORRUPT: 'CORRUPT the value does not match its checksum and was not served',
  LOG_NAMESPACE_FULL: 'No space left on this namespace',
  LOG_NAMESPACE_UNKNOWN: 'Namespace not found',
  LOG_NAMESPACE_EXISTS: 'This namespace is not available',
  LOG_NAME_INVALID: 'This name is not allowed',
  LOG_READ_ONLY: 'READONLY the store was started for reading only',
  LOG_WORM: 'Namespace is protected by worm mode',
  LOG_KEY_INVALID: 'Invalid key',
  LOG_VALUE_TOO_LARGE: 'Value too large',
  LOG_PROPERTY_INVALID: 'Invalid property',
  LOG_NOT_PROVABLE: 'Namespace is not provable (NSSET name provable 1)',
  LOG_PROOF_RANGE: 'No such record or size',
  LOG_PASSWORDS_BUSY: 'BUSY too many passwords to check, try again later',
  DISK_FULL: 'DISKFULL no space left on the device',
  DISK_READ_ONLY: 'READONLY the disk cannot be written',
}

/**
 * Words for a failure.
 *
 * @param caught - Whatever a `catch` received.
 * @returns One line without the leading `-`; failures without words of their own become `IOERR`.
 * @example
 * wordsOf(new NodeError('LOG_NAMESPACE_FULL', 'x')) // 'No space left on this namespace'
 */
export function wordsOf(caught: unknown): string {
  const words = WORDS[codeOf(caught) ?? '']
  if (words !== undefined) return words
  return isNodeError(caught) ? `IOERR ${describeError(caught)}` : 'Internal Error'
}
