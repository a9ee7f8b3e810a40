/** What INFO says: 0-db's lines and redis' in one text, written as the dialect of the connection has them. */
import { replicationLines } from './replication-info.ts'
import type { Session } from './session.ts'

/**
 * Writes the text.
 *
 * @param session - Who asks.
 * @param redisVersion - The version of redis whose shapes are kept.
 * @param section - Only this one, in any case; all of them if not given, or for redis' words for all.
 * @returns Lines that end with CR LF.
 */
export function infoText(
  session: Session,
  redisVersion: string,
  section: string | undefined,
): string {
  const wanted = section?.toLowerCase()
  const isAll = wanted === undefined || ['all', 'default', 'everything'].includes(wanted)
  const sections = sectionsOf(session, redisVersion).filter(
    ([name]) => isAll || name === wanted || (name === 'internals' && wanted === 'memory'),
  )
  const isRedis = session.dialect === 'redis'
  const text = sections.map(([name, lines]) => {
    const title = isRedis ? `${name.slice(0, 1).toUpperCase()}${name.slice(1)}` : name
    const written = isRedis ? lines.map((line) => line.replace(/^([a-z_]+): /, '$1:')) : lines
    return [`# ${title}`, ...written, ''].join('\r\n')
  })
  return text.join('\r\n')
}

function sectionsOf(session: Session, redisVersion: string): [name: string, lines: string[]][] {
  const { server, namespace } = session
  const { store, counts, init } = server
  const uptime = Math.floor((store.ports.clock.now() - server.startedMs) / 1000)
  const keys = namespace && session.rights.read ? namespace.log.index.liveKeys : 0
  return [
    [
      'server',
      [
        `redis_version:${redisVersion}`,
        'server_name: varve-store',
        `server_revision: ${init.version ?? 'unknown'}`,
        'engine_revision: 1',
        `instance_id: ${server.instanceId}`,
        `boot_time: ${Math.floor(server.startedMs / 1000)}`,
        `uptime: ${uptime}`,
        `uptime_in_seconds:${uptime}`,
        'redis_mode:standalone',
        'loading:0',
        `role:${init.replica?.isFollowing ? 'slave' : 'master'}`,
      ],
    ],
    [
      'clients',
      [`clients_lifetime: ${counts.clients}`, `connected_clients:${server.sessions.size}`],
    ],
    [
      'internals',
      [
        'sequential_key_size: 8',
        'data_version: 1',
        `default_sync: ${store.init.sync}`,
        `namespaces: ${store.namespaces.size}`,
        `namespaces_set_aside: ${store.setAside.size}`,
      ],
    ],
    [
      'stats',
      [
        `commands_executed: ${counts.commands}`,
        `commands_failed: ${counts.failedCommands}`,
        `commands_unauthorized: ${counts.failedLogins}`,
        `http_clients_cut: ${counts.httpClients}`,
        `late_commands_cut: ${counts.lateCommands}`,
        `network_rx_bytes: ${counts.receivedBytes}`,
        `network_tx_bytes: ${counts.sentBytes}`,
        `receive_buffers_bytes: ${server.memory.heldBytes}`,
      ],
    ],
    ['replication', replicationLines(server)],
    ['keyspace', keys > 0 ? [`db0:keys=${keys},expires=0,avg_ttl=0`] : []],
  ]
}
