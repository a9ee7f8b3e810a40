/** 0-db's challenge: proves that one knows a password without sending it. SHA-1 is its choice, kept for its clients. */
import { createHash, timingSafeEqual } from 'node:crypto'

/**
 * The answer that is expected.
 *
 * @param nonce - What was asked, as text.
 * @param password - The secret.
 * @returns 40 hexadecimal digits.
 */
export function challengeAnswer(nonce: string, password: Uint8Array): string {
  return createHash('sha1').update(`${nonce}:`).update(password).digest('hex')
}

/** Compares in constant time. @param answer - 40 characters. */
export function isChallengeAnswer(answer: string, expected: string): boolean {
  return timingSafeEqual(
    Buffer.from(answer.toLowerCase(), 'latin1'),
    Buffer.from(expected, 'latin1'),
  )
}
