/**
 * `varve-agent store ...`: the store on its own, without a ledger, for people and for drop-in use in place of 0-db.
 *
 * `serve` is the default: it listens until SIGTERM or STOP. The other commands work on a directory that no store has open.
 */
import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { TRANSPORT_CHOICES, type TransportChoice } from '../../adapters/socket/open-transport.ts'
import { NodeError } from '../../base/errors.ts'
import type { Log } from '../../base/ports.ts'
import { parseBytes } from '../../base/units.ts'
import {
  DIALECT_RULES,
  type DialectRule,
  type LogStoreInit,
  type SyncMode,
} from '../../engines/store/index.ts'
import { type ReplicaOf, startStandAlone } from './stand-alone.ts'
import { runStoreTool, STORE_TOOLS } from './store-tools.ts'

const USAGE = `varve-agent store --data DIR [options]     serve the store in DIR

  --data DIR                  where the store is; made if missing
  --host ADDRESS              address to listen on, default localhost (this machine alone); :: is all
  --port N                    TCP port, default 9900; 0 for none
  --unix PATH                 listen on a unix socket too
  --mode user|seq|mixed       mode of new namespaces, default mixed (user, NSSET may change it)
  --admin-password-file FILE  AUTH needs this password to become admin; without it everybody on this machine is
                              admin, and nobody from elsewhere
  --dialect auto|redis|0-db   in whose words clients are answered: default auto, those of redis once a client shows
                              to be one of redis (HELLO, CLIENT, COMMAND, AUTH with a user), else 0-db's
  --sync always|group|never   when a write is acknowledged, default group
  --segment-bytes N           size of a segment, default 256M
  --sockets auto|uring|libuv  how sockets are served, default auto: io_uring where the kernel has it
  --readonly                  serve what is there and change nothing
  --hook PROGRAM              run PROGRAM at events, as 0-db does; an absolute path. It must end with 0 at "ready"
  --replica-of HOST:PORT[/NAMESPACE]
                              keep a copy of that store, or of one namespace of it, and take no writes for it;
                              without it, what was a copy becomes a store of its own
  --primary-password-file FILE
                              password of the admin there; or VARVE_PRIMARY_PASSWORD in the environment

tools, on a directory that is not being served:
  varve-agent store check DIR                    read every value and its checksum
  varve-agent store stats DIR                    what is there
  varve-agent store compact DIR [NAMESPACE]      give back the room of dead records
  varve-agent store export DIR NAMESPACE FILE    one file that can be verified
  varve-agent store import DIR FILE [NAMESPACE]  and back
  varve-agent store import-0db DIR ZERO_DB_DIR   take over the files of 0-db

examples
  varve-agent store --data /srv/store --sync always
  redis-cli -p 9900 set hello world
  varve-agent store export /srv/store photos /mnt/photos.varve
  varve-agent store import /srv/other /mnt/photos.varve
  varve-agent store --data /srv/copy --port 9901 --replica-of db1:9900
  redis-cli -p 9900 replwait 1 1000     how many copies have everything, at most a second later
  redis-cli -p 9901 replicaof no one    the copy goes on by itself
`

/** What the command line takes, as `parseArgs` wants it. */
const OPTIONS = {
  data: { type: 'string' },
  host: { type: 'string', default: 'localhost' },
  port: { type: 'string', default: '9900' },
  unix: { type: 'string' },
  mode: { type: 'string', default: 'mixed' },
  'admin-password-file': { type: 'string' },
  dialect: { type: 'string', default: 'auto' },
  sync: { type: 'string', default: 'group' },
  'segment-bytes': { type: 'string' },
  sockets: { type: 'string', default: 'auto' },
  readonly: { type: 'boolean', default: false },
  'replica-of': { type: 'string' },
  hook: { type: 'string' },
  'primary-password-file': { type: 'string' },
  help: { type: 'boolean', default: false },
} as const

/** What the command line said. */
interface ServeOptions {
  readonly data: string
  readonly host: string
  readonly port: number
  readonly unix: string | undefined
  readonly mode: 'user' | 'seq' | 'mixed'
  readonly adminPassword: Buffer | undefined
  readonly dialect: DialectRule
  readonly sockets: TransportChoice
  readonly store: LogStoreInit
  readonly replicaOf: ReplicaOf | undefined
  readonly hook: string | undefined
}

/**
 * Runs `varve-agent store`.
 *
 * @param argv - What follows `store` on the command line.
 * @param out - Where lines for people go.
 * @param log - Where the log goes.
 * @returns The exit code, once all is done.
 * @throws NodeError `STORE_USAGE`, `DISK_*`, `LOG_*`.
 * @example
 * process.exitCode = await runStoreCommand(process.argv.slice(3), console.log, log)
 */
export async function runStoreCommand(
  argv: readonly string[],
  out: (line: string) => void,
  log: Log,
): Promise<number> {
  const [tool, ...rest] = argv
  if (tool !== undefined && Object.hasOwn(STORE_TOOLS, tool)) {
    return await runStoreTool(tool, rest, out, log)
  }
  const options = parseServe(argv)
  if (!options) {
    out(USAGE)
    return 0
  }
  return await serve(options, out, log)
}

async function serve(
  options: ServeOptions,
  out: (line: string) => void,
  log: Log,
): Promise<number> {
  const running = await startStandAlone({ ...options, log })
  try {
    for (const line of running.access) out(line)
    for (const line of running.listening) out(`listening on ${line}`)
  } catch (err) {
    // A store serves whether or not somebody can read where.
    log.warn({ err }, 'where the store listens could not be printed')
  }
  process.once('SIGTERM', () => void running.stop())
  process.once('SIGINT', () => void running.stop())
  await running.closed
  return 0
}

function readArguments(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS }).values
  } catch (caught) {
    throw usageError(caught instanceof Error ? caught.message : String(caught))
  }
}

function parseServe(argv: readonly string[]): ServeOptions | undefined {
  const values = readArguments(argv)
  if (values.help) return undefined
  if (values.data === undefined) throw usageError('--data DIR is needed')
  const port = Number(values.port)
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw usageError('--port is a number of 0 to 65535')
  const mode = oneOf(values.mode, ['user', 'seq', 'mixed'] as const, '--mode')
  const sync: SyncMode = oneOf(values.sync, ['always', 'group', 'never'] as const, '--sync')
  const segmentBytes =
    values['segment-bytes'] === undefined ? undefined : parseBytes(values['segment-bytes'])
  if (values['segment-bytes'] !== undefined && segmentBytes === undefined) {
    throw usageError('--segment-bytes is a size')
  }
  const sockets = oneOf(values.sockets, TRANSPORT_CHOICES, '--sockets')
  const dialect = oneOf(values.dialect, DIALECT_RULES, '--dialect')
  const file = values['admin-password-file']
  return {
    data: resolve(values.data),
    host: values.host,
    port,
    unix: values.unix,
    mode,
    dialect,
    sockets,
    adminPassword: file === undefined ? undefined : readPassword(file),
    store: {
      sync,
      readOnly: values.readonly,
      mode: mode === 'seq' ? 'seq' : 'user',
      ...(segmentBytes !== undefined && { segmentBytes }),
    },
    hook: values.hook === undefined ? undefined : checkHook(values.hook),
    replicaOf: parseReplicaOf(values['replica-of'], values['primary-password-file']),
  }
}

/** Refuses at the start what would fail at every event. */
function checkHook(path: string): string {
  if (!isAbsolute(path)) throw usageError('--hook is an absolute path')
  try {
    accessSync(path, constants.X_OK)
    if (statSync(path).isFile()) return path
  } catch (cause) {
    throw new NodeError('STORE_USAGE', `--hook ${path} is no executable`, { cause })
  }
  throw usageError('--hook is a file')
}

function parseReplicaOf(text: string | undefined, file: string | undefined): ReplicaOf | undefined {
  if (text === undefined) return undefined
  // An IPv6 address stands in brackets, as in a URL.
  const match = /^(?:\[([^\]]+)\]|([^:/[\]]+)):(\d{1,5})(?:\/(.+))?$/.exec(text)
  const port = Number(match?.[3])
  if (!match || port === 0 || port > 65_535)
    throw usageError('--replica-of is HOST:PORT[/NAMESPACE]')
  const given = process.env['VARVE_PRIMARY_PASSWORD']
  const fromEnvironment = given ? Buffer.from(given) : undefined
  const name = match[4]
  return {
    host: match[1] ?? match[2] ?? '',
    port,
    namespace: name === undefined ? undefined : Buffer.from(name).toString('latin1'),
    password: file === undefined ? fromEnvironment : readPassword(file),
  }
}

/** The first line of the file, so that a final line end does not matter. */
function readPassword(file: string): Buffer {
  const text = readFileSync(file, 'latin1').split(/\r?\n/)[0] ?? ''
  if (text === '') throw usageError(`${file} is empty`)
  return Buffer.from(text, 'latin1')
}

function oneOf<const T extends string>(value: string, allowed: readonly T[], option: string): T {
  const found = allowed.find((one) => one === value)
  if (found === undefined) throw usageError(`${option} is one of ${allowed.join(', ')}`)
  return found
}

function usageError(problem: string): NodeError {
  return new NodeError('STORE_USAGE', `${problem}; see --help`)
}
