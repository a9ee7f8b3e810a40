/**
 * Tells HTTP from commands that a person typed. Any web page can have a browser send an HTTP request to this machine, with commands
 * as its body; so a connection that begins like HTTP is cut before anything of it runs.
 */

/** Verbs of HTTP; `GET` is not among them, because it is a command too: its line shows by the version at its end. */
const VERBS: ReadonlySet<string> = new Set([
  ...['POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECT', 'PRI'],
])

/**
 * Tells whether a line is of HTTP: a request, or a header (`Host:`).
 *
 * @param words - The line, cut at blanks.
 */
export function isHttpLine(words: readonly string[]): boolean {
  const [first = ''] = words
  const last = words.at(-1) ?? ''
  return VERBS.has(first.toUpperCase()) || /^[A-Za-z-]+:/.test(first) || /^HTTP\/\d/i.test(last)
}
