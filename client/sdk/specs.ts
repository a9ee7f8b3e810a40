/** Specs of orders, to and from the bytes that the ledger keeps. */
import { AbiCoder } from 'ethers'
import { fromHex, toHex } from '../../agent/base/bytes.ts'
import { type Account, account } from '../../agent/base/ids.ts'
import { type ORDER_KINDS, SPEC_TYPES } from '../../agent/ledger/abi.ts'

/** First field of every spec; a reader refuses another. */
const SPEC_VERSION = 1
const MODES = ['user', 'seq'] as const

/** Kind of an order. */
export type OrderKind = (typeof ORDER_KINDS)[number]

/** One namespace on one node. */
export interface StoreSpec {
  readonly kind: 'store'
  /** `user`: keys chosen by the writer; `seq`: keys in sequence. */
  readonly mode: 'user' | 'seq'
  /** True: written once, never deleted. */
  readonly worm: boolean
  readonly writers: readonly Account[]
  readonly readers: readonly Account[]
}

/** k + m data slots, then metadata slots, under one key. */
export interface VolumeSpec {
  readonly kind: 'volume'
  readonly dataShards: number
  readonly parityShards: number
  readonly metaStores: number
  readonly sameFarmAllowed: boolean
  readonly sizeBytes: number
  /** SHA-256 of the volume key, 32 bytes. */
  readonly keyCommitment: Uint8Array
}

/** A volume shown as a directory of a node. */
export interface MountSpec {
  readonly kind: 'mount'
  readonly readOnly: boolean
  readonly name: string
  readonly sealedKey: Uint8Array
}

export type Spec = StoreSpec | VolumeSpec | MountSpec

/**
 * Encodes a spec as the ledger keeps it.
 *
 * @param spec - The spec.
 * @returns `0x` and hexadecimal digits.
 */
export function encodeSpec(spec: Spec): string {
  return AbiCoder.defaultAbiCoder().encode([SPEC_TYPES[spec.kind]], [fieldsOf(spec)])
}

function fieldsOf(spec: Spec): unknown[] {
  if (spec.kind === 'store') {
    const mode = MODES.indexOf(spec.mode)
    return [SPEC_VERSION, mode, spec.worm, [...spec.writers], [...spec.readers]]
  }
  if (spec.kind === 'mount') {
    return [SPEC_VERSION, spec.readOnly, spec.name, `0x${toHex(spec.sealedKey)}`]
  }
  const { dataShards, parityShards, metaStores, sameFarmAllowed, sizeBytes, keyCommitment } = spec
  return [
    ...[SPEC_VERSION, dataShards, parityShards, metaStores],
    ...[sameFarmAllowed, sizeBytes, `0x${toHex(keyCommitment)}`],
  ]
}

/**
 * Decodes a spec of an order.
 *
 * @param kind - Kind of the order.
 * @param bytes - `0x` and hexadecimal digits.
 * @returns The spec, or undefined if this version cannot read it.
 */
export function decodeSpec(kind: OrderKind, bytes: string): Spec | undefined {
  if (kind !== 'store' && kind !== 'volume' && kind !== 'mount') return undefined
  try {
    const [decoded] = AbiCoder.defaultAbiCoder().decode([SPEC_TYPES[kind]], bytes)
    const fields = decoded.toObject() as Record<string, unknown>
    return Number(fields['version']) === SPEC_VERSION ? readSpec(kind, fields) : undefined
  } catch {
    return undefined
  }
}

function readSpec(kind: Spec['kind'], fields: Record<string, unknown>): Spec {
  const accounts = (name: string) => [...(fields[name] as Iterable<string>)].map(account)
  if (kind === 'store') {
    const mode = MODES[Number(fields['mode'])] ?? 'user'
    const worm = Boolean(fields['worm'])
    return { kind, mode, worm, writers: accounts('writers'), readers: accounts('readers') }
  }
  if (kind === 'mount') {
    const sealedKey = fromHex(String(fields['sealedKey']))
    return { kind, readOnly: Boolean(fields['readOnly']), name: String(fields['name']), sealedKey }
  }
  return {
    kind,
    dataShards: Number(fields['dataShards']),
    parityShards: Number(fields['parityShards']),
    metaStores: Number(fields['metaStores']),
    sameFarmAllowed: Boolean(fields['sameFarmAllowed']),
    sizeBytes: Number(fields['sizeBytes']),
    keyCommitment: fromHex(String(fields['keyCommitment'])),
  }
}
