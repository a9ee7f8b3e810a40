/**
 * What the agent says of itself: one JSON document out of its state, without secrets. Its fields are read by scripts and
 * people, so they are only ever added to.
 */
import type { SentTransaction } from '../ledger/types.ts'
import type { Kind, Kinds } from '../state/kinds.ts'
import { type Hints, problemsOf } from './health.ts'

/** What does not come out of the state. */
export interface StatusFacts {
  readonly account: string
  readonly build: string
  readonly pid: number
  /** Milliseconds since 1970. */
  readonly startedAtMs: number
  readonly dataDir: string
  readonly grid: string
  readonly mountRoot: string
  /** URL of the metrics, undefined until they are served. */
  readonly metricsUrl: string | undefined
}

/** Reading side of the state. */
export interface StateReading {
  list<K extends Kind>(kind: K): readonly Kinds[K][]
  get<K extends Kind>(kind: K, id: string): Kinds[K] | undefined
}

/** Every field of the document; JSON once {@link statusJson} wrote it. */
export type StatusDocument = ReturnType<typeof statusDocument>

/**
 * Builds the document.
 *
 * @param state - The agent's state.
 * @param facts - What else there is to say.
 * @param hints - What to do about a failure, by its code.
 * @returns Plain data; bigints are decimal strings once written by {@link statusJson}.
 * @example
 * statusDocument(state, facts, AGENT_ERRORS).health // 'well'
 */
export function statusDocument(state: StateReading, facts: StatusFacts, hints: Hints) {
  const [self] = state.list('registry.self')
  const [policy] = state.list('policy')
  const [own] = state.list('registry.own')
  const problems = problemsOf(state, hints)
  return {
    ...facts,
    health: problems.some(({ level }) => level === 'alarm') ? ('ill' as const) : ('well' as const),
    problems,
    node: self?.node,
    farm: own?.farm,
    registration: state.list('status.registration')[0],
    heartbeat: state.list('status.heartbeat')[0],
    own: own && {
      state: own.state,
      capacityBytes: own.capacityBytes,
      usedBytes: own.usedBytes,
      pricePerGibSecond: own.pricePerGibSecond,
      stake: own.stake,
      lastHeartbeat: own.lastHeartbeat,
      addresses: own.addresses,
    },
    ledger: ledgerPart(state),
    policy: policy && { version: policy.version, values: namedAsOnLedger(policy.values) },
    orders: [...state.list('status.store'), ...state.list('status.mount')],
    slots: state.list('status.slot'),
    mounts: mountsPart(state, facts.mountRoot, hints),
    repairs: state.list('status.repair'),
    audits: state.list('status.audit')[0],
    units: state.list('status.unit').map(({ figures, ...unit }) => ({ ...unit, status: figures })),
    transactions: state.list('transaction.sent').map(transactionPart),
    peers: state.list('registry.node').length,
    controllers: state.list('status.controller'),
  }
}

/**
 * Writes the document as JSON.
 *
 * @param document - What {@link statusDocument} built.
 */
export function statusJson(document: StatusDocument): string {
  return JSON.stringify(document, (_, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  )
}

function ledgerPart(state: StateReading) {
  const [status] = state.list('ledger.status')
  const [cursor] = state.list('ledger.cursor')
  return {
    state: status?.state ?? 'starting',
    code: status?.code,
    message: status?.message,
    hint: status?.hint,
    head: status?.headNumber,
    headTime: status?.headTime,
    finalised: status?.finalNumber,
    cursor: cursor && {
      number: cursor.block.number,
      hash: cursor.block.hash,
      timestamp: cursor.block.timestamp,
      sequence: cursor.sequence,
    },
    chainId: cursor?.pin.chainId,
    sources: status?.sources ?? [],
  }
}

/** `HeartbeatSeconds` for `heartbeatSeconds`: what proposals and the client call it. */
function namedAsOnLedger(values: object): Readonly<Record<string, unknown>> {
  const entries = Object.entries(values).map(([name, value]) => [
    name.charAt(0).toUpperCase() + name.slice(1),
    value,
  ])
  return Object.fromEntries(entries)
}

/** Each mount order with the path it has, how its unit is, and what that says of itself. */
function mountsPart(state: StateReading, mountRoot: string, hints: Hints) {
  return state.list('status.mount').map((status) => {
    const order = state.get('order.mount', String(status.order))
    const unit = state.get('status.unit', `mount-${status.order}`)
    const isUp = unit?.state === 'running' && unit.configured
    const told = unit?.figures?.['state']
    const isFailed = unit?.state === 'failed' || unit?.state === 'backing-off'
    const running = isFailed ? 'failed' : isUp && typeof told === 'string' ? told : 'starting'
    const code = status.code ?? unit?.code
    return {
      order: status.order,
      volume: order?.volume,
      path: order && `${mountRoot}/${order.name}`,
      readOnly: order?.readOnly,
      state: status.state === 'provisioned' ? running : status.state,
      code,
      message: status.message ?? unit?.message,
      hint: unit?.hint ?? (code === undefined ? undefined : hints[code]?.hint),
      status: unit?.figures,
    }
  })
}

function transactionPart(sent: SentTransaction) {
  const { id, why, state, nonce, hashes, blockNumber, attempts, code, message } = sent
  return { id, why, state, nonce, hash: hashes.at(-1), blockNumber, attempts, code, message }
}
