/**
 * The one place where the parts of the agent are wired together: ledger, state, planners, controllers, units, surfaces.
 */

import { rpcLedger } from './adapters/chain/rpc-ledger.ts'
import { writeProbe } from './adapters/disk/write-probe.ts'
import { openDataDirectory } from './adapters/process/data-directory.ts'
import { unitHost } from './adapters/process/unit-host.ts'
import { systemClock } from './adapters/time/system-clock.ts'
import type { Identity } from './base/identity.ts'
import type { Clock, Log } from './base/ports.ts'
import { SECOND_MS } from './base/units.ts'
import type { AgentConfig } from './config/config.ts'
import { AGENT_ERRORS } from './error-hints.ts'
import { encodeKeeperAct } from './ledger/calls.ts'
import { LedgerFollower } from './ledger/follower.ts'
import { RECORDS } from './ledger/records.ts'
import { LedgerSender } from './ledger/sender.ts'
import { auditsController } from './reconcile/audits.ts'
import { type AnyController, anyController } from './reconcile/controller.ts'
import { type DiskProbe, heartbeatsController } from './reconcile/heartbeats.ts'
import { type LedgerReading, ledgerController } from './reconcile/ledger.ts'
import { linksController } from './reconcile/links.ts'
import { mountsController } from './reconcile/mounts.ts'
import { registrationController } from './reconcile/registration.ts'
import { repairsController } from './reconcile/repairs.ts'
import { runControllers } from './reconcile/runtime.ts'
import { storesController } from './reconcile/stores.ts'
import { type TransactionSending, transactionsController } from './reconcile/transactions.ts'
import { Supervisor, unitsController } from './reconcile/units.ts'
import { openJournal } from './state/journal.ts'
import { State } from './state/state.ts'
import { agentMetrics } from './surfaces/metrics.ts'
import { servePages } from './surfaces/servers.ts'
import { type StatusFacts, statusDocument, statusJson } from './surfaces/status.ts'
import { buildId } from './units/build.ts'
import { connectControl } from './units/control.ts'

/** What the controllers of an agent are made of; tests and the simulation hand in others. */
export interface AgentParts {
  readonly identity: Identity
  readonly config: AgentConfig
  readonly mountRoot: string
  readonly ledger: LedgerReading
  readonly sender: TransactionSending
  readonly supervisor: Supervisor
  readonly clock: Clock
  /** The disk that slots are on. */
  readonly disk: DiskProbe
}

/**
 * All controllers of an agent: what `varve-agent graph` draws.
 *
 * @param parts - What they work with.
 * @returns Controllers of which no two write one kind.
 */
export function agentControllers(parts: AgentParts): readonly AnyController[] {
  const { identity, config, mountRoot, ledger, sender, supervisor } = parts
  const { cacheBytes, capacityBytes, pricePerGibSecond } = config
  return [
    anyController(ledgerController({ ledger })),
    anyController(
      registrationController({
        identity,
        offer: { capacityBytes, pricePerGibSecond },
        addresses: config.announce,
      }),
    ),
    anyController(heartbeatsController({ clock: parts.clock, disk: parts.disk })),
    anyController(storesController()),
    anyController(linksController({ identity, listen: config.listen })),
    anyController(mountsController({ identity, mountRoot, cacheBytes })),
    anyController(repairsController()),
    anyController(auditsController({ identity, encode: encodeKeeperAct })),
    anyController(transactionsController({ sender })),
    anyController(unitsController(supervisor)),
  ]
}

/**
 * Runs an agent until the signal aborts, then drains its units.
 *
 * @param options.program - File that units are started from: `agent/main.ts`.
 * @param options.signal - SIGTERM, as a signal.
 * @throws NodeError `AGENT_ALREADY_RUNNING`, `IDENTITY_CORRUPT` and the like, before anything runs.
 * @example
 * await runAgent({ config, dataDir: '/var/lib/varve', log, program, signal })
 */
export async function runAgent(options: {
  readonly config: AgentConfig
  readonly dataDir: string
  readonly log: Log
  readonly program: string
  readonly signal: AbortSignal
}): Promise<void> {
  const { config, log, program, signal } = options
  const clock = systemClock()
  const data = await openDataDirectory(options.dataDir)
  const journal = await openJournal(data.stateFolder)
  const state = await State.open(journal, RECORDS)
  if (state.aside.length > 0) {
    const records = state.aside.slice(0, ASIDE_NAMED_MAX)
    log.warn(
      { count: state.aside.length, records },
      'records are set aside; the ledger is read again',
    )
  }
  const { identity } = data
  const mountRoot = config.mountRoot === '' ? `${data.path}/mnt` : config.mountRoot
  const build = buildId()
  log.info({ account: identity.account, build, data: data.path, isNew: data.isNew }, 'agent starts')

  const endpoints = config.ledger.map((url) => rpcLedger(url, config.ledgerHeaders))
  const host = unitHost({ dataDir: data.path, program, build, log, connect: connectControl })
  const supervisor = new Supervisor({ host, clock, log })
  const controllers = agentControllers({
    identity,
    config,
    mountRoot,
    ledger: new LedgerFollower({
      sources: endpoints,
      account: identity.account,
      grid: config.grid,
      clock,
      keeps: config.keeper,
      stallMs: config.stallSeconds * SECOND_MS,
      time: config.ledgerTime,
      pollMs: config.pollMs,
    }),
    sender: new LedgerSender({ gates: endpoints, key: identity, clock }),
    supervisor,
    clock,
    disk: writeProbe(data.path),
  })

  const metrics = await servePages({ port: config.metricsPort }, [
    {
      path: '/metrics',
      type: 'text/plain; version=0.0.4',
      body: agentMetrics(state, AGENT_ERRORS),
    },
  ])
  const facts: StatusFacts = {
    account: identity.account,
    build,
    pid: process.pid,
    startedAtMs: clock.now(),
    dataDir: data.path,
    grid: config.grid,
    mountRoot,
    metricsUrl: `http://127.0.0.1:${metrics.port}/metrics`,
  }
  const status = await servePages({ socketPath: data.statusSocket }, [
    {
      path: '/status',
      type: 'application/json',
      body: () => statusJson(statusDocument(state, facts, AGENT_ERRORS)),
    },
  ])
  try {
    await Promise.all([
      runControllers(controllers, { state, clock, log }, signal),
      explainChanges(state, log, signal),
    ])
    log.info({}, 'agent drains its units')
    await supervisor.drain()
  } finally {
    await Promise.all([status.close(), metrics.close()])
    await journal.close()
    data.release()
  }
  log.info({}, 'agent ends')
}

/** Writes a line for every change that somebody might ask about later. */
async function explainChanges(state: State, log: Log, signal: AbortSignal): Promise<void> {
  const watch = state.watch([
    'ledger.status',
    'status.registration',
    'status.heartbeat',
    'status.store',
    'status.mount',
    'status.repair',
    'status.audit',
    'policy',
    'transaction.sent',
  ])
  const said = new Map<string, string>()
  const say = (key: string, text: string, fields: object) => {
    if (said.get(key) === text) return
    said.set(key, text)
    log.info(fields, `${key} ${text}`)
  }
  try {
    while (!signal.aborted) {
      await watch.next(signal)
      for (const { state: now, code, message } of state.list('ledger.status')) {
        say('ledger', code ?? now, { message })
      }
      for (const { state: now, code, message } of state.list('status.registration')) {
        say('registration', code ?? now, { message })
      }
      for (const { state: now, code, message } of state.list('status.heartbeat')) {
        say('heartbeats', code ?? now, { message })
      }
      for (const { version } of state.list('policy')) say('policy', `version ${version}`, {})
      for (const order of [...state.list('status.store'), ...state.list('status.mount')]) {
        const { kind, state: now, code, message } = order
        say(`order ${order.order}`, `${kind} ${now} ${code ?? ''}`.trim(), { message })
      }
      for (const { order, slot, state: now, to } of state.list('status.repair')) {
        say(`repair ${order}.${slot}`, now, { to })
      }
      for (const { epoch, state: now, code, message } of state.list('status.audit')) {
        say('audits', `epoch ${epoch} ${code ?? now}`, { message })
      }
      for (const sent of state.list('transaction.sent')) {
        if (sent.id.startsWith('heartbeat/') && sent.state !== 'failed') continue
        say(`transaction ${sent.id.slice(0, 80)}`, sent.state, {
          code: sent.code,
          message: sent.message,
        })
      }
      if (said.size > SAID_MAX) said.clear()
    }
  } catch (caught) {
    if (!signal.aborted) throw caught
  } finally {
    watch.close()
  }
}

/** Records that a log line names; the others are in the journal. */
const ASIDE_NAMED_MAX = 20

/** Remembered lines; forgetting them only repeats some. */
const SAID_MAX = 10_000
