/**
 * One connection to the kernel: every request is answered once, whatever the file system does.
 *
 * What the file system answers at once goes back before the next request is looked at; what takes longer waits in a bounded
 * table while others go on. A failure is the answer to one request and never more than that.
 */
import { describeError, NodeError } from '../../base/errors.ts'
import type { Clock, Log } from '../../base/ports.ts'
import { ERRNO, errnoOf } from './errno.ts'
import { agree, type CachePolicy, decodeInit, encodeInit } from './init.ts'
import { Inodes } from './inodes.ts'
import type { Encode, Operation, Serving } from './operation.ts'
import { ATTRIBUTES } from './operations/attributes.ts'
import { DIRECTORIES } from './operations/directories.ts'
import { FILES } from './operations/files.ts'
import { NAMES } from './operations/names.ts'
import type {
  FileSystem,
  FuseDevice,
  LastChange,
  Reply,
  RequestBuffer,
  RequestReceiver,
  ResumedConnection,
} from './ports.ts'
import { FOPEN, INIT, NOTIFY, OP, OUT_HEADER_BYTES } from './protocol.ts'
import { type ReadReply, Reads } from './reads.ts'
import { ReplyWriter, writeOutHeader } from './reply-writer.ts'
import { type RequestHeader, RequestReader } from './request-reader.ts'

/** Requests under way at most, then the rest stays in the kernel; each costs about a kilobyte here. */
export const REQUESTS_MAX = 1024
/** Where delivery begins again. */
const REQUESTS_RESUME = REQUESTS_MAX / 2

/** Only the kernel changes the volume, so what it was told stays true; the bound is for its own table. */
const EXCLUSIVE_SECONDS = 3600
/** A snapshot never changes. */
const FROZEN_SECONDS = 365 * 24 * 3600
/** How long a reader of a live volume may miss a change by the writer. */
const SHARED_SECONDS = 1
/** How often a program that was interrupted is looked at again: the kernel says only once that a signal came. */
const INTERRUPTED_CHECK_MS = 250

const OPERATIONS: Readonly<Record<number, Operation>> = {
  ...NAMES,
  ...ATTRIBUTES,
  ...FILES,
  ...DIRECTORIES,
}

/** What a session needs. */
export interface FuseSessionInit {
  readonly fileSystem: FileSystem
  readonly device: FuseDevice
  readonly cache: CachePolicy
  readonly clock: Clock
  readonly log: Log
  /** Where the last change is noted; absent where nobody can take over. */
  readonly lastChange?: LastChange
  /** The connection was served before, by a process that is gone. */
  readonly resumed?: Pick<ResumedConnection, 'isLastChangeDone'>
}

/** What a session has done and holds. */
export interface FuseFigures {
  readonly requests: number
  /** Requests answered with an error, the ordinary ones (no such name) included. */
  readonly failures: number
  readonly pending: number
  readonly inodesKnown: number
  readonly handlesOpen: number
}

/** A request whose answer is not there yet. */
interface Pending {
  readonly name: string
  readonly isStoppable: boolean
  readonly abort: AbortController | undefined
  /** Thread of the program that asked; 0 if it is not to be seen from here. */
  readonly task: number
  /** A signal came for the program, which goes on unless it is ending. */
  isInterrupted: boolean
  /** The kernel was told EINTR, or is gone: the late answer is dropped. */
  isDropped: boolean
}

/** Serves one connection. */
export class FuseSession implements RequestReceiver {
  /** Resolves when the kernel has opened the conversation. @throws NodeError `FUSE_VERSION`. */
  readonly ready: Promise<void>
  /** Resolves when the connection is gone and everything that the kernel held is given back. */
  readonly closed: Promise<void>
  readonly #init: FuseSessionInit
  readonly #serving: Serving
  readonly #reads: Reads
  readonly #reader = new RequestReader()
  readonly #writer = new ReplyWriter()
  readonly #pending = new Map<number, Pending>()
  readonly #ready = Promise.withResolvers<void>()
  readonly #closed = Promise.withResolvers<void>()
  #requests = 0
  #failures = 0
  #isPaused = false
  #isGone = false
  #isWatchingInterrupted = false
  #canResend = false
  /** Number of the change that a process before this one did and did not answer; 0 if there is none. */
  readonly #doneBefore: number

  constructor(init: FuseSessionInit) {
    this.#init = init
    this.#reads = new Reads(init.fileSystem)
    this.#serving = servingOf(init)
    this.ready = this.#ready.promise
    this.closed = this.#closed.promise
    this.ready.catch(() => {}) // whoever waits sees it; nobody waiting is no crash
    this.#doneBefore = init.resumed?.isLastChangeDone ? (init.lastChange?.unique ?? 0) : 0
    this.#canResend = init.resumed !== undefined
    if (init.resumed) this.#ready.resolve()
  }

  get figures(): FuseFigures {
    return {
      requests: this.#requests,
      failures: this.#failures,
      pending: this.#pending.size,
      inodesKnown: this.#serving.inodes.known,
      handlesOpen: this.#serving.inodes.open,
    }
  }

  /** Whether the kernel sends requests under way again: only then may another process take over. */
  get canResend(): boolean {
    return this.#canResend
  }

  /** Asks for all requests again that the process before this one had taken and not answered. */
  resend(): void {
    this.#writer.begin()
    this.#init.device.send(this.#writer.finish(0, -NOTIFY.RESEND))
  }

  request(buffer: RequestBuffer): boolean {
    this.#requests++
    const header = this.#reader.begin(buffer.bytes, buffer.lengthBytes)
    if (header === undefined) {
      this.#init.log.error({ lengthBytes: buffer.lengthBytes }, 'fuse: request without a header')
      buffer.release()
      return true
    }
    let isHeld = false
    try {
      this.#reader.checkLength()
      isHeld = this.#serve(header, buffer)
    } catch (caught) {
      this.#fail(header, nameOf(header.opcode), caught)
    }
    if (!isHeld) buffer.release()
    return this.#pending.size === 0
  }

  connectionClosed(reason: NodeError | undefined): void {
    if (this.#isGone) return
    this.#isGone = true
    if (reason) this.#init.log.error({ reason: describeError(reason) }, 'fuse: connection lost')
    this.#ready.reject(reason ?? new NodeError('FUSE_CLOSED', 'unmounted before it was ready'))
    for (const pending of this.#pending.values()) {
      pending.isDropped = true
      pending.abort?.abort()
    }
    if (this.#pending.size === 0) void this.#giveBack()
  }

  /** @returns True if the request's buffer is still needed. */
  #serve(header: RequestHeader, buffer: RequestBuffer): boolean {
    switch (header.opcode) {
      case OP.READ:
        this.#read(header)
        return false
      case OP.FORGET:
        this.#forget(header.ino, this.#reader.u64())
        return false
      case OP.BATCH_FORGET:
        this.#forgetMany()
        return false
      case OP.INTERRUPT:
        this.#interrupt(this.#reader.unique())
        return false
      case OP.INIT:
        this.#open(header)
        return false
      case OP.DESTROY:
        this.#answer(header, 'destroy', () => {})
        return false
      case OP.IOCTL:
        throw new NodeError('NOT_A_TERMINAL', 'no ioctl is served')
      default:
        return this.#operate(header, buffer)
    }
  }

  #operate(header: RequestHeader, buffer: RequestBuffer): boolean {
    const operation = OPERATIONS[header.opcode]
    if (operation === undefined) {
      throw new NodeError('NOT_IMPLEMENTED', `operation ${header.opcode} is not served`)
    }
    const outcome = this.#begin(operation, header)
    if (!(outcome instanceof Promise)) {
      this.#answer(header, operation.name, outcome)
      return false
    }
    const holds = operation.holdsRequest
    const settled = this.#wait(
      header,
      operation.name,
      operation.stoppable,
      undefined,
      outcome,
      (encode) => this.#answer(header, operation.name, encode),
    )
    if (holds) void settled.then(() => buffer.release())
    return holds
  }

  /** Changes that cannot be done twice are noted before they are done, and only answered if they were done before. */
  #begin(operation: Operation, header: RequestHeader): Reply<Encode> {
    const { lastChange, fileSystem } = this.#init
    if (operation.again && lastChange) {
      const isDone = header.unique < 0 && -header.unique === this.#doneBefore
      if (isDone) return operation.again(this.#serving, header, this.#reader)
      lastChange.note(Math.abs(header.unique), fileSystem.position?.() ?? 0)
    }
    return operation.begin(this.#serving, header, this.#reader)
  }

  #read(header: RequestHeader): void {
    let abort: AbortController | undefined
    const outcome = this.#reads.begin(this.#reader, (controller) => {
      abort = controller
    })
    if (!(outcome instanceof Promise)) {
      this.#answerRead(header, outcome)
      return
    }
    const kept = outcome.then((reply) => {
      if (this.#pending.get(header.unique)?.isDropped) reply.done()
      return reply
    })
    void this.#wait(header, 'read', true, abort, kept, (reply) => this.#answerRead(header, reply))
  }

  /** Keeps a request until its answer comes, then gives the answer unless it was dropped. Never rejects. */
  async #wait<T>(
    header: RequestHeader,
    name: string,
    isStoppable: boolean,
    abort: AbortController | undefined,
    outcome: Promise<T>,
    answer: (value: T) => void,
  ): Promise<void> {
    const task = header.pid
    const isDropped = this.#isGone
    const pending: Pending = { name, isStoppable, abort, task, isInterrupted: false, isDropped }
    this.#pending.set(header.unique, pending)
    this.#throttle()
    try {
      const value = await outcome
      if (!pending.isDropped) answer(value)
    } catch (caught) {
      if (!pending.isDropped) this.#fail(header, name, caught)
    } finally {
      this.#pending.delete(header.unique)
      this.#throttle()
      if (this.#isGone && this.#pending.size === 0) void this.#giveBack()
    }
  }

  #throttle(): void {
    const pending = this.#pending.size
    if (!this.#isPaused && pending >= REQUESTS_MAX) {
      this.#isPaused = true
      this.#init.device.pause()
    } else if (this.#isPaused && pending <= REQUESTS_RESUME) {
      this.#isPaused = false
      this.#init.device.resume()
    }
  }

  #open(header: RequestHeader): void {
    try {
      const agreement = agree(decodeInit(this.#reader), this.#init.cache)
      this.#answer(header, 'init', (out) => encodeInit(out, agreement))
      this.#canResend = (agreement.flags & (1n << BigInt(INIT.HAS_RESEND))) !== 0n
      if (agreement.flags !== 0n) this.#ready.resolve()
    } catch (caught) {
      this.#ready.reject(caught)
      throw caught
    }
  }

  #forget(ino: number, times: number): void {
    if (this.#serving.inodes.forgotten(ino, times)) this.#init.fileSystem.forget(ino)
  }

  #forgetMany(): void {
    const count = this.#reader.u32()
    this.#reader.skip(4)
    for (let at = 0; at < count; at++) this.#forget(this.#reader.u64(), this.#reader.u64())
  }

  /**
   * A signal came for a program that waits. As on a local file system it does not shorten the call (a timer's tick must not
   * fail a `stat`), unless it ends the program: then what has no effect is dropped. The kernel gives requests out in order and
   * one reader takes them, so what is not pending was answered.
   */
  #interrupt(unique: number): void {
    const pending = this.#pending.get(unique)
    if (pending === undefined || pending.isDropped || !pending.isStoppable) return
    pending.isInterrupted = true
    if (!this.#dropIfEnding(unique, pending)) void this.#watchInterrupted()
  }

  /** @returns True if the program is ending; its request is answered then. */
  #dropIfEnding(unique: number, pending: Pending): boolean {
    if (!this.#init.device.isEnding(pending.task)) return false
    pending.isDropped = true
    this.#refuse(unique, ERRNO.EINTR)
    pending.abort?.abort()
    return true
  }

  /** A second signal is not told: whoever was interrupted once is looked at until it is answered. */
  async #watchInterrupted(): Promise<void> {
    if (this.#isWatchingInterrupted) return
    this.#isWatchingInterrupted = true
    for (let isAny = true; isAny; ) {
      await this.#init.clock.sleep(INTERRUPTED_CHECK_MS)
      isAny = false
      for (const [unique, pending] of this.#pending) {
        if (!pending.isInterrupted || pending.isDropped) continue
        if (!this.#dropIfEnding(unique, pending)) isAny = true
      }
    }
    this.#isWatchingInterrupted = false
  }

  #answer(header: RequestHeader, name: string, encode: Encode): void {
    if (this.#isGone) return
    this.#writer.begin()
    encode(this.#writer)
    this.#send(header, name, this.#writer.finish(header.unique, 0))
  }

  #answerRead(header: RequestHeader, { bytes, bodyBytes, done }: ReadReply): void {
    try {
      if (this.#isGone) return
      const lengthBytes = OUT_HEADER_BYTES + bodyBytes
      writeOutHeader(bytes, lengthBytes, header.unique, 0)
      this.#send(header, 'read', bytes.subarray(0, lengthBytes))
    } finally {
      done()
    }
  }

  #fail({ unique, opcode, ino }: RequestHeader, name: string, caught: unknown): void {
    const { errno, known } = errnoOf(caught)
    this.#failures++
    if (!known || errno === ERRNO.EIO) {
      this.#init.log.error({ operation: name, ino, error: describeError(caught) }, 'fuse: failed')
    }
    const needsNoAnswer =
      opcode === OP.FORGET || opcode === OP.BATCH_FORGET || opcode === OP.INTERRUPT
    if (!needsNoAnswer) this.#refuse(unique, errno)
  }

  #refuse(unique: number, errno: number): void {
    if (this.#isGone) return
    try {
      this.#writer.begin()
      this.#init.device.send(this.#writer.finish(unique, errno))
    } catch (caught) {
      this.#init.log.error({ error: describeError(caught) }, 'fuse: no reply can be sent')
    }
  }

  /** A reply that the kernel does not take is a bug here; the caller gets EIO, so that it does not wait for ever. */
  #send(header: RequestHeader, name: string, reply: Buffer): void {
    try {
      this.#init.device.send(reply)
    } catch (caught) {
      this.#fail(header, name, caught)
    }
  }

  /** The kernel will not say any more that it lets go: all that it held is given back at once. */
  async #giveBack(): Promise<void> {
    const { fileSystem, log } = this.#init
    const { inodes, files, directories } = this.#serving.inodes.takeAll()
    const attempts = [
      ...files.map((handle) => async () => fileSystem.release(handle)),
      ...directories.map((handle) => async () => fileSystem.releaseDirectory(handle)),
      ...inodes.map((ino) => async () => fileSystem.forget(ino)),
    ]
    for (const attempt of attempts) {
      await attempt().catch((caught: unknown) => {
        log.error({ error: describeError(caught) }, 'fuse: giving back failed')
      })
    }
    this.#closed.resolve()
  }
}

function servingOf({ fileSystem, cache, resumed }: FuseSessionInit): Serving {
  const seconds = { exclusive: EXCLUSIVE_SECONDS, frozen: FROZEN_SECONDS, shared: SHARED_SECONDS }[
    cache
  ]
  // A live volume's readers must not remember lists of names: nothing tells the kernel that one changed.
  const cachesLists = cache === 'shared' ? 0 : FOPEN.CACHE_DIR | FOPEN.KEEP_CACHE
  return {
    fileSystem,
    inodes: new Inodes(resumed !== undefined),
    lifetimes: { entrySeconds: seconds, attributesSeconds: seconds },
    // Pages stay over close and open: with AUTO_INVAL_DATA (`shared`) the kernel drops those of files that changed.
    openFileFlags: FOPEN.KEEP_CACHE | (fileSystem.flush === undefined ? FOPEN.NOFLUSH : 0),
    openDirectoryFlags: cachesLists,
  }
}

const NAMES_OF_CODES = new Map<number, string>(
  Object.entries(OP).map(([name, code]) => [code, name.toLowerCase()]),
)

const nameOf = (opcode: number): string => NAMES_OF_CODES.get(opcode) ?? `operation ${opcode}`
