/** What a command of the protocol is. */
import type { CommandParser } from './command-parser.ts'
import type { Session } from './session.ts'

/** What a command returns: nothing, after it wrote its one reply. */
// biome-ignore lint/suspicious/noConfusingVoidType: it is what a function without a value returns
export type Replied = void

/** One command. */
export interface Command {
  /** In upper case. */
  readonly name: string
  /** Arguments with the name; negative for "at least", as redis counts them. */
  readonly arity: number
  /** For COMMAND: `write`, `readonly`, `admin`, `fast` ... */
  readonly flags: readonly string[]
  /** Where keys are among the arguments: first, last (-1: to the end), every how many; none if not given. */
  readonly keys?: readonly [first: number, last: number, step: number]
  /**
   * Writes exactly one reply, or throws the failure that becomes it. Arguments are valid until it returns; a promise suspends
   * the session until the reply is written.
   */
  readonly run: (session: Session, args: CommandParser) => Promise<void> | Replied
}

/** Replies and returns false unless the number of arguments is right and none is empty. */
export function hasArguments(session: Session, args: CommandParser, count: number): boolean {
  if (args.count !== count) {
    session.writer.error('Unexpected arguments')
    return false
  }
  return noneIsEmpty(session, args)
}

/** Replies and returns false unless there are enough arguments and none is empty. */
export function hasArgumentsMin(session: Session, args: CommandParser, count: number): boolean {
  if (args.count < count) {
    session.writer.error('Missing arguments')
    return false
  }
  return noneIsEmpty(session, args)
}

/** Replies and returns false unless an admin speaks. */
export function isAdmin(session: Session): boolean {
  if (session.isAdmin) return true
  session.writer.error('Permission denied')
  return false
}

function noneIsEmpty(session: Session, args: CommandParser): boolean {
  for (let argument = 0; argument < args.count; argument++) {
    if (args.lengthOf(argument) === 0) {
      session.writer.error('Invalid argument')
      return false
    }
  }
  return true
}
