/** Reads the few fields of agents' status documents that the main job needs, checking their shapes on the way. */
import type { AgentStatus } from '../grid/agent-process.ts'

/** How a mount is doing, as its agent tells. */
export interface MountFigures {
  readonly state: string
  readonly path: string
  readonly pid: number
  /** Bytes that files hold. */
  readonly bytes: number
  readonly undispersedBytes: number
  readonly missingShards: number
  readonly dedupRatio: number
}

type Fields = Readonly<Record<string, unknown>>

const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null ? (value as Fields) : {}

/**
 * Finds a unit in a status.
 *
 * @param status - An agent's status.
 * @param name - `store`, `links`, `mount-<order>`.
 * @returns Its entry, undefined if there is none.
 */
export function unitOf(status: AgentStatus, name: string): Fields | undefined {
  const units = status['units']
  const list = Array.isArray(units) ? units.map(fieldsOf) : []
  return list.find((unit) => unit['name'] === name)
}

/**
 * Finds the figures of a mount.
 *
 * @param status - Status of the agent that mounts.
 * @param order - The mount's order.
 * @returns Its figures, or undefined while its unit does not tell.
 */
export function mountFigures(status: AgentStatus, order: number): MountFigures | undefined {
  const unit = unitOf(status, `mount-${order}`)
  const told = fieldsOf(unit?.['status'])
  if (typeof told['state'] !== 'string') return undefined
  const volume = fieldsOf(told['volume'])
  return {
    state: told['state'],
    path: String(told['path']),
    pid: Number(unit?.['pid']),
    bytes: Number(volume['bytes'] ?? Number.NaN),
    undispersedBytes: Number(volume['undispersedBytes'] ?? Number.NaN),
    missingShards: Number(told['missingShards'] ?? Number.NaN),
    dedupRatio: Number(told['dedupRatio'] ?? Number.NaN),
  }
}

/**
 * Adds up what a node's store holds on disk for a volume.
 *
 * @param status - An agent's status.
 * @param volume - The volume's order.
 * @returns Bytes.
 */
export function storedBytes(status: AgentStatus, volume: number): number {
  const told = fieldsOf(unitOf(status, 'store')?.['status'])
  const namespaces = told['namespaces']
  const list = Array.isArray(namespaces) ? namespaces.map(fieldsOf) : []
  return list
    .filter((namespace) => String(namespace['name']).startsWith(`o${volume}.`))
    .reduce((sum, namespace) => sum + Number(namespace['dataBytes'] ?? 0), 0)
}

/**
 * What an agent says of its audits.
 *
 * @param status - Its status, undefined while it does not answer.
 * @returns The newest epoch in which it was proven and the units it stands for; undefined before the first.
 */
export function auditFigures(
  status: AgentStatus | undefined,
): { readonly epoch: number; readonly units: number } | undefined {
  const told = fieldsOf(status?.['audits'])
  const epoch = Number(told['provenEpoch'] ?? 0)
  const units = Number(told['units'] ?? 0)
  return epoch > 0 && units > 0 ? { epoch, units } : undefined
}
