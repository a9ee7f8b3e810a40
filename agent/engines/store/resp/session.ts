/**
 * One client's conversation, without its socket: bytes in, replies out.
 *
 * Replies leave in order. Those that tell of a write are withheld, with all that follow, until the log says that the write is
 * acknowledged; if it fails instead, each of them becomes the failure. A command that takes time suspends the session,
 * and so does a client that asks without reading: input is then left in the socket, so memory stays bounded.
 */
import { isNodeError, type NodeError } from '../../../base/errors.ts'
import { KIB, MIB } from '../../../base/units.ts'
import type { Waiter } from '../log-commit.ts'
import type { Namespace } from '../namespace.ts'
import type { NamespaceLog } from '../namespace-log.ts'
import type { Command } from './command.ts'
import {
  COMMAND_BYTES_MAX,
  type CommandParser,
  STRANGER_COMMAND_BYTES_MAX,
} from './command-parser.ts'
import { COMMANDS } from './commands.ts'
import { type Dialect, DialectChoice, type DialectRule, showsRedis } from './dialect.ts'
import { isHttpLine } from './http-line.ts'
import { CARRY_BYTES_MIN, IncompleteCommand } from './incomplete-command.ts'
import { DEFAULT_NAMESPACE } from './limits.ts'
import { peerAddress } from './peer-address.ts'
import { plainWord } from './plain-text.ts'
import { wordsOf } from './replies.ts'
import { ReplyWriter } from './reply-writer.ts'
import type { Principal, RespServer, SessionHost } from './server.ts'

/** Replies that wait to be written; beyond, the session reads no further commands. */
const BACKLOG_BYTES_MAX = 4 * MIB
/** Replies are handed to the host in portions of about this size. */
const PORTION_BYTES = 256 * KIB

/** What a session may do with its namespace. */
export interface Rights {
  readonly read: boolean
  readonly write: boolean
}

/** What is sent on a session without being asked for each time. */
export interface SessionStream {
  /** Some of what was sent is written: there is room for more. */
  sent(): void
  /** The connection is gone. */
  closed(): void
}

const NO_RIGHTS: Rights = { read: false, write: false }
const READ_RIGHTS: Rights = { read: true, write: false }
const ALL_RIGHTS: Rights = { read: true, write: true }

/** A client's conversation. */
export class Session {
  readonly server: RespServer
  readonly writer: ReplyWriter
  readonly id: number
  readonly host: SessionHost
  /** For limits: what the connections of one client have in common. */
  readonly address: string
  principal: Principal
  namespace: Namespace | undefined
  /** Where a password was needed and given, the namespace that it was for. */
  unlocked: Namespace | undefined
  /** Of AUTH SECURE CHALLENGE. */
  nonce: string | undefined
  /** Wrong passwords of this connection. */
  failedLogins = 0
  clientName = ''
  /** Commands of this session so far. */
  commands = 0
  lastCommand = ''
  isClosed = false
  /** Of a replica. */
  stream: SessionStream | undefined
  /** MULTI was refused, and what came along with it is not run. */
  refusesUntilExec = false
  readonly connectedMs: number

  /** Who the connection was before anybody said a password. */
  readonly #joinedAs: Principal
  readonly #dialectChoice = new DialectChoice()
  #dialect: Dialect = '0-db'
  #rights: Rights = NO_RIGHTS
  #rightsRevision = -1
  #isBusy = false
  #isExecuting = false
  #isPaused = false
  #backlogBytes = 0
  readonly #carry: IncompleteCommand
  /** Of the last command that came whole. */
  #lastCommandBytes = 0
  #holds: Hold[] = []
  #openHolds = 0
  /** Nothing more is read; what was replied is still sent. */
  #isClosing = false
  /** The other end sends no more. */
  #hasEnded = false

  constructor(server: RespServer, principal: Principal, host: SessionHost, id: number) {
    this.server = server
    this.#joinedAs = principal
    this.principal = principal
    this.host = host
    this.id = id
    this.address = principal.kind === 'peer' ? principal.account : peerAddress(host.peerName)
    this.connectedMs = server.store.ports.clock.now()
    this.writer = new ReplyWriter(server.pool)
    this.#carry = new IncompleteCommand(server, () => ({
      speaker: this.address,
      namespace: this.namespace?.name ?? '',
    }))
    if (principal.kind !== 'peer') {
      this.namespace = server.store.namespaces.get(DEFAULT_NAMESPACE)
    }
    this.#look()
  }

  get isAdmin(): boolean {
    return this.principal.kind === 'admin'
  }

  /** What may be done with the selected namespace now. */
  get rights(): Rights {
    if (this.namespace && this.#rightsRevision !== this.namespace.revision) this.#look()
    return this.#rights
  }

  /** In whose words and semantics it is answered. */
  get dialect(): Dialect {
    return this.#dialect
  }

  /** Bytes of a command that has not come whole. */
  get incompleteBytes(): number {
    return this.#carry.lengthBytes
  }

  /** The client asks for a dialect, or for none. */
  sayDialect(rule: DialectRule): void {
    this.#dialectChoice.said = rule
    this.#look()
  }

  /** Moves the session to a namespace. */
  select(namespace: Namespace, isUnlocked: boolean): void {
    this.namespace = namespace
    this.unlocked = isUnlocked ? namespace : undefined
    this.#look()
  }

  /** The client has shown that it is the administrator. */
  becomeAdmin(): void {
    this.principal = { kind: 'admin' }
    this.#look()
  }

  /** Makes the connection what it was when it came: nothing of what one user did helps the next. */
  startOver(): void {
    const { namespaces } = this.server.store
    this.principal = this.#joinedAs
    this.namespace = this.#joinedAs.kind === 'peer' ? undefined : namespaces.get(DEFAULT_NAMESPACE)
    this.unlocked = undefined
    this.nonce = undefined
    this.clientName = ''
    this.refusesUntilExec = false
    this.writer.protocol = 2
    this.#dialectChoice.said = 'auto'
    this.#dialectChoice.heard = '0-db'
    this.server.mirrors.delete(this)
    this.stream?.closed()
    this.stream = undefined
    this.#look()
  }

  /** Looks anew at what may be done and in whose words it is answered. */
  #look(): void {
    const { namespace, server } = this
    this.#rights = namespace ? this.#computeRights(namespace) : NO_RIGHTS
    this.#rightsRevision = namespace?.revision ?? -1
    const ofStore = server.init.dialect ?? 'auto'
    this.#dialect = this.#dialectChoice.decide(namespace?.properties.dialect ?? 'auto', ofStore)
    this.writer.hasErrorCodes = this.#dialect === 'redis'
  }

  /**
   * Takes what was received, runs the commands in it and sends the replies.
   *
   * @param input - A buffer that is the caller's again after the call.
   * @param length - Bytes of it that were received.
   */
  receive(input: Buffer, length: number): void {
    if (this.isClosed || this.#isClosing) return
    this.server.counts.receivedBytes += length
    let at = 0
    const carry = this.#carry
    while (carry.lengthBytes > 0 && at < length && !this.#mustWait) {
      at += this.#carryOn(input, at, length)
    }
    if (at < length && !this.#isClosing) {
      if (carry.lengthBytes === 0 && !this.#mustWait) at = this.#execute(input, at, length)
      if (at < length && !this.#isClosing) this.#keep(input, at, length)
    }
    this.#finishBurst()
  }

  /** How many bytes should have come before they are received into a place of their own; 0 where that is not worth it. */
  get awaitedBytes(): number {
    return this.#isClosing ? 0 : this.#carry.awaitedBytes(this.#lastCommandBytes)
  }

  /**
   * Lends the place where what comes next should be received, if there is one.
   *
   * @returns Memory that is the connection's until {@link Session.receivedInPlace}, before anything else happens.
   */
  lendPlace(): Buffer | undefined {
    return this.#isClosing ? undefined : this.#carry.lend(this.#lastCommandBytes)
  }

  /**
   * Takes what was received into the place that was lent, as {@link Session.receive} does.
   *
   * @param length - Bytes that came, from the start of the place; 0 where none did.
   */
  receivedInPlace(length: number): void {
    this.#carry.cameBack(length)
    this.server.counts.receivedBytes += length
    if (this.isClosed || this.#isClosing) this.#carry.drop()
    else this.#goOn()
  }

  /** The other end sends no more: what is due is still sent, then the connection ends. */
  ended(): void {
    this.#hasEnded = true
    this.#goOn()
  }

  /** The connection is gone. */
  closed(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.server.sessions.delete(this)
    this.server.mirrors.delete(this)
    this.stream?.closed()
    this.#carry.drop()
    this.writer.take()?.release()
  }

  /** The host has written an output of this many bytes, or will never. */
  sent(lengthBytes: number): void {
    this.#written(lengthBytes)
    if (!this.isClosed && this.#isPaused && !this.#mustWait) this.#goOn()
    if (!this.isClosed) this.stream?.sent()
  }

  /** Withholds the replies of this burst until the log has acknowledged all that was appended to it. */
  holdFor(log: NamespaceLog): void {
    if (log.acknowledged >= log.appended) return
    let hold = this.#holds.find((one) => one.log === log)
    if (!hold) {
      hold = new Hold(this, log)
      this.#holds.push(hold)
    }
    hold.position = log.appended
    if (hold.isWaiting) return
    hold.isWaiting = true
    this.#openHolds++
    log.wait(hold)
  }

  /** Called by a hold whose log has answered. */
  holdSettled(failure: NodeError | undefined): void {
    this.#openHolds--
    if (this.isClosed) return
    if (failure) this.#failWithheld(failure)
    if (this.#openHolds > 0) return
    if (this.#holds.length > 1) this.#holds = this.#holds.filter((one) => one.isWaiting)
    // Inside a burst the replies leave at its end.
    if (!this.#isExecuting) this.#goOn()
  }

  /** Bytes that were sent or are about to be, and are not yet written. */
  get backlogBytes(): number {
    return this.#backlogBytes + this.writer.lengthBytes
  }

  /** Sends what the writer holds, unless a burst is running, which will. */
  push(): void {
    if (!this.#isExecuting) this.#finishBurst()
  }

  /** Ends the conversation after what was replied. */
  close(): void {
    this.#isClosing = true
  }

  /** Ends the conversation if a command has begun and does not come. */
  giveUpLateCommand(nowMs: number): void {
    if (this.isClosed || this.#isClosing) return
    if (this.#mustWait || this.#isPaused) this.#carry.forgive(nowMs)
    if (!this.#carry.isLate(nowMs)) return
    this.server.counts.lateCommands++
    this.server.warnOnceAMinute('a command did not arrive in time, its client is cut off', {
      peer: this.host.peerName,
      bytes: this.#carry.lengthBytes,
    })
    this.#carry.drop()
    this.writer.error('ERR a command did not arrive in time')
    this.close()
    this.#finishBurst()
  }

  get #mustWait(): boolean {
    return (
      this.#isBusy ||
      this.#isClosing ||
      this.#backlogBytes + this.writer.lengthBytes > BACKLOG_BYTES_MAX
    )
  }

  /** Adds input to an incomplete command and runs it once complete. @returns Bytes taken. */
  #carryOn(input: Buffer, at: number, length: number): number {
    const missing = this.#carry.neededBytes - this.#carry.lengthBytes
    // Where the length is not known yet, a larger helping saves parsing it byte by byte.
    const take = Math.min(length - at, missing > CARRY_BYTES_MIN ? missing : CARRY_BYTES_MIN)
    this.#keep(input, at, at + take)
    if (this.#carry.isReady) this.#executeCarry()
    return take
  }

  #executeCarry(): void {
    const carry = this.#carry
    const next = this.#execute(carry.buffer, 0, carry.lengthBytes)
    if (this.#isClosing) carry.drop()
    else carry.consumed(next)
  }

  #keep(input: Buffer, from: number, to: number): void {
    if (this.#carry.keep(input, from, to)) return
    this.writer.error('BUSY too many incomplete commands, try again later')
    this.close()
  }

  /** Runs the complete commands of `input[from, to)`. @returns Where it stopped. */
  #execute(input: Buffer, from: number, to: number): number {
    const { parser } = this.server
    let at = from
    this.#isExecuting = true
    try {
      while (at < to && !this.#mustWait) {
        const next = parser.parse(input, at, to, this.#commandBytesMax)
        if (next < 0) {
          this.#carry.neededBytes = parser.neededBytes
          return at
        }
        this.#lastCommandBytes = next - at
        at = next
        if (parser.count > 0) this.#run(parser)
        if (this.writer.lengthBytes >= PORTION_BYTES && this.#openHolds === 0) this.#send()
      }
    } catch (caught) {
      if (!isNodeError(caught, 'RESP_PROTOCOL')) throw caught
      this.writer.error(`ERR Protocol error: ${caught.message}`)
      this.close()
    } finally {
      this.#isExecuting = false
    }
    this.#carry.neededBytes = 1
    return at
  }

  get #commandBytesMax(): number {
    return this.rights.read || this.isAdmin ? COMMAND_BYTES_MAX : STRANGER_COMMAND_BYTES_MAX
  }

  #run(parser: CommandParser): void {
    const { counts } = this.server
    if (parser.isInline && this.#isHttp(parser)) return
    counts.commands++
    this.commands++
    if (this.namespace?.isGone && !this.#followReplacement()) return
    if (this.namespace && this.#rightsRevision !== this.namespace.revision) this.#look()
    const command = this.#find(parser)
    this.writer.replies++
    if (!command) {
      counts.failedCommands++
      return
    }
    this.lastCommand = command.name
    try {
      const running = command.run(this, parser)
      if (running) this.#await(running)
    } catch (caught) {
      this.#failed(caught)
    }
    if (this.server.watchers.size > 0) this.#wakeWatchers(command.name)
    if (this.server.mirrors.size > 0 && command.flags.includes('write')) this.#mirror(parser)
  }

  /** The command that was sent; undefined after a refusal was written. */
  #find(parser: CommandParser): Command | undefined {
    const { writer } = this
    const command = COMMANDS[this.#dialect].find(parser)
    if (!command) {
      writer.error(this.#dialect === 'redis' ? unknownCommand(parser) : 'Command not supported')
      return undefined
    }
    if (this.#dialect === '0-db') return this.#heardOf(command, parser)
    const { arity, name } = command
    if (arity >= 0 ? parser.count !== arity : parser.count < -arity) {
      writer.error(`ERR wrong number of arguments for '${name.toLowerCase()}' command`)
      return undefined
    }
    if (!this.refusesUntilExec || ENDS_MULTI.has(name)) return command
    writer.error('EXECABORT Not run: it came along with MULTI, which was refused')
    return undefined
  }

  /** A client that shows to be one of redis is answered as one from this command on. */
  #heardOf(command: Command, parser: CommandParser): Command | undefined {
    const { name } = command
    if (this.#dialectChoice.heard === 'redis') return command
    if (!showsRedis(name, parser.count, parser.count > 1 ? parser.word(1) : undefined))
      return command
    this.#dialectChoice.heard = 'redis'
    this.#look()
    return COMMANDS[this.#dialect].named(name)
  }

  /** Cuts off who speaks HTTP: a web page may have a browser send commands in the body of a request. */
  #isHttp(parser: CommandParser): boolean {
    const words = [parser.text(0), parser.text(parser.count - 1)]
    if (!isHttpLine(words)) return false
    this.server.counts.httpClients++
    this.server.warnOnceAMinute('a client that speaks HTTP is cut off', {
      peer: this.host.peerName,
    })
    this.close()
    return true
  }

  /** Tells sessions in WAIT on this namespace. */
  #wakeWatchers(name: string): void {
    for (const watcher of this.server.watchers) {
      if (watcher.session === this || watcher.session.namespace !== this.namespace) continue
      if (watcher.command === undefined || watcher.command === name) watcher.seen(name)
    }
  }

  /** Passes a write on to mirrors, as 0-db does: unacknowledged; MIRROR FOLLOW is the form that may be relied on. */
  #mirror(parser: CommandParser): void {
    for (const mirror of this.server.mirrors) {
      if (mirror === this || mirror.isClosed) continue
      mirror.writer.array(parser.count)
      for (let argument = 0; argument < parser.count; argument++) {
        mirror.writer.bulk(parser.view(argument))
      }
      mirror.passOn()
    }
  }

  /** Sends what others wrote to this session's replies; one that does not read is cut off. */
  passOn(): void {
    if (this.#mustWait) this.close()
    if (!this.#isExecuting) this.#finishBurst()
  }

  #followReplacement(): boolean {
    const replacement = this.namespace?.replacement
    if (replacement) {
      this.select(replacement, this.unlocked !== undefined)
      return true
    }
    this.writer.error('Your active namespace is not available anymore (probably removed).')
    this.close()
    return false
  }

  #failed(caught: unknown): void {
    this.server.counts.failedCommands++
    if (!isNodeError(caught)) {
      this.server.store.ports.log.error({ caught: String(caught) }, 'a command failed as a bug')
      // What state the bug left is unknown: this client starts anew.
      this.close()
    }
    this.writer.error(wordsOf(caught))
  }

  /** Suspends the session until a command that takes time is done. */
  #await(running: Promise<void>): void {
    this.#isBusy = true
    running
      .catch((caught: unknown) => this.#failed(caught))
      .finally(() => {
        this.#isBusy = false
        if (!this.isClosed) this.#goOn()
      })
  }

  /** Takes up where a suspension left off. */
  #goOn(): void {
    if (this.#carry.isReady && !this.#mustWait) this.#executeCarry()
    this.#finishBurst()
  }

  #finishBurst(): void {
    if (this.isClosed) return
    // What comes later was sent by somebody who could read that MULTI was refused.
    if (this.#carry.lengthBytes === 0) this.refusesUntilExec = false
    if (this.#openHolds === 0 && !this.#isBusy) {
      this.#send()
      if (this.#isClosing) {
        this.host.close()
        return
      }
    }
    const shouldPause = this.#mustWait
    if (this.#hasEnded && !shouldPause && this.#openHolds === 0) {
      this.host.close()
      return
    }
    if (shouldPause === this.#isPaused) return
    this.#isPaused = shouldPause
    if (shouldPause) this.host.pause()
    else this.host.resume()
  }

  #send(): void {
    const output = this.writer.take()
    if (!output) return
    this.#backlogBytes += output.lengthBytes
    // A stream goes on when it is told that there is room: with all written at once it would let nobody else run.
    if (this.stream || !this.host.sendNow) this.host.send(output)
    else if (this.host.sendNow(output)) {
      output.release()
      this.#written(output.lengthBytes)
    }
  }

  #written(lengthBytes: number): void {
    this.#backlogBytes -= lengthBytes
    this.server.counts.sentBytes += lengthBytes
  }

  /** Every reply that was withheld becomes the failure: none of them may be believed. */
  #failWithheld(failure: NodeError): void {
    const { replies } = this.writer
    // A command that is just running answers for itself.
    const withheld = this.#isExecuting ? replies - 1 : replies
    this.writer.take()?.release()
    for (let reply = 0; reply < withheld; reply++) this.writer.error(wordsOf(failure))
    this.writer.replies = replies
  }

  #computeRights(namespace: Namespace): Rights {
    const { writers, readers, password, isPublic } = namespace.properties
    const { principal } = this
    if (principal.kind === 'auditor') return READ_RIGHTS
    if (principal.kind === 'peer') {
      if (writers.includes(principal.account)) return ALL_RIGHTS
      return readers.includes(principal.account) ? READ_RIGHTS : NO_RIGHTS
    }
    if (writers.length + readers.length > 0 && principal.kind === 'guest') return NO_RIGHTS
    if (!password || this.unlocked === namespace) return ALL_RIGHTS
    if (isPublic) return READ_RIGHTS
    return principal.kind === 'admin' ? ALL_RIGHTS : NO_RIGHTS
  }
}

/** What ends a refused transaction, or the connection with it. */
const ENDS_MULTI: ReadonlySet<string> = new Set(['EXEC', 'DISCARD', 'MULTI', 'RESET', 'QUIT'])
/** Of a command that there is not, this much is repeated. */
const ECHO_CHARACTERS_MAX = 64

function unknownCommand(parser: CommandParser): string {
  const name = plainWord(parser.text(0)).slice(0, ECHO_CHARACTERS_MAX)
  return `ERR unknown command '${name}'`
}

/** Waits for one log on behalf of a session. */
class Hold implements Waiter {
  position = 0
  isWaiting = false
  readonly log: NamespaceLog
  readonly #session: Session

  constructor(session: Session, log: NamespaceLog) {
    this.#session = session
    this.log = log
  }

  settled(failure: NodeError | undefined): void {
    this.isWaiting = false
    this.#session.holdSettled(failure)
  }
}
