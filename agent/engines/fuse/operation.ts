/**
 * The shape of an operation: read the request, ask the file system, say how to write the answer.
 *
 * Reading is done at once, because the request's buffer goes back; the answer may come later, and only when it is written is
 * the kernel known to have it (lookup counts, handles).
 */
import type { Inodes } from './inodes.ts'
import type { FileSystem, Reply } from './ports.ts'
import type { Lifetimes, ReplyWriter } from './reply-writer.ts'
import type { RequestHeader, RequestReader } from './request-reader.ts'

/** What operations work with. */
export interface Serving {
  readonly fileSystem: FileSystem
  readonly inodes: Inodes
  readonly lifetimes: Lifetimes
  /** Flags of the reply to every OPEN of a file and of a directory. */
  readonly openFileFlags: number
  readonly openDirectoryFlags: number
}

/** Writes the body of a reply. */
export type Encode = (out: ReplyWriter) => void

/** One kind of request. */
export interface Operation {
  readonly name: string
  /**
   * True if the answer may be dropped while it is pending because the caller is ending: it asks and changes nothing. Never of
   * what has or may have had an effect, syncs among it: a program that is told EINTR does it again.
   */
  readonly stoppable: boolean
  /** True if the file system is handed bytes of the request's buffer, which then must wait for the answer. */
  readonly holdsRequest: boolean
  begin(serving: Serving, header: RequestHeader, reader: RequestReader): Reply<Encode>
  /**
   * Of a change that cannot be done twice (a name is made, moved or removed): the answer to one that was done by a process before
   * this one, which did not live to answer. The file system does such changes at once, never with a promise.
   */
  readonly again?: Operation['begin']
}

/**
 * Makes an operation.
 *
 * @param name - For logs and figures.
 * @param begin - Reads the request, asks, and says how to write the answer.
 * @param traits - What differs from an ordinary change: not stoppable, holding nothing.
 */
export function operation(
  name: string,
  begin: Operation['begin'],
  traits: { stoppable?: boolean; holdsRequest?: boolean; again?: Operation['begin'] } = {},
): Operation {
  return {
    name,
    stoppable: traits.stoppable ?? false,
    holdsRequest: traits.holdsRequest ?? false,
    ...(traits.again && { again: traits.again }),
    begin,
  }
}

/** The reply without a body. */
export const nothing: Encode = () => {}

/**
 * Goes on with an answer now or when it comes.
 *
 * @param reply - The answer, or a promise of it.
 * @param next - What to do with it.
 * @returns What `next` gives, at once if the answer was there.
 */
export function then<T, U>(reply: Reply<T>, next: (value: T) => Reply<U>): Reply<U> {
  return reply instanceof Promise ? reply.then(next) : next(reply)
}
