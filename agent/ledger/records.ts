/**
 * How what the ledger said is kept on disk: a version and a check a kind. A record of another version, or one that does not pass, is not
 * believed: it is read again from the ledger. Raise a version with every change of a type in `types.ts` that an older or newer program
 * could misread.
 *
 * Checks are strict about what a planner relies on and silent about what it does not know, so that a field that is only added needs no
 * new version.
 */
import { z } from 'zod'
import type { RecordFormats } from '../state/records.ts'
import { DISPUTE_STATES, NODE_STATES, PARAMETERS } from './abi.ts'

/** Numbers from 1 that contracts hand out. */
const id = z.int().min(1)
/** Counts, sizes and times, none below zero. */
const count = z.int().min(0)
const account = z.string().regex(/^0x[0-9a-f]{40}$/)
const hex = z.string().regex(/^0x[0-9a-fA-F]*$/)
const money = z.bigint().min(0n)
/** Fields that are undefined are missing once written. */
const orNone = <T extends z.ZodType>(type: T) => type.optional()

const slot = z.object({
  ...{ node: id, sizeBytes: count, assignedAt: count, lastSeen: count, generation: count },
})
const common = {
  id,
  state: z.enum(['live', 'suspended', 'ended']),
  tenant: account,
  ...{ placedAt: count, paidUntil: count, endedAt: count, deletableAt: count },
  ratePerSecond: money,
  slots: z.array(slot),
  releases: z.array(z.object({ slot: count, node: id, at: count })),
}

const storeOrder = z.object({
  ...common,
  kind: z.literal('store'),
  mode: z.enum(['user', 'seq']),
  worm: z.boolean(),
  writers: z.array(account),
  readers: z.array(account),
})

const volumeOrder = z.object({
  ...common,
  kind: z.literal('volume'),
  dataShards: z.int().min(1),
  parityShards: count,
  metaStores: z.int().min(1),
  sameFarmAllowed: z.boolean(),
  sizeBytes: count,
  keyCommitment: hex,
  writerEpoch: count,
  mounts: z.array(id),
})

const mountOrder = z.object({
  ...common,
  kind: z.literal('mount'),
  volume: id,
  readOnly: z.boolean(),
  name: z.string().min(1),
  sealedKey: hex,
})

const unreadableOrder = z.object({
  ...common,
  kind: z.literal('unreadable'),
  kindNumber: count,
  parent: count,
  mounts: z.array(id),
  code: z.string(),
  message: z.string(),
})

const ledgerNode = z.object({
  id,
  farm: count,
  account,
  state: z.enum(NODE_STATES),
  ...{ capacityBytes: count, usedBytes: count, registeredAt: count, lastHeartbeat: count },
  pricePerGibSecond: money,
  stake: money,
  publicKey: hex,
  sealingKey: hex,
  addresses: z.array(z.string()),
})

const registration = z.object({
  account,
  node: orNone(id),
  sponsor: orNone(id),
  sponsoredStake: money,
})

const policy = z.object({
  version: count,
  values: z
    .record(z.string(), z.union([z.number(), z.bigint()]))
    .refine((values) => PARAMETERS.every((name) => Object.hasOwn(values, name))),
})

const block = { number: count, hash: hex, timestamp: count }
const cursor = z.object({
  pin: z.object({
    chainId: id,
    ...{ grid: account, policy: account, nodes: account, orders: account },
    ...{ escrow: account, token: account },
    deployedAtBlock: count,
    codeDigest: z.string(),
  }),
  block: z.object({ ...block, parentHash: hex }),
  ...{ sequence: count, registryVersion: count, nodesReadAt: count, finalNumber: count },
  sweptAt: orNone(count),
  trail: orNone(z.array(z.object(block))),
  time: orNone(
    z.object({ provenSeconds: count, frozenUntil: count, adoptedAtMs: z.number().min(0) }),
  ),
})

const accumulator = { root: hex, units: count }
const auditFacts = z.object({
  audits: account,
  epoch: orNone(
    z.object({
      number: id,
      seed: z.string(),
      ...{ drawnAt: count, dueAt: count, dueBlock: count, samples: count },
      openOdds: z.number(),
    }),
  ),
  audited: z.object(accumulator),
  auditedBefore: z.object(accumulator),
  committed: orNone(z.object({ ...accumulator, epoch: count })),
  claim: orNone(z.string()),
  isProven: z.boolean(),
  wasProven: z.boolean(),
  ...{ missedEpoch: count, slashedEpoch: count, disputesRead: count },
  disputes: z.array(
    z.object({
      id,
      state: z.enum(DISPUTE_STATES),
      ...{ epoch: count, sample: count, deadline: count },
      slot: orNone(z.object({ order: id, slot: count, generation: count })),
    }),
  ),
  answered: z.array(count),
  others: orNone(
    z.object({
      ...{ epoch: count, scannedTo: count },
      suspects: z.array(id),
      undecided: z.array(id),
      waiting: z.array(z.object({ id: count, deadline: count })),
    }),
  ),
})

const sentTransaction = z.object({
  id: z.string().min(1),
  to: account,
  data: hex,
  why: z.string(),
  state: z.enum(['pending', 'mined', 'failed']),
  // -1 of one that was refused before it was signed.
  nonce: z.int().min(-1),
  signed: z.string(),
  hashes: z.array(hex),
  ...{ gasLimit: money, maxFee: money, priorityFee: money },
  signedAtMs: z.number(),
  blockNumber: orNone(count),
  attempts: count,
  retryAtMs: z.number(),
  code: orNone(z.string()),
  message: orNone(z.string()),
})

const passes = (type: z.ZodType) => (value: unknown) => type.safeParse(value).success

/** Every kind that outlives the process. */
export const RECORDS: RecordFormats = {
  'ledger.cursor': { version: 1, check: passes(cursor) },
  'ledger.audits': { version: 1, check: passes(auditFacts) },
  'order.store': { version: 1, check: passes(storeOrder) },
  'order.volume': { version: 1, check: passes(volumeOrder) },
  'order.mount': { version: 1, check: passes(mountOrder) },
  'order.unreadable': { version: 1, check: passes(unreadableOrder) },
  'registry.node': { version: 1, check: passes(ledgerNode) },
  'registry.self': { version: 1, check: passes(registration) },
  'registry.own': { version: 1, check: passes(ledgerNode) },
  policy: { version: 1, check: passes(policy) },
  'transaction.sent': { version: 1, check: passes(sentTransaction) },
}
