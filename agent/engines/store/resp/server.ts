/**
 * What all sessions of one store share: the store, the parser, the buffers, the table of commands, and the counts.
 * Knows no sockets: a listener hands it a {@link SessionHost} for each connection.
 */
import type { Account } from '../../../base/ids.ts'
import { Followers } from '../replication/followers.ts'
import type { ReplicaControl } from '../replication/replica-control.ts'
import type { LogStore } from '../store.ts'
import { BufferPool } from './buffer-pool.ts'
import { CommandParser } from './command-parser.ts'
import type { DialectRule } from './dialect.ts'
import { LOG_AGAIN_MS, MEMORY_IDLE_MS, RECEIVE_BYTES_MAX } from './limits.ts'
import { PasswordGate } from './password-gate.ts'
import { ReceiveMemory } from './receive-memory.ts'
import type { Output } from './reply-writer.ts'
import type { RunningHook } from './running-hook.ts'
import { Session } from './session.ts'

/** Who speaks. */
export type Principal =
  | { readonly kind: 'admin' }
  /** A peer whose key the link has proved. */
  | { readonly kind: 'peer'; readonly account: Account }
  /** The process of this node that proves what it keeps: reads every namespace, also frozen ones, and writes none. */
  | { readonly kind: 'auditor' }
  /** Anybody: may become admin by password. */
  | { readonly kind: 'guest' }

/** A connection, as a session uses it. */
export interface SessionHost {
  /** Sends; calls {@link Session.sent} once it is written, in order. */
  send(output: Output): void
  /**
   * Sends, what is large before the call returns where that is possible. A host for which it never is has none of it.
   *
   * @returns Whether all of it is written; {@link Session.sent} is not called then, and the output the session's to release.
   */
  sendNow?(output: Output): boolean
  /** Closes once everything sent is written. */
  close(): void
  /** Stops and takes up reading. */
  pause(): void
  resume(): void
  /** Name of the other end, for `CLIENT LIST` and logs. */
  readonly peerName: string
}

/** What a server is made with. */
export interface RespServerInit {
  /** Password that makes a guest an admin; where there is none, AUTH is refused. */
  readonly adminPassword?: Buffer
  /** Called by STOP and SHUTDOWN of an admin. */
  readonly onStop?: () => void
  /** Whether a namespace may have another mode than new ones get, default true. */
  readonly isMixed?: boolean
  /** In whose words connections are answered that say nothing of it, nor their namespace, default `auto`. */
  readonly dialect?: DialectRule
  /** The hooks of the last minute, for HOOKS. */
  readonly hooks?: () => readonly RunningHook[]
  /** Where the store, or a namespace of it, follows another. */
  readonly replica?: ReplicaControl
  /** Told in INFO. */
  readonly version?: string
  /** Memory in which long checksums are cheap, for buffers of replies and commands; 64 MiB if not given. */
  readonly checksumMemoryBytes?: number
}

/** Counts since the start. */
export interface ServerCounts {
  clients: number
  commands: number
  failedCommands: number
  failedLogins: number
  /** Connections that were cut because they spoke HTTP, and because a command did not come in time. */
  httpClients: number
  lateCommands: number
  receivedBytes: number
  sentBytes: number
}

/** A session in WAIT. */
export interface Watcher {
  readonly session: Session
  /** Undefined for any. */
  readonly command: string | undefined
  seen(command: string): void
}

/** A store that speaks. */
export class RespServer {
  readonly store: LogStore
  readonly init: RespServerInit
  readonly pool: BufferPool
  readonly parser = new CommandParser()
  readonly sessions = new Set<Session>()
  readonly startedMs: number
  readonly instanceId: number
  readonly counts: ServerCounts = {
    clients: 0,
    commands: 0,
    failedCommands: 0,
    failedLogins: 0,
    httpClients: 0,
    lateCommands: 0,
    receivedBytes: 0,
    sentBytes: 0,
  }
  /** Of incomplete commands. */
  readonly memory = new ReceiveMemory(RECEIVE_BYTES_MAX)
  /** Sessions that wait for a command of another. */
  readonly watchers = new Set<Watcher>()
  /** Sessions to which every write is passed on. */
  readonly mirrors = new Set<Session>()
  /** Replicas that are connected. */
  readonly followers: Followers
  readonly passwords: PasswordGate
  #lastSessionId = 0
  #memoryUsedMs = 0
  readonly #loggedMs = new Map<string, number>()

  constructor(store: LogStore, init: RespServerInit = {}) {
    this.store = store
    this.init = init
    this.pool = new BufferPool(init.checksumMemoryBytes)
    this.followers = new Followers(store.ports)
    this.passwords = new PasswordGate(store.ports.clock)
    this.startedMs = store.ports.clock.now()
    this.instanceId = store.ports.chance.below(2 ** 31)
  }

  /**
   * Starts a session.
   *
   * @param principal - Who speaks.
   * @param host - The connection.
   * @returns The session: feed it what is received.
   * @example
   * const session = server.connect({ kind: 'peer', account }, host)
   */
  connect(principal: Principal, host: SessionHost): Session {
    const session = new Session(this, principal, host, ++this.#lastSessionId)
    this.sessions.add(session)
    this.counts.clients++
    return session
  }

  /** Gives up commands that do not arrive, and memory that nobody needs; to be called each few seconds. */
  sweep(): void {
    const nowMs = this.store.ports.clock.monotonic()
    for (const session of this.sessions) session.giveUpLateCommand(nowMs)
    if (this.memory.heldBytes > 0) this.#memoryUsedMs = nowMs
    else if (nowMs - this.#memoryUsedMs > MEMORY_IDLE_MS) this.pool.releaseIdle()
  }

  /** Logs what clients can cause as often as they like, one of a kind in a minute. */
  warnOnceAMinute(what: string, fields: Readonly<Record<string, unknown>>): void {
    const { clock, log } = this.store.ports
    const nowMs = clock.monotonic()
    const isRecent = nowMs - (this.#loggedMs.get(what) ?? Number.NEGATIVE_INFINITY) < LOG_AGAIN_MS
    if (isRecent) return
    this.#loggedMs.set(what, nowMs)
    log.warn(fields, what)
  }
}
