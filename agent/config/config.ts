/**
 * The agent's configuration: from defaults, a file and flags (the later wins) to one resolved object with nothing
 * undefined, and the origin of every value.
 */
import { z } from 'zod'
import { accountProblem } from '../base/checksummed-account.ts'
import { NodeError } from '../base/errors.ts'
import { type Account, account } from '../base/ids.ts'
import { parseBytes } from '../base/units.ts'

/** Where a value came from. */
export type Origin = 'default' | 'file' | 'flag'

/** Everything that can be set, resolved. */
export interface AgentConfig {
  /** JSON-RPC endpoints of the ledger, 1 to 9. */
  readonly ledger: readonly string[]
  /** Address of the grid's directory contract. */
  readonly grid: Account
  /** Multiaddrs to listen on; none for a node that only dials. */
  readonly listen: readonly string[]
  /** Multiaddrs that the registry tells others; as `listen` unless given. */
  readonly announce: readonly string[]
  readonly capacityBytes: number
  readonly pricePerGibSecond: bigint
  /** How headers are held to their hash. */
  readonly ledgerHeaders: 'ethereum' | 'unchecked'
  /** `warped` only for a local chain whose time is moved by hand: then its time is compared with no clock. */
  readonly ledgerTime: 'real' | 'warped'
  readonly pollMs: number
  readonly stallSeconds: number
  /** Whether this node keeps others to their audits, where policy pays a share for it. */
  readonly keeper: boolean
  /** Absolute, or empty for `mnt` in the data directory. */
  readonly mountRoot: string
  readonly cacheBytes: number
  /** 0 picks a free port. */
  readonly metricsPort: number
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
}

const MIB = 1024 * 1024

const size = z.union([z.number().int().nonnegative(), z.string()]).transform((value, context) => {
  const bytes = typeof value === 'number' ? value : parseBytes(value)
  if (bytes === undefined)
    context.addIssue({ code: 'custom', message: 'is no size such as "16 GiB"' })
  return bytes ?? 0
})

const url = z.string().refine((value) => /^https?:$/.test(URL.parse(value)?.protocol ?? ''), {
  message: 'is no http:// or https:// URL',
})

const address = z.string().transform((value, context): Account => {
  const problem = accountProblem(value)
  if (problem !== undefined) {
    context.addIssue({ code: 'custom', message: problem })
    return account(`0x${'0'.repeat(40)}`)
  }
  return account(value)
})

const multiaddrs = z
  .array(
    z.string().regex(/^(\/[a-z0-9]+\/[^/]+)+$/, {
      message: 'is no multiaddr such as /ip4/1.2.3.4/tcp/4100',
    }),
  )
  .max(8)

const amount = z
  .union([z.number().int().nonnegative(), z.string().regex(/^\d{1,20}$/)])
  .transform(BigInt)

const SCHEMA = z.strictObject({
  ledger: z.array(url).min(1, { message: 'needs at least one URL' }).max(9),
  grid: address,
  listen: multiaddrs,
  announce: multiaddrs.nullable(),
  capacity: size.refine((bytes) => bytes >= MIB, { message: 'is below 1 MiB' }),
  pricePerGibSecond: amount,
  ledgerHeaders: z.enum(['ethereum', 'unchecked']),
  ledgerTime: z.enum(['real', 'warped']),
  pollMs: z.number().int().min(50).max(60_000),
  stallSeconds: z.number().int().min(1).max(86_400),
  keeper: z.boolean(),
  mountRoot: z.string().refine((path) => path === '' || path.startsWith('/'), {
    message: 'is not an absolute path',
  }),
  cache: size,
  metricsPort: z.number().int().min(0).max(65_535),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']),
})

/** Names of the settings, as in the file. */
export type Setting = keyof typeof SCHEMA.shape

/** A setting for people: what it is, and what it is without being set. */
export const SETTINGS: {
  readonly [S in Setting]: { readonly about: string; readonly value: unknown }
} = {
  ledger: {
    about: 'JSON-RPC endpoints of the ledger; with three or more, a majority must agree',
    value: [],
  },
  grid: { about: 'Address of the grid’s directory contract', value: '' },
  listen: { about: 'Multiaddrs to listen on; none for a node that only dials', value: [] },
  announce: { about: 'Multiaddrs to tell others; null for those of listen', value: null },
  capacity: {
    about: 'Bytes that this node offers, at most what its stake covers',
    value: '16 GiB',
  },
  pricePerGibSecond: {
    about: 'Smallest units of the token for 1 GiB kept for one second, at most what policy allows',
    value: '100000000',
  },
  ledgerHeaders: {
    about: 'Format of block headers: ethereum, or unchecked for a chain with another',
    value: 'ethereum',
  },
  ledgerTime: {
    about:
      'real, or warped for a local chain whose time is moved by hand; never for one that others use',
    value: 'real',
  },
  pollMs: {
    about: 'Shortest time between two looks at the ledger, milliseconds; blocks set the pace',
    value: 100,
  },
  stallSeconds: {
    about: 'Seconds without a new final block after which the status says so',
    value: 120,
  },
  keeper: {
    about:
      'Whether to mark nodes that missed an audit, for the share of their slash that policy pays; costs gas first',
    value: true,
  },
  mountRoot: {
    about: 'Absolute path below which mounts appear; empty for mnt in --data',
    value: '',
  },
  cache: { about: 'Local chunk cache of one mount', value: '1 GiB' },
  metricsPort: { about: 'Port of the metrics on loopback; 0 picks a free one', value: 0 },
  logLevel: { about: 'debug, info, warn or error', value: 'info' },
}

/** What was given, by setting; a missing one takes the default. */
export type Given = { readonly [S in Setting]?: unknown }

/**
 * Resolves a configuration.
 *
 * @param file - Settings of the file; unknown ones are refused.
 * @param flags - Settings given as flags; they win.
 * @returns The configuration, and for each setting the raw value in force and its origin.
 * @throws NodeError `CONFIG_INVALID` naming every setting that is wrong.
 * @example
 * resolveConfig({}, { ledger: ['http://127.0.0.1:8545'], grid: '0x…' }).config.pollMs // 100
 */
export function resolveConfig(
  file: Readonly<Record<string, unknown>>,
  flags: Given,
): { config: AgentConfig; origins: Record<Setting, { value: unknown; origin: Origin }> } {
  const raw: Record<string, unknown> = {}
  const origins: Record<string, { value: unknown; origin: Origin }> = {}
  for (const [name, { value }] of Object.entries(SETTINGS)) {
    const flag = flags[name as Setting]
    const [chosen, origin] =
      flag !== undefined
        ? ([flag, 'flag'] as const)
        : file[name] !== undefined
          ? ([file[name], 'file'] as const)
          : ([value, 'default'] as const)
    raw[name] = chosen
    origins[name] = { value: chosen, origin }
  }
  for (const name of Object.keys(file)) if (!(name in SETTINGS)) raw[name] = file[name]

  const parsed = SCHEMA.safeParse(raw)
  if (!parsed.success) {
    const issues = parsed.error.issues.map(
      (issue) => `${issue.path.join('.') || 'setting'}: ${issue.message}`,
    )
    throw new NodeError('CONFIG_INVALID', issues.join('; '))
  }
  const { capacity, cache, announce, ...same } = parsed.data
  const config = {
    ...same,
    capacityBytes: capacity,
    cacheBytes: cache,
    announce: announce ?? same.listen,
  }
  return { config, origins: origins as Record<Setting, { value: unknown; origin: Origin }> }
}

/**
 * Reads JSON with `//` comments and commas before closing brackets.
 *
 * @param text - The file.
 * @returns The settings in it.
 * @throws NodeError `CONFIG_UNREADABLE`.
 */
export function parseConfigFile(text: string): Record<string, unknown> {
  const TOKENS = /"(?:\\.|[^"\\])*"|\/\/[^\n]*|,(?=(?:\s|\/\/[^\n]*)*[\]}])/g
  const plain = text.replace(TOKENS, (token) => (token.startsWith('"') ? token : ''))
  try {
    const value: unknown = JSON.parse(plain)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>
    }
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : 'not JSON'
    throw new NodeError('CONFIG_UNREADABLE', message, { cause })
  }
  throw new NodeError('CONFIG_UNREADABLE', 'the file holds no object')
}
