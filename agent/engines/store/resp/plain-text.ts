/** Text that strangers chose, made fit for protocols and terminals whose unit is the line or the word. */

/**
 * Whether a name can stand in a line of words: nothing but visible ASCII without blanks, as redis asks of clients' names.
 *
 * @param text - Bytes as latin1; may be empty.
 */
export function isPlainWord(text: string): boolean {
  return /^[!-~]*$/.test(text)
}

/**
 * Whether bytes hold nothing that ends a line or steers a terminal, in ASCII or in UTF-8.
 *
 * @param text - Bytes as latin1.
 */
export function isOneLine(text: string): boolean {
  return oneLine(text) === text
}

/**
 * Makes bytes fit for a line: what ends lines or steers terminals is written as `\x0a` is.
 *
 * @param text - Bytes as latin1.
 * @returns Bytes as latin1; the same where there is nothing of the kind.
 * @example
 * oneLine('a\nb') // 'a\\x0ab'
 */
export function oneLine(text: string): string {
  const escaped = [...text].map((byte) => (isControl(byte.charCodeAt(0)) ? hex(byte) : byte))
  // In UTF-8: the controls U+0080 to U+009F, and the separators of lines and paragraphs.
  return escaped
    .join('')
    .replace(/\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]/g, (bytes) => [...bytes].map(hex).join(''))
}

/**
 * Makes bytes fit for a word in a line: whatever {@link isPlainWord} does not allow is written as `\x20` is.
 *
 * @param text - Bytes as latin1.
 */
export function plainWord(text: string): string {
  return text.replace(/[^!-~]/g, hex)
}

const isControl = (code: number): boolean => code < 0x20 || code === 0x7f

const hex = (byte: string): string => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`
