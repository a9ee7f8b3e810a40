/**
 * A keeper's look at others: who owed a proof of the epoch before the newest and gave none.
 *
 * Once an epoch every node is looked at, some hundred a block, each keeper after another while; afterwards only those who owe are
 * looked at again, so that whom another keeper marked is left out, and whose heartbeat was awaited is marked once it came.
 */
import { type NodeId, nodeId } from '../base/ids.ts'
import { spread } from '../base/spread.ts'
import { NODES_ABI } from './abi.ts'
import { decodeReturn } from './decode.ts'
import type { AskAudits, AuditReading } from './read-audits.ts'
import type { AuditEpoch, KeeperFacts } from './types.ts'

/** Nodes of one look: a call each, in a few batches, so that following the ledger is never held up. */
const NODES_PER_LOOK = 256
/** Keepers spread over this part of an epoch: less than what is left of it, in which marking still counts. */
const SPREAD_EPOCH_PART = 1 / 3

type Scan = Omit<KeeperFacts, 'waiting'>

/** What a look is made with. */
export interface ScanInit {
  readonly reading: AuditReading
  readonly ask: AskAudits
  /** This node. */
  readonly node: NodeId
  /** The newest epoch. */
  readonly epoch: AuditEpoch
  readonly known: KeeperFacts | undefined
}

/**
 * Looks at the next nodes.
 *
 * @param init - The block, and what was seen before.
 * @returns What is known now; undefined while this node is no keeper, or there is no epoch to judge.
 * @throws NodeError `LEDGER_*`.
 */
export async function scanOthers(init: ScanInit): Promise<Scan | undefined> {
  const { reading, node, epoch, known } = init
  const judged = epoch.number - 1
  if (!reading.keeps || judged === 0) return undefined
  const before: Scan =
    known?.epoch === judged ? known : { epoch: judged, scannedTo: 0, suspects: [], undecided: [] }
  const waits = spread(node, epoch.number, reading.epochSeconds * SPREAD_EPOCH_PART)
  if (reading.now < epoch.drawnAt + waits) return { ...before }
  const scannedTo = Math.min(reading.nodeCount, before.scannedTo + NODES_PER_LOOK)
  const asked = [...before.suspects, ...before.undecided]
  for (let id = before.scannedTo + 1; id <= scannedTo; id++) asked.push(nodeId(id))
  if (asked.length === 0) return { epoch: judged, scannedTo, suspects: [], undecided: [] }
  const owing = await Promise.all(asked.map((id) => owes(init, id, judged)))
  const owed = asked.filter((_, at) => owing[at])
  const decided = await Promise.all(owed.map((id) => isDecided(init, id)))
  return {
    epoch: judged,
    scannedTo,
    suspects: owed.filter((_, at) => decided[at]),
    undecided: owed.filter((_, at) => !decided[at]),
  }
}

/** Whether it is known how long a node lived, as `Nodes.recordMiss` decides: before that a mark does nothing. */
async function isDecided({ reading, epoch }: ScanInit, id: NodeId): Promise<boolean> {
  const [[views], [isAlive]] = await Promise.all([
    askNodes(reading, 'nodes', [id, 1]),
    askNodes(reading, 'isAlive', [id]),
  ])
  return !isAlive || Number(views[0]['lastHeartbeat']) >= epoch.drawnAt
}

/** Whether a node owed a proof and can be marked for it. */
async function owes({ ask }: ScanInit, id: NodeId, judged: number): Promise<boolean> {
  if (!(await ask('owes', [id, judged]))[0]) return false
  return Number((await ask('proverOf', [id]))['missedEpoch']) !== judged
}

async function askNodes(reading: AuditReading, name: string, values: readonly unknown[]) {
  const data = NODES_ABI.encodeFunctionData(name, values)
  return decodeReturn(NODES_ABI, name, await reading.call(reading.nodes, data))
}
