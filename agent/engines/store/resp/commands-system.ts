/** Commands on the connection and the server: PING, HELLO, AUTH, INFO, TIME, COMMAND, CLIENT and their relatives. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { toHex } from '../../../base/bytes.ts'
import { challengeAnswer, isChallengeAnswer } from './challenge.ts'
import { type Command, hasArguments, isAdmin, type Replied } from './command.ts'
import type { CommandParser } from './command-parser.ts'
import { DEFAULT_NAMESPACE } from './limits.ts'
import { replicationLines } from './replication-info.ts'
import type { Session } from './session.ts'

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
  { name: 'CLIENT', arity: -2, flags: ['fast'], run: client },
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

/** HELLO [2|3 [AUTH user password] [SETNAME name]]. */
function hello(session: Session, args: CommandParser): Promise<void> | Replied {
  const { writer } = session
  let at = 1
  let protocol = writer.protocol
  if (args.count > 1) {
    protocol = args.integer(at++) ?? 0
    if (protocol !== 2 && protocol !== 3)
      return writer.error('NOPROTO unsupported protocol version')
  }
  while (at < args.count) {
    const option = args.word(at)
    if (option === 'AUTH' && at + 2 < args.count) {
      if (!isAdminPassword(session, args.view(at + 2))) {
        const words = 'WRONGPASS invalid username-password pair or user is disabled.'
        return session.server.passwords.refuse(session, words)
      }
      session.becomeAdmin()
      at += 3
    } else if (option === 'SETNAME' && at + 1 < args.count) {
      session.clientName = args.text(at + 1)
      at += 2
    } else return writer.error('Syntax error in HELLO')
  }
  writer.protocol = protocol
  writer.map(7)
  writer.text('server')
  writer.text('redis')
  writer.text('version')
  writer.text('7.0.0')
  writer.text('proto')
  writer.integer(protocol)
  writer.text('id')
  writer.integer(session.id)
  writer.text('mode')
  writer.text('standalone')
  writer.text('role')
  writer.text(session.server.init.replica?.isFollowing ? 'replica' : 'master')
  writer.text('modules')
  writer.array(0)
}

/** AUTH password | AUTH user password | AUTH SECURE CHALLENGE | AUTH SECURE answer. */
function auth(session: Session, args: CommandParser): Promise<void> | Replied {
  const { writer, server } = session
  if (args.count === 3 && args.word(1) === 'SECURE') return authSecure(session, args)
  if (args.count !== 2 && args.count !== 3) return writer.error('Unexpected arguments')
  if (!server.init.adminPassword) return writer.error('Authentication disabled')
  const given = args.view(args.count - 1)
  if (given.byteLength > PASSWORD_BYTES_MAX) return writer.error('Password too long')
  if (!isAdminPassword(session, given)) return denied(session)
  session.becomeAdmin()
  writer.status('OK')
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
  if (!isChallengeAnswer(answer, expected)) return denied(session)
  session.becomeAdmin()
  writer.status('OK')
}

function denied(session: Session): Promise<void> {
  return session.server.passwords.refuse(session, 'Access denied')
}

function isAdminPassword(session: Session, given: Uint8Array): boolean {
  const { adminPassword } = session.server.init
  if (!adminPassword) return false
  const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()
  return timingSafeEqual(digest(given), digest(adminPassword))
}

function info(session: Session): Replied {
  const { server } = session
  const { store, counts, init } = server
  const nowMs = store.ports.clock.now()
  const lines = [
    '# server',
    'redis_version:7.0.0',
    `server_name: varve-store`,
    `server_revision: ${init.version ?? 'unknown'}`,
    'engine_revision: 1',
    `instance_id: ${server.instanceId}`,
    `boot_time: ${Math.floor(server.startedMs / 1000)}`,
    `uptime: ${Math.floor((nowMs - server.startedMs) / 1000)}`,
    'redis_mode:standalone',
    'loading:0',
    `role:${init.replica?.isFollowing ? 'slave' : 'master'}`,
    '',
    '# clients',
    `clients_lifetime: ${counts.clients}`,
    `connected_clients:${server.sessions.size}`,
    '',
    '# internals',
    'sequential_key_size: 8',
    'data_version: 1',
    `default_sync: ${store.init.sync}`,
    `namespaces: ${store.namespaces.size}`,
    '',
    '# stats',
    `commands_executed: ${counts.commands}`,
    `commands_failed: ${counts.failedCommands}`,
    `commands_unauthorized: ${counts.failedLogins}`,
    `network_rx_bytes: ${counts.receivedBytes}`,
    `network_tx_bytes: ${counts.sentBytes}`,
    `receive_buffers_bytes: ${server.carriedBytes}`,
    '',
    ...replicationLines(server),
  ]
  session.writer.text(lines.join('\r\n'))
}

function client(session: Session, args: CommandParser): Replied {
  const { writer } = session
  if (args.count < 2) return writer.error('Missing arguments')
  switch (args.word(1)) {
    case 'ID':
      return writer.integer(session.id)
    case 'SETNAME':
      session.clientName = args.count > 2 ? args.text(2) : ''
      return writer.status('OK')
    case 'GETNAME':
      return writer.text(session.clientName)
    case 'SETINFO':
    case 'NO-EVICT':
    case 'NO-TOUCH':
      return writer.status('OK')
    case 'INFO':
      return writer.text(describeClient(session))
    case 'LIST':
      if (!isAdmin(session)) return
      return writer.text(`${[...session.server.sessions].map(describeClient).join('\n')}\n`)
    default:
      return writer.error('Unknown CLIENT subcommand')
  }
}

function describeClient(session: Session): string {
  const { id, host, clientName, namespace, lastCommand, commands } = session
  return `id=${id} addr=${host.peerName} name=${clientName} db=${namespace?.name ?? ''} cmd=${lastCommand} tot-cmds=${commands} resp=${session.writer.protocol}`
}

function quit(session: Session): Replied {
  session.writer.status('OK')
  session.close()
}

function reset(session: Session): Replied {
  const found = session.server.store.namespaces.get(DEFAULT_NAMESPACE)
  session.writer.protocol = 2
  session.nonce = undefined
  if (found && session.principal.kind !== 'peer') session.select(found, false)
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
