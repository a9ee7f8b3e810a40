/** Policy: what the DAO set, with names that people can say and values that they can read. */
import { NodeError } from '../../agent/base/errors.ts'
import { ORDER_KINDS, PARAMETERS } from '../../agent/ledger/abi.ts'
import { type Connection, view } from './connection.ts'

/** Name of a parameter: `heartbeatSeconds`. */
export type ParameterName = (typeof PARAMETERS)[number]

/** A parameter as it is now. */
export interface PolicyParameter {
  readonly name: ParameterName
  /** Number on the ledger. */
  readonly index: number
  readonly value: bigint
  /** Least and most that a vote may set. */
  readonly min: bigint
  readonly max: bigint
}

/** A version of the agent that the DAO approved. */
export interface PolicyRelease {
  /** SHA-256 of the image, `0x` and 64 digits. */
  readonly imageDigest: string
  readonly version: string
  /** Second since 1970 from which agents may run it. */
  readonly activatesAt: number
  readonly isRevoked: boolean
}

/** All of it. */
export interface GridPolicy {
  /** Rises by one with every change. */
  readonly version: number
  readonly parameters: readonly PolicyParameter[]
  readonly releases: readonly PolicyRelease[]
}

/**
 * Reads policy.
 *
 * @param connection - The grid.
 * @returns Parameters in the order of their numbers, releases in the order of approval.
 */
export async function readPolicy(connection: Connection): Promise<GridPolicy> {
  const { policy } = connection.contracts
  const [all, releases, ...bounds] = await Promise.all([
    view(policy, 'all') as Promise<[bigint, bigint[]]>,
    view(policy, 'releases') as Promise<Record<string, unknown>[]>,
    ...PARAMETERS.map((_, index) => view(policy, 'bounds', index) as Promise<[bigint, bigint]>),
  ])
  const [version, values] = all
  return {
    version: Number(version),
    parameters: PARAMETERS.map((name, index) => {
      const [min, max] = bounds[index] ?? [0n, 0n]
      return { name, index, value: values[index] ?? 0n, min, max }
    }),
    releases: [...releases].map((release) => ({
      imageDigest: String(release['imageDigest']),
      version: String(release['version']),
      activatesAt: Number(release['activatesAt']),
      isRevoked: Boolean(release['revoked']),
    })),
  }
}

/**
 * Reads one parameter.
 *
 * @param connection - The grid.
 * @param name - Which one.
 * @returns Its value now.
 */
export async function readParameter(connection: Connection, name: ParameterName): Promise<bigint> {
  const { policy } = connection.contracts
  return (await view(policy, 'value', PARAMETERS.indexOf(name))) as bigint
}

/**
 * Finds a parameter by what a person called it.
 *
 * @param said - `HeartbeatSeconds`, `heartbeat-seconds`, `heartbeat_seconds`, any case.
 * @returns Its name and number.
 * @throws NodeError `PARAMETER_UNKNOWN`.
 */
export function parameterNamed(said: string): { name: ParameterName; index: number } {
  const plain = (text: string) => text.replace(/[-_\s]/g, '').toLowerCase()
  const index = PARAMETERS.findIndex((name) => plain(name) === plain(said))
  const name = PARAMETERS[index]
  if (name !== undefined) return { name, index }
  throw new NodeError('PARAMETER_UNKNOWN', `policy has no parameter "${said}"`, {
    details: { known: PARAMETERS.join(', ') },
  })
}

/**
 * Reads the value of a parameter as people write it.
 *
 * @param name - The parameter.
 * @param said - A whole number; for seconds also `90s`, `5m`, `2h`, `7d`; for WorkloadsAllowed also `store,volume,mount`.
 * @returns The value.
 * @throws NodeError `PARAMETER_UNKNOWN` if it is none.
 */
export function parameterValue(name: ParameterName, said: string): bigint {
  const text = said.trim().toLowerCase()
  if (/^\d+$/.test(text)) return BigInt(text)
  if (name.endsWith('Seconds')) {
    const match = /^(\d+)\s*([smhd])$/.exec(text)
    const factor = { s: 1n, m: 60n, h: 3600n, d: 86_400n }[match?.[2] ?? '']
    if (match?.[1] !== undefined && factor !== undefined) return BigInt(match[1]) * factor
  }
  if (name === 'workloadsAllowed' && /^[a-z]+(,[a-z]+)*$/.test(text)) {
    const bits = text.split(',').map((kind) => ORDER_KINDS.indexOf(kind as 'store'))
    if (bits.every((bit) => bit > 0))
      return bits.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n)
  }
  throw new NodeError('PARAMETER_UNKNOWN', `"${said}" is no value for ${name}`)
}

/**
 * Writes the value of a parameter for people.
 *
 * @param name - The parameter.
 * @param value - Its value.
 * @returns `3600 (1h)`, `14 (store, volume, mount)`, or the bare number.
 */
export function parameterText(name: ParameterName, value: bigint): string {
  if (name === 'workloadsAllowed') {
    const kinds = ORDER_KINDS.filter((_, bit) => ((value >> BigInt(bit)) & 1n) === 1n)
    return `${value} (${kinds.join(', ') || 'nothing'})`
  }
  if (!name.endsWith('Seconds')) return `${value}`
  const units = [
    ['d', 86_400n],
    ['h', 3600n],
    ['m', 60n],
  ] as const
  const fitting = units.find(([, seconds]) => value >= seconds && value % seconds === 0n)
  return fitting === undefined ? `${value}` : `${value} (${value / fitting[1]}${fitting[0]})`
}
