/** Commands on the connection and the server: PING, HELLO, AUTH, INFO, TIME, COMMAND, CLIENT and their relatives. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { toHex } from '../../../base/bytes.ts'
import { challengeAnswer, isChallengeAnswer } from './challenge.ts'
import { type Command, hasArguments, isAdmin, type Replied } from './command.ts'
import type { CommandParser } from './command-parser.ts'
import { badClientName } from './commands-client.ts'
import { infoText } from './server-info.ts'
import type { Session } from './session.ts'

/** What clients of redis expect of a server of this version is what they get. */
const REDIS_VERSION = '7.0.0'
const WRONG_PAIR = 'WRONGPASS invalid username-password pair or user is disabled.'
const PASSWORD_BYTES_MAX = 255
const NONCE_BYTES = 8

/** The commands of this file. */
export const SYSTEM_COMMANDS: readonly Command[] = [
  { name: 'PING', arity: -1, flags: ['fast'], run: ping },
  { name: 'ECHO', arity: 2, flags: ['fast'], run: echo },
  { name: 'TIME', arity: 1, flags: ['fast'], run: time },
  { name: 'HELLO', arity: -1, flags: ['fast'], run: hello },
  { name: 'AUTH', arity: -2, flags: ['fast'], run: auth },
  { name: 'INFO', arity: -1, flags: ['readonly'], run: info },
  { name: 'QUIT', arity: 1, flags: ['fast'], run: quit },
  { name: 'RESET', arity: 1, flags: ['fast'], run: reset },
  { name: 'STOP', arity: 1, flags: ['admin'], run: stop },
]

function ping(session: Session, args: CommandParser): Replied {
  if (args.count > 1) session.writer.bulk(args.view(1))
  else session.writer.status('PONG')
}

function echo(session: Session, args: CommandParser): Replied {
  if (args.count !== 2) return session.writer.error('Unexpected arguments')
  session.writer.bulk(args.view(1))
}

function time(session: Session): Replied {
  const nowMs = session.server.store.ports.clock.now()
  session.writer.array(2)
  session.writer.text(String(Math.floor(nowMs / 1000)))
  session.writer.text(String(Math.floor((nowMs % 1000) * 1000)))
}

/** What HELLO asks for. */
interface Greeting {
  readonly protocol: number
  readonly password: Buffer | undefined
  readonly clientName: string | undefined
}

/** HELLO [2|3 [AUTH user password] [SETNAME name]]: all that it asks for, or nothing. */
function hello(session: Session, args: CommandParser): Promise<void> | Replied {
  const { writer } = session
  const greeting = readGreeting(session, args)
  if (typeof greeting === 'string') return writer.error(greeting)
  const { password } = greeting
  if (password === undefined) return greet(session, greeting)
  return session.server.passwords.ask(session, WRONG_PAIR, {
    check: () => isAdminPassword(session, password),
    right: () => {
      session.becomeAdmin()
      greet(session, greeting)
    },
  })
}

function readGreeting(session: Session, args: CommandParser): Greeting | string {
  let at = 1
  let { protocol } = session.writer
  let password: Buffer | undefined
  let clientName: string | undefined
  if (args.count > 1) {
    protocol = args.integer(at++) ?? 0
    if (protocol !== 2 && protocol !== 3) return 'NOPROTO unsupported protocol version'
  }
  while (at < args.count) {
    const option = args.word(at)
    if (option === 'AUTH' && at + 2 < args.count) {
      password = args.copy(at + 2)
      at += 3
    } else if (option === 'SETNAME' && at + 1 < args.count) {
      clientName = args.text(at + 1)
      const problem = badClientName(clientName)
      if (problem !== undefined) return problem
      at += 2
    } else return 'ERR Syntax error in HELLO'
  }
  return { protocol, password, clientName }
}

function greet(session: Session, { protocol, clientName }: Greeting): Replied {
  const { writer } = session
  if (clientName !== undefined) session.clientName = clientName
  writer.protocol = protocol
  const { init } = session.server
  writer.map(7)
  writer.text('server')
  writer.text('redis')
  writer.text('version')
  writer.text(REDIS_VERSION)
  writer.text('proto')
  writer.integer(protocol)
  writer.text('id')
  writer.integer(session.id)
  writer.text('mode')
  writer.text('standalone')
  writer.text('role')
  writer.text(init.replica?.isFollowing ? 'replica' : 'master')
  writer.text('modules')
  writer.array(0)
}

/** AUTH password | AUTH user password | AUTH SECURE CHALLENGE | AUTH SECURE answer. */
function auth(session: Session, args: CommandParser): Promise<void> | Replied {
  const { writer, server } = session
  if (args.count === 3 && args.word(1) === 'SECURE') return authSecure(session, args)
  if (args.count !== 2 && args.count !== 3) return writer.error('Unexpected arguments')
  if (!server.init.adminPassword) return writer.error('Authentication disabled')
  const given = args.copy(args.count - 1)
  if (given.byteLength > PASSWORD_BYTES_MAX) return writer.error('Password too long')
  return becomeAdminIf(session, () => isAdminPassword(session, given))
}

function authSecure(session: Session, args: CommandParser): Promise<void> | Replied {
  const { writer, server } = session
  if (args.word(2) === 'CHALLENGE') {
    session.nonce = toHex(server.store.ports.chance.bytes(NONCE_BYTES))
    return writer.status(session.nonce)
  }
  const { adminPassword } = server.init
  if (!adminPassword) return writer.error('Authentication disabled')
  if (session.nonce === undefined) {
    return writer.error('No CHALLENGE requested, secure authentication not available')
  }
  const answer = args.text(2)
  if (answer.length !== 40) return writer.error('Invalid hash length')
  const expected = challengeAnswer(session.nonce, adminPassword)
  // A challenge is good for one try, so that an answer that was overheard is worth nothing.
  session.nonce = undefined
  return becomeAdminIf(session, () => isChallengeAnswer(answer, expected))
}

function becomeAdminIf(session: Session, check: () => boolean): Promise<void> | Replied {
  const words = session.dialect === 'redis' ? WRONG_PAIR : 'Access denied'
  return session.server.passwords.ask(session, words, {
    check,
    right: () => {
      session.becomeAdmin()
      session.writer.status('OK')
    },
  })
}

function isAdminPassword(session: Session, given: Uint8Array): boolean {
  const { adminPassword } = session.server.init
  if (!adminPassword) return false
  const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()
  return timingSafeEqual(digest(given), digest(adminPassword))
}

/** INFO [section]. */
function info(session: Session, args: CommandParser): Replied {
  const section = args.count > 1 ? args.text(1) : undefined
  session.writer.text(infoText(session, REDIS_VERSION, section))
}

function quit(session: Session): Replied {
  session.writer.status('OK')
  session.close()
}

function reset(session: Session): Replied {
  session.startOver()
  session.writer.status('RESET')
}

/** STOP: asks the process to drain and end. */
function stop(session: Session, args: CommandParser): Replied {
  if (!hasArguments(session, args, 1) || !isAdmin(session)) return
  const { onStop } = session.server.init
  if (!onStop) return session.writer.error('Unauthorized')
  session.writer.status('Stopping')
  onStop()
}
