/**
 * Whose words and semantics a connection gets where 0-db and redis differ: SET answers the key or OK, DEL takes a timestamp or
 * more keys, errors begin with a code or do not.
 *
 * Clients of redis say who they are before anything else (HELLO, CLIENT SETINFO, COMMAND DOCS, AUTH with a user); clients of 0-db
 * say nothing of the kind. So a connection speaks 0-db until it has said so; what a connection, its namespace or the start of
 * the store asks for goes before that.
 */

/** The two. */
export type Dialect = '0-db' | 'redis'

/** What a namespace or a start asks for: one of them, or what each connection shows. */
export type DialectRule = 'auto' | Dialect

/** All rules, for settings. */
export const DIALECT_RULES: readonly DialectRule[] = ['auto', 'redis', '0-db']

/** Commands that only clients of redis send, whatever their arguments. */
const OF_REDIS: ReadonlySet<string> = new Set(['HELLO', 'CLIENT', 'COMMAND'])

/**
 * Tells whether a command shows a client of redis.
 *
 * @param name - In upper case.
 * @param count - Arguments, the name included.
 * @param first - The first argument in upper case, if there is one.
 */
export function showsRedis(name: string, count: number, first: string | undefined): boolean {
  // AUTH SECURE ... is 0-db's.
  return OF_REDIS.has(name) || (name === 'AUTH' && count === 3 && first !== 'SECURE')
}

/** The dialect of a connection. */
export class DialectChoice {
  /** Set by CLIENT DIALECT. */
  said: DialectRule = 'auto'
  /** What the client showed to be. */
  heard: Dialect = '0-db'

  /**
   * Decides.
   *
   * @param ofNamespace - Rule of the selected namespace.
   * @param ofStore - Rule of the start.
   * @returns The first of connection, namespace and start that asks for one, else what was heard.
   */
  decide(ofNamespace: DialectRule, ofStore: DialectRule): Dialect {
    for (const rule of [this.said, ofNamespace, ofStore]) if (rule !== 'auto') return rule
    return this.heard
  }
}
