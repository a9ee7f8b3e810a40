/**
 * What `npm run bench -- store` has measured so far, and how it is shown: as lines of a table or as data.
 *
 * It can be asked at any time, so that a run that is interrupted has told what it knew.
 */
import { cpus } from 'node:os'
import { formatBytes, KIB } from '../../agent/base/units.ts'
import type { LoadJob, LoadShape } from './store-load-worker.ts'
import { type BenchSync, OWN_NAME } from './store-servers.ts'

/** One shape of load. */
export interface Cell extends Omit<LoadShape, 'port'>, Pick<LoadJob, 'operations'> {
  readonly sync: BenchSync
  readonly secondsMax: number
}

/** What one server did in one cell. */
export interface Measured {
  readonly opsPerSecond: number
  readonly mbPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Seconds of CPU a million operations. */
  readonly cpuSeconds: number
  /** The same of the client that asked for them. */
  readonly clientCpuSeconds: number
}

/** First line of a table. */
export const TABLE_HEAD =
  'cell                          server       ops/s     MB/s   p50 ms   p99 ms  CPU s/M   client   ops x   CPU x'

/** The figures of all cells, servers and measurements. */
export class StoreFigures {
  readonly #servers: readonly string[]
  readonly #measured = new Map<string, Measured[]>()
  readonly #resident = new Map<string, number[]>()

  /** @param servers - `[n]` names in the order of the table, this store's first. */
  constructor(servers: readonly string[]) {
    this.#servers = servers
  }

  /** Adds what a server did in one more measurement. */
  add(server: string, cell: Cell, measured: Measured): void {
    push(this.#measured, `${server} ${nameOf(cell)}`, measured)
  }

  /** Adds the memory that a server took for a million keys, in bytes. */
  addResident(server: string, residentBytes: number): void {
    push(this.#resident, server, residentBytes)
  }

  /**
   * The lines of one cell: medians so far, and this store's ratio to each other server.
   *
   * @returns `[n]` lines, one a server that was measured.
   */
  linesOf(cell: Cell): string[] {
    return this.#servers
      .filter((server) => this.#of(server, cell).length > 0)
      .map((server) => {
        const one = medians(this.#of(server, cell))
        const cols = [
          nameOf(cell).padEnd(30),
          server.padEnd(7),
          one.opsPerSecond.toFixed(0).padStart(10),
          one.mbPerSecond.toFixed(1).padStart(8),
          one.p50Ms.toFixed(3).padStart(8),
          one.p99Ms.toFixed(3).padStart(8),
          one.cpuSeconds.toFixed(2).padStart(8),
          one.clientCpuSeconds.toFixed(2).padStart(8),
        ]
        if (server !== OWN_NAME) {
          cols.push(this.#ratio(server, cell, 'opsPerSecond').toFixed(2).padStart(7))
          cols.push(this.#ratio(server, cell, 'cpuSeconds').toFixed(2).padStart(7))
        }
        return cols.join(' ')
      })
  }

  /** The whole table. */
  table(cells: readonly Cell[]): string {
    const memory = [...this.#resident].map(
      ([server, bytes]) =>
        `${server}: ${formatBytes(median(bytes))} resident a million keys of 16 bytes`,
    )
    return [TABLE_HEAD, ...cells.flatMap((cell) => this.linesOf(cell)), ...memory].join('\n')
  }

  /** The same as data. */
  data(cells: readonly Cell[]): object {
    const others = this.#servers.filter((server) => server !== OWN_NAME)
    return {
      machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
      node: process.version,
      cells: cells.map((cell) => ({
        name: nameOf(cell),
        ...cell,
        servers: Object.fromEntries(
          this.#servers.map((server) => [server, medians(this.#of(server, cell))]),
        ),
        ratios: Object.fromEntries(
          others.map((server) => [
            server,
            {
              opsPerSecond: this.#ratio(server, cell, 'opsPerSecond'),
              cpuSeconds: this.#ratio(server, cell, 'cpuSeconds'),
            },
          ]),
        ),
      })),
      residentBytesPerMillionKeys: Object.fromEntries(
        [...this.#resident].map(([server, bytes]) => [server, median(bytes)]),
      ),
    }
  }

  #of(server: string, cell: Cell): readonly Measured[] {
    return this.#measured.get(`${server} ${nameOf(cell)}`) ?? []
  }

  /** A ratio of each pair of measurements that followed each other, since what disturbed one disturbed the other; the median. */
  #ratio(server: string, cell: Cell, field: 'opsPerSecond' | 'cpuSeconds'): number {
    const others = this.#of(server, cell)
    const own = this.#of(OWN_NAME, cell)
    const pairs = Math.min(own.length, others.length)
    return median(
      own.slice(0, pairs).map((one, at) => one[field] / (others[at]?.[field] ?? Number.NaN)),
    )
  }
}

/**
 * Names a cell, as `--only` finds it.
 *
 * @returns For example `GET 64 KiB c50 P1 group`.
 */
export function nameOf(cell: Cell): string {
  const { sync, op, valueBytes, connections, pipeline } = cell
  const size = valueBytes < KIB ? `${valueBytes} B` : formatBytes(valueBytes).replace('.00', '')
  return `${op.toUpperCase()} ${size} c${connections} P${pipeline} ${sync}`
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const values = map.get(key)
  if (values) values.push(value)
  else map.set(key, [value])
}

function medians(all: readonly Measured[]): Measured {
  const of = (field: keyof Measured) => median(all.map((one) => one[field]))
  return {
    opsPerSecond: of('opsPerSecond'),
    mbPerSecond: of('mbPerSecond'),
    p50Ms: of('p50Ms'),
    p99Ms: of('p99Ms'),
    cpuSeconds: of('cpuSeconds'),
    clientCpuSeconds: of('clientCpuSeconds'),
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length >> 1
  if (sorted.length % 2 === 1) return sorted[half] ?? 0
  return ((sorted[half - 1] ?? 0) + (sorted[half] ?? 0)) / 2
}
