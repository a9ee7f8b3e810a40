/** One peer's link on virtual time: attempts are shared, spaced and given up, and a lost link comes back by itself. */
import type { Connection } from '@libp2p/interface'
import { assert } from 'chai'
import { pino } from 'pino'
import { codeOf, NodeError } from '../../../agent/base/errors.ts'
import { ledgerKeyFrom } from '../../../agent/base/ledger-key.ts'
import { MINUTE_MS } from '../../../agent/base/units.ts'
import { CONNECT_MS_MAX, REDIAL_MS_MAX } from '../../../agent/engines/links/constants.ts'
import { bookPeers } from '../../../agent/engines/links/peer-book.ts'
import { PeerLink } from '../../../agent/engines/links/peer-link.ts'
import { seededChance, settle, VirtualClock } from '../../support/virtual-clock.ts'

const key = ledgerKeyFrom(new Uint8Array(32).fill(1))
const log = pino({ level: 'silent' })
const never = new AbortController().signal

/** As much of a connection as a link looks at. */
function fakeConnection(): Connection & { status: string; closed: boolean } {
  const connection = {
    status: 'open',
    direction: 'outbound',
    closed: false,
    abort() {
      connection.status = 'aborted'
    },
    async close() {
      connection.closed = true
      connection.status = 'closed'
    },
  }
  return connection as unknown as Connection & { status: string; closed: boolean }
}

function linkTo(addresses: readonly string[] = ['/ip4/127.0.0.1/tcp/1']) {
  const clock = new VirtualClock()
  const peers = [{ account: key.account, publicKey: key.publicKeyCompressed, addresses }]
  const book = bookPeers({ peers, guests: [] }, log)
  const world = {
    clock,
    attemptsMs: [] as number[],
    outcome: 'ok' as 'ok' | 'refused' | 'hangs',
    link: new PeerLink(key.account, {
      clock,
      chance: seededChance(1),
      log,
      lookUp: (account) => book.peers.get(account),
      async connect(_peer, signal) {
        world.attemptsMs.push(clock.monotonic())
        if (world.outcome === 'refused') throw new NodeError('LINK_UNREACHABLE', 'refused')
        if (world.outcome === 'hangs') {
          return new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason))
          })
        }
        const connection = fakeConnection()
        world.link.opened(connection)
        return connection
      },
    }),
  }
  return world
}

async function codeThrownBy(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise
  } catch (caught) {
    return codeOf(caught) ?? String(caught)
  }
  return 'nothing thrown'
}

describe('a link to a peer', () => {
  it('shares one attempt, and then one connection, among all who ask', async () => {
    const { link, attemptsMs } = linkTo()
    const [one, two] = await Promise.all([link.connection(never), link.connection(never)])
    assert.equal(one, two)
    assert.equal(await link.connection(never), one)
    assert.equal(attemptsMs.length, 1)
    assert.equal(link.status().state, 'linked')
  })

  it('prefers the newest connection: the older may be that of a peer before it rebooted', async () => {
    const { link } = linkTo()
    await link.connection(never)
    const newer = fakeConnection()
    link.opened(newer)
    assert.equal(await link.connection(never), newer)
  })

  it('has no attempt for a peer without an address', async () => {
    const { link, attemptsMs, clock } = linkTo([])
    assert.equal(await codeThrownBy(link.connection(never)), 'LINK_NO_ADDRESS')
    await clock.advance(MINUTE_MS)
    assert.equal(attemptsMs.length, 0)
  })

  it('fails fast for a moment after a failure, so that a loop of dials costs nothing', async () => {
    const world = linkTo()
    world.outcome = 'refused'
    for (let i = 0; i < 100; i++) {
      assert.equal(await codeThrownBy(world.link.connection(never)), 'LINK_UNREACHABLE')
    }
    assert.equal(world.attemptsMs.length, 1)
    assert.equal(world.link.status().failures, 1)
    assert.include(world.link.status().lastFailure, 'refused')
  })

  it('gives up on a peer that never answers', async () => {
    const world = linkTo()
    world.outcome = 'hangs'
    const code = codeThrownBy(world.link.connection(never))
    await settle()
    assert.equal(world.link.status().state, 'dialling')
    await world.clock.advance(CONNECT_MS_MAX)
    assert.equal(await code, 'LINK_UNREACHABLE')
  })

  it('lets one who asked go without stopping the attempt of the others', async () => {
    const world = linkTo()
    world.outcome = 'hangs'
    const impatient = new AbortController()
    const one = codeThrownBy(world.link.connection(impatient.signal))
    const other = codeThrownBy(world.link.connection(never))
    impatient.abort('bored')
    assert.equal(await one, 'bored')
    await world.clock.advance(CONNECT_MS_MAX)
    assert.equal(await other, 'LINK_UNREACHABLE')
  })

  it('dials a lost peer again by itself, with growing pauses up to their limit', async () => {
    const world = linkTo()
    const connection = await world.link.connection(never)
    world.outcome = 'refused'
    world.link.lost(connection)
    assert.equal(world.link.status().state, 'waiting')
    await world.clock.advance(5 * MINUTE_MS)
    const times = world.attemptsMs.slice(1)
    const pauses = times.map((time, i) => time - (times[i - 1] ?? 0))
    assert.isAtLeast(times.length, 12)
    assert.isBelow(pauses[0] ?? 0, 300)
    for (const pause of pauses) assert.isAtMost(pause, REDIAL_MS_MAX)
    assert.isAtLeast(Math.max(...pauses), REDIAL_MS_MAX / 2)

    world.outcome = 'ok'
    await world.clock.advance(REDIAL_MS_MAX)
    assert.equal(world.link.status().state, 'linked')
    assert.equal(world.link.status().failures, 0)
    const attempts = world.attemptsMs.length
    await world.clock.advance(MINUTE_MS)
    assert.equal(world.attemptsMs.length, attempts, 'linked is enough')
  })

  it('stops dialling a peer that nobody asked for in ten minutes', async () => {
    const world = linkTo()
    const connection = await world.link.connection(never)
    world.outcome = 'refused'
    world.link.lost(connection)
    await world.clock.advance(11 * MINUTE_MS)
    const attempts = world.attemptsMs.length
    await world.clock.advance(60 * MINUTE_MS)
    assert.equal(world.attemptsMs.length, attempts)
    assert.equal(world.link.status().state, 'idle')
    assert.equal(world.clock.sleeping, 0)
  })

  it('closes a connection that nobody used in ten minutes, but not one with a stream', async () => {
    const world = linkTo()
    const connection = (await world.link.connection(never)) as ReturnType<typeof fakeConnection>
    world.link.traffic.streams = 1
    await world.clock.advance(20 * MINUTE_MS)
    world.link.closeIfIdle()
    assert.isFalse(connection.closed)
    world.link.traffic.streams = 0
    await world.clock.advance(9 * MINUTE_MS)
    world.link.closeIfIdle()
    assert.isFalse(connection.closed)
    await world.clock.advance(2 * MINUTE_MS)
    world.link.closeIfIdle()
    assert.isTrue(connection.closed)
  })

  it('breaks everything and never dials again once stopped', async () => {
    const world = linkTo()
    const connection = await world.link.connection(never)
    world.link.stop('removed')
    assert.equal(connection.status, 'aborted')
    world.link.lost(connection)
    await world.clock.advance(MINUTE_MS)
    assert.equal(world.attemptsMs.length, 1)
  })
})
