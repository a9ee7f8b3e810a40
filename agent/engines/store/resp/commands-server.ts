/** Commands on the running server for operators and replication: WAIT, INDEX, DATA, HOOKS, MASTER. */
import { KIND_DELETE } from '../record.ts'
import { type Command, hasArgumentsMin, isAdmin, type Replied } from './command.ts'
import type { CommandParser } from './command-parser.ts'
import type { Session } from './session.ts'

/** As in 0-db. */
const WAIT_MS_DEFAULT = 5000
const WAIT_MS_MIN = 100
const WAIT_MS_MAX = 30 * 60 * 1000

/**
 * The commands of this file.
 *
 * @param isCommand - Tells whether a name is that of a command, for WAIT.
 */
export function serverCommands(isCommand: (name: string) => boolean): readonly Command[] {
  return [
    {
      name: 'WAIT',
      arity: -2,
      flags: ['readonly'],
      run: (session, args) => wait(session, args, isCommand),
    },
    { name: 'INDEX', arity: -2, flags: ['admin'], run: index },
    { name: 'DATA', arity: -2, flags: ['admin'], run: data },
    { name: 'HOOKS', arity: 1, flags: ['admin'], run: hooks },
    { name: 'MASTER', arity: 1, flags: ['admin'], run: master },
  ]
}

/** WAIT command|* [ms]: until another client of this namespace runs the command. */
function wait(
  session: Session,
  args: CommandParser,
  isCommand: (name: string) => boolean,
): Promise<void> | Replied {
  const { writer, server } = session
  if (args.count !== 2 && args.count !== 3) return writer.error('Invalid arguments')
  const name = args.word(1)
  if (name !== '*' && !isCommand(name)) return writer.error('Unknown command to watch')
  const timeoutMs = args.count === 3 ? args.integer(2) : WAIT_MS_DEFAULT
  if (timeoutMs === undefined || timeoutMs < WAIT_MS_MIN || timeoutMs > WAIT_MS_MAX) {
    return writer.error('Invalid timeout')
  }
  const seen = Promise.withResolvers<string>()
  const abort = new AbortController()
  const watcher = { session, command: name === '*' ? undefined : name, seen: seen.resolve }
  server.watchers.add(watcher)
  const timeout = server.store.ports.clock.sleep(timeoutMs, abort.signal).then(() => undefined)
  timeout.catch(() => undefined)
  return Promise.race([seen.promise, timeout]).then((command) => {
    abort.abort()
    server.watchers.delete(watcher)
    if (command === undefined) writer.error('Timeout')
    else writer.status(command)
  })
}

/** INDEX DIRTY [RESET]: segments in which something was replaced or deleted. */
function index(session: Session, args: CommandParser): Replied {
  const { writer, namespace } = session
  if (!isAdmin(session) || !hasArgumentsMin(session, args, 2)) return
  if (args.word(1) !== 'DIRTY') return writer.error('Unknown INDEX subcommand')
  if (!namespace) return writer.error('Namespace not found')
  const { dirtySegments } = namespace.log
  if (args.count > 2) {
    if (args.word(2) !== 'RESET') return writer.error('Unknown INDEX DIRTY subcommand')
    dirtySegments.clear()
    return writer.status('OK')
  }
  const numbers = [...dirtySegments].sort((a, b) => a - b)
  writer.array(numbers.length)
  for (const number of numbers) writer.integer(number)
}

/** DATA RAW segment offset: [key, offset of the version before, checksum, flags, time, value]. */
function data(session: Session, args: CommandParser): Replied {
  const { writer, namespace } = session
  if (!isAdmin(session) || !hasArgumentsMin(session, args, 2)) return
  if (args.word(1) !== 'RAW') return writer.error('Unknown DATA subcommand')
  if (!hasArgumentsMin(session, args, 4)) return
  const [segment, offset] = [args.integer(2), args.integer(3)]
  if (!namespace || segment === undefined || offset === undefined) {
    return writer.error('Invalid Request')
  }
  const record = namespace.log.records.recordAt(segment, offset)
  if (!record) return writer.error('EOF')
  const { header, key, value } = record
  const isDeletion = header.kind === KIND_DELETE
  writer.array(6)
  writer.bulk(key)
  writer.integer(header.previousOffset)
  writer.text(`0x${header.valueCrc.toString(16).padStart(8, '0')}`)
  writer.integer(isDeletion ? 1 : 0)
  writer.integer(header.timeSeconds)
  if (isDeletion) writer.nil()
  else writer.bulk(value)
}

/** HOOKS: [type, args, pid, started, ended, exit code] of the last minute. */
function hooks(session: Session): Replied {
  const { writer, server } = session
  if (!isAdmin(session)) return
  const running = server.init.hooks?.() ?? []
  writer.array(running.length)
  for (const hook of running) {
    writer.array(6)
    writer.text(hook.type)
    writer.array(hook.args.length)
    for (const arg of hook.args) writer.text(arg)
    writer.integer(hook.pid)
    writer.integer(hook.startedAt)
    writer.integer(hook.endedAt)
    writer.integer(hook.exitCode)
  }
}

function master(session: Session): Replied {
  if (isAdmin(session)) session.writer.status('Hello, master')
}
