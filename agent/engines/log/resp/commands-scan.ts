/** SCAN in redis' form. */
import { readable } from './access.ts'
import type { Command, Replied } from './command.ts'
import type { CommandParser } from './command-parser.ts'
import { globPattern } from './glob-pattern.ts'
import type { Session } from './session.ts'

/** Keys looked at for one reply at most. */
const SCAN_COUNT_MAX = 10_000
const SCAN_COUNT_DEFAULT = 10

/** The commands of this file. */
export const SCAN_COMMANDS: readonly Command[] = [
  { name: 'SCAN', arity: -1, flags: ['readonly'], run: scan },
]

/** SCAN cursor [MATCH pattern] [COUNT n]: every key that is there from the first to the last call is given. */
function scan(session: Session, args: CommandParser): Replied {
  const { writer } = session
  const cursor = args.count > 1 ? args.integer(1) : undefined
  if (cursor === undefined || cursor < 0) return writer.error('Invalid key format')
  let matches: ((key: Uint8Array) => boolean) | undefined
  let count = SCAN_COUNT_DEFAULT
  for (let at = 2; at + 1 < args.count; at += 2) {
    const option = args.word(at)
    const number = args.integer(at + 1)
    if (option === 'MATCH') matches = globPattern(args.copy(at + 1))
    else if (option === 'COUNT' && number !== undefined && number >= 1) count = number
    else if (option !== 'TYPE') return writer.error('ERR syntax error')
  }
  const namespace = readable(session)
  if (!namespace) return
  const { index } = namespace.log
  const keys: Uint8Array[] = []
  let entry = index.nextEntry(cursor)
  for (let seen = 0; entry >= 0 && seen < Math.min(count, SCAN_COUNT_MAX); seen++) {
    const key = index.keyOf(entry)
    if (!index.isDeleted(entry) && (!matches || matches(key))) keys.push(key)
    entry = index.nextEntry(entry + 1)
  }
  writer.array(2)
  writer.text(String(Math.max(0, entry)))
  writer.array(keys.length)
  for (const key of keys) writer.bulk(key)
}
