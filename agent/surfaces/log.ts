/**
 * Structured logs: pino, as JSON lines or, on a terminal, as lines for people. Fields that could hold a secret are never
 * written, whoever logs them.
 */
import { Writable } from 'node:stream'
import { type DestinationStream, pino } from 'pino'
import type { Log } from '../base/ports.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

const SECRET_FIELDS = [
  'privateKey',
  'volumeKey',
  'seed',
  'password',
  'authorization',
  'sealedKey',
  'signed',
]

/** What is written instead. */
const CENSOR = '[secret]'

/** How to log. */
export interface LogOptions {
  readonly level: LogLevel
  /** True writes one JSON object a line, false lines for people. */
  readonly json: boolean
  /** Where to; standard output by default. */
  readonly to?: { write(text: string): unknown }
  readonly bindings?: Readonly<Record<string, unknown>>
}

/**
 * Makes a log.
 *
 * @param options - See {@link LogOptions}.
 * @returns The log; its children carry their bindings on every line.
 * @example
 * const log = createLog({ level: 'info', json: true, bindings: { unit: 'store' } })
 */
export function createLog(options: LogOptions): Log {
  const paths = SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`])
  const settings = {
    level: options.level,
    base: options.bindings ?? {},
    redact: { paths, censor: CENSOR },
  }
  const to = options.to ?? process.stdout
  return pino(settings, options.json ? jsonStream(to) : humanStream(to))
}

function jsonStream(to: { write(text: string): unknown }): DestinationStream {
  return { write: (line) => void to.write(line) }
}

function humanStream(to: { write(text: string): unknown }): DestinationStream {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      to.write(humanLine(chunk.toString('utf8')))
      done()
    },
  })
}

const LEVEL_NAMES: Readonly<Record<number, string>> = {
  20: 'debug',
  30: 'info ',
  40: 'WARN ',
  50: 'ERROR',
}

/** `12:34:56 info  message  key=value`. */
function humanLine(line: string): string {
  const record: Record<string, unknown> = JSON.parse(line)
  const { level, time, msg, ...fields } = record
  const clock = new Date(Number(time)).toISOString().slice(11, 19)
  const rest = Object.entries(fields).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  return `${[clock, LEVEL_NAMES[Number(level)] ?? level, msg, ...rest].join(' ')}\n`
}
