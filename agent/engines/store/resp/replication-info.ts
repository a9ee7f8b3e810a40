/** What INFO and NSINFO say of replication: the replicas of a primary and their lag, or the primary of a replica. */
import type { Namespace } from '../namespace.ts'
import type { Follower } from '../replication/follower.ts'
import { oneLine, plainWord } from './plain-text.ts'
import type { RespServer } from './server.ts'

/** Not more replicas are listed one by one; INFO is for people and for programs that read all of it. */
const LISTED_MAX = 100

/** The lines of INFO's section; names as in redis where redis has them. */
export function replicationLines(server: RespServer): string[] {
  const { replica } = server.init
  const followers = [...server.followers.all]
  const lines = [
    `connected_slaves:${followers.length}`,
    ...followers.slice(0, LISTED_MAX).map(replicaLine),
  ]
  if (!replica?.isFollowing) return lines
  const facts = replica.facts()
  const isUp = facts.length > 0 && facts.every((one) => one.state === 'following')
  return [
    ...lines,
    `master_address:${replica.primary}`,
    `master_link_status:${isUp ? 'up' : 'down'}`,
    ...facts.slice(0, LISTED_MAX).map((one) => {
      const lag = Math.max(0, one.primaryPosition - one.position)
      const { namespace, state, position, problem } = one
      return `followed_${plainWord(namespace)}:state=${state},position=${position},lag_records=${lag},problem=${oneLine(problem).replace(/,/g, ' ')}`
    }),
  ]
}

/** The lines of NSINFO. */
export function namespaceReplicationFacts(
  server: RespServer,
  namespace: Namespace,
): Record<string, string | number> {
  const followers = server.followers.of(namespace)
  const positions = followers.map((one) => one.acknowledged)
  const followed = server.init.replica?.facts().find((one) => one.namespace === namespace.name)
  return {
    log_id: namespace.properties.logId,
    role: namespace.properties.isReplica ? 'replica' : 'primary',
    replicas: followers.length,
    replicas_records_min: positions.length > 0 ? Math.min(...positions) : 0,
    replicas_lag_records_max: Math.max(0, ...followers.map((one) => one.facts.lagRecords)),
    ...(followed && {
      primary_state: followed.state,
      primary_records: followed.primaryPosition,
      primary_problem: oneLine(followed.problem),
    }),
  }
}

function replicaLine(follower: Follower, at: number): string {
  const { name, peer, namespace, acknowledged, lagRecords, lagMs } = follower.facts
  return `slave${at}:name=${name},addr=${peer},namespace=${plainWord(namespace)},offset=${acknowledged},lag_records=${lagRecords},lag_ms=${lagMs}`
}
