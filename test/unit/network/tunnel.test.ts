/** Ends of the network that speak with each other, and what strangers, listeners and bad links can do to them. */
import { assert } from 'chai'
import fc from 'fast-check'
import { VARVE_WIRE, WIREGUARD, type Wire } from '../../../agent/engines/network/handshake.ts'
import { parsePrefix } from '../../../agent/engines/network/routes.ts'
import { type Datagram, type End, NetworkWorld, packetOf } from '../../support/network-world.ts'

const texts = (end: End) => end.received.map(({ text }) => text)

function pair(options: { wire?: Wire; presharedKey?: Uint8Array } = {}, seed = 1) {
  const world = new NetworkWorld(seed)
  const [alice, bob] = [world.add('alice'), world.add('bob')]
  world.join([alice, bob], options)
  return { world, alice, bob }
}

describe('tunnel', () => {
  for (const [name, wire] of [
    ['WireGuard', WIREGUARD],
    ['Varve', VARVE_WIRE],
  ] as const) {
    it(`carries packets both ways over the wire of ${name}`, () => {
      const { world, alice, bob } = pair({ wire, presharedKey: new Uint8Array(32).fill(9) })
      world.say(alice, bob, 'hello')
      world.carry()
      world.say(bob, alice, 'hello yourself')
      world.carry()
      assert.deepEqual(bob.received, [{ text: 'hello', peer: 'alice' }])
      assert.deepEqual(alice.received, [{ text: 'hello yourself', peer: 'bob' }])
    })
  }

  it('does not carry between ends of different wires, nor of different pre-shared keys', () => {
    for (const other of [{ wire: VARVE_WIRE }, { presharedKey: new Uint8Array(32).fill(1) }]) {
      const { world, alice, bob } = pair()
      bob.tunnel.setPeers([world.peerOf(alice, other)])
      world.say(alice, bob, 'hello')
      world.pass(30_000)
      assert.deepEqual(texts(bob), [])
    }
  })

  it('gives nobody an answer who is not listed', () => {
    const { world, alice, bob } = pair()
    const eve = world.add('eve')
    eve.tunnel.setPeers([world.peerOf(bob)])
    world.say(eve, bob, 'let me in')
    world.pass(20_000)
    assert.deepEqual(texts(bob), [])
    const answers = world.recorded.filter(({ to }) => to.address === eve.endpoint.address)
    assert.deepEqual(answers, [])
    assert.isAbove(bob.tunnel.drops.refused, 0)
    assert.deepEqual(texts(alice), [])
  })

  it('cuts off a peer at once when it is no longer listed, and keeps the sessions of others', () => {
    const { world, alice, bob } = pair()
    const carol = world.add('carol')
    world.join([alice, bob, carol])
    world.say(alice, bob, 'one')
    world.say(carol, bob, 'two')
    world.carry()
    bob.tunnel.setPeers([world.peerOf(carol)])
    const before = world.recorded.length
    world.say(alice, bob, 'three')
    world.say(carol, bob, 'four')
    world.carry()
    assert.deepEqual(texts(bob), ['one', 'two', 'four'])
    assert.equal(world.recorded.length, before + 2, 'carol needs no new handshake')
  })

  it('takes from a peer only what comes from its own addresses', () => {
    const { world, alice, bob } = pair()
    world.say(alice, bob, 'first')
    world.carry()
    const carol = world.add('carol')
    assert.isTrue(alice.tunnel.packet(packetOf(carol.inside, bob.inside, 'I am carol')))
    world.carry()
    assert.deepEqual(texts(bob), ['first'])
    assert.equal(bob.tunnel.drops.misaddressed, 1)
  })

  it('says that nobody has a destination', () => {
    const { alice } = pair()
    assert.isFalse(alice.tunnel.packet(packetOf('10.0.0.1', '10.9.9.9', 'x')))
    assert.isFalse(alice.tunnel.packet(new Uint8Array(3)))
  })

  it('follows a peer that moves, and no one who only claims to be it', () => {
    const { world, alice, bob } = pair()
    world.say(alice, bob, 'one')
    world.carry()
    alice.endpoint = { address: '198.51.100.7', port: 9 }
    world.say(alice, bob, 'two')
    world.carry()
    world.say(bob, alice, 'found you')
    world.carry()
    assert.deepEqual(texts(alice), ['found you'])
    // A copy from elsewhere is genuine in every byte but counted already.
    const copy = world.recorded.findLast(({ to }) => to.address === bob.endpoint.address)
    bob.tunnel.datagram(copy?.bytes ?? new Uint8Array(0), { address: '203.0.113.66', port: 1 })
    world.say(bob, alice, 'still there')
    world.carry()
    assert.deepEqual(texts(alice), ['found you', 'still there'])
  })

  it('counts a datagram once, however often and in whatever order it comes', () => {
    const { world, alice, bob } = pair()
    world.say(alice, bob, 'start')
    world.carry()
    for (let at = 0; at < 100; at++) world.say(alice, bob, `text ${at}`)
    const sent = world.underWay.splice(0)
    for (const { bytes, from } of [...sent.reverse(), ...sent]) bob.tunnel.datagram(bytes, from)
    assert.equal(new Set(texts(bob)).size, 101)
    assert.equal(texts(bob).length, 101)
  })

  it('takes no recorded handshake for a new one', () => {
    const { world, alice, bob } = pair()
    world.say(alice, bob, 'hello')
    world.carry()
    const initiation = world.recorded.find(({ bytes }) => bytes[0] === 1)
    const before = world.recorded.length
    world.pass(1000)
    bob.tunnel.datagram(initiation?.bytes ?? new Uint8Array(0), alice.endpoint)
    world.carry()
    assert.equal(world.recorded.length, before, 'it is not answered')
    world.say(alice, bob, 'and on')
    world.carry()
    assert.deepEqual(texts(bob), ['hello', 'and on'])
  })

  it('makes new keys every two minutes of use without losing a packet', () => {
    const { world, alice, bob } = pair()
    let said = 0
    for (let second = 0; second < 600; second++) {
      world.say(alice, bob, `text ${said++}`)
      if (second % 7 === 0) world.say(bob, alice, `answer ${second}`)
      world.pass(1000)
    }
    const missing = Array.from({ length: said }, (_, at) => `text ${at}`).filter(
      (text) => !texts(bob).includes(text),
    )
    assert.deepEqual(missing, [])
    const initiations = world.recorded.filter(({ bytes }) => bytes[0] === 1).length
    assert.isAtLeast(initiations, 4)
    assert.isAtMost(initiations, 6)
  })

  it('is silent when nobody has anything to say', () => {
    const { world, alice, bob } = pair()
    world.say(alice, bob, 'hello')
    world.pass(60_000)
    const before = world.recorded.length
    world.pass(600_000)
    assert.equal(world.recorded.length, before)
  })

  it('asks for new keys when a peer does not answer, and goes on once it is back', () => {
    const { world, alice, bob } = pair()
    world.say(alice, bob, 'hello')
    world.carry()
    // The peer lost its memory: a new process with the same key.
    bob.tunnel.setPeers([])
    bob.tunnel.setPeers([world.peerOf(alice)])
    world.say(alice, bob, 'lost')
    world.pass(16_000)
    world.say(alice, bob, 'found again')
    world.pass(1000)
    assert.deepEqual(texts(bob), ['hello', 'found again'])
  })

  it('gives up a handshake after 90 s, drops what waited, and begins anew at the next packet', () => {
    const { world, alice, bob } = pair()
    const lost = () => []
    for (let at = 0; at < 200; at++) world.say(alice, bob, `text ${at}`)
    world.pass(95_000, lost)
    const initiations = world.recorded.length
    assert.isAtLeast(initiations, 16)
    assert.isAtMost(initiations, 19)
    world.pass(60_000, lost)
    assert.equal(world.recorded.length, initiations, 'silent after that')
    world.say(alice, bob, 'again')
    world.carry()
    assert.deepEqual(texts(bob), ['again'])
    assert.equal(alice.tunnel.statuses()[0]?.dropped, 200)
  })

  it('keeps a way open if it is told to', () => {
    const world = new NetworkWorld(3)
    const [alice, bob] = [world.add('alice'), world.add('bob')]
    alice.tunnel.setPeers([world.peerOf(bob, { keepAliveMs: 25_000 })])
    const { endpoint: _none, ...comesToUs } = world.peerOf(alice)
    bob.tunnel.setPeers([comesToUs])
    world.pass(1000)
    world.say(bob, alice, 'through the NAT')
    world.carry()
    assert.deepEqual(texts(alice), ['through the NAT'])
    const before = world.recorded.length
    world.pass(100_000)
    const sent = world.recorded.slice(before).filter(({ from }) => from.address === '192.0.2.1')
    assert.isAtLeast(sent.length, 4)
  })

  it('tells two sessions that both ends began at once apart', () => {
    const { world, alice, bob } = pair()
    world.say(alice, bob, 'from alice')
    world.say(bob, alice, 'from bob')
    world.carry()
    world.pass(20_000)
    world.say(alice, bob, 'more from alice')
    world.say(bob, alice, 'more from bob')
    world.carry()
    assert.deepEqual(texts(bob), ['from alice', 'more from alice'])
    assert.deepEqual(texts(alice), ['from bob', 'more from bob'])
  })

  it('cannot be read afterwards by who recorded all and then gets every long-term key', () => {
    const { world, alice, bob } = pair()
    world.say(alice, bob, 'a secret')
    world.carry()
    // With bob's key the listener plays bob; what alice sent to bob's sessions stays shut.
    const listener = new NetworkWorld(77)
    listener.add('nobody')
    const mallory = listener.add('mallory, with the key of bob')
    assert.equal(mallory.tunnel.key, bob.tunnel.key)
    mallory.tunnel.setPeers([world.peerOf(alice)])
    for (const { bytes, to, from } of world.recorded) {
      if (to.address === bob.endpoint.address) mallory.tunnel.datagram(bytes, from)
    }
    assert.deepEqual(texts(mallory), [])
    const plain = world.recorded.some(({ bytes }) => Buffer.from(bytes).includes('a secret'))
    assert.isFalse(plain)
  })

  describe('under a flood of handshakes', () => {
    const flood = (world: NetworkWorld, bob: End, count: number, from: (at: number) => string) => {
      const eve = new NetworkWorld(5).add('eve')
      eve.tunnel.setPeers([{ ...world.peerOf(bob), allowed: [parsePrefix('10.0.0.2')] }])
      const messages: Datagram[] = []
      for (let at = 0; at < count; at++) {
        const junk = new Uint8Array(148)
        junk[0] = 1
        junk[8] = at & 0xff
        junk[9] = at >> 8
        messages.push({ bytes: junk, from: { address: from(at), port: 1 }, to: bob.endpoint })
      }
      for (const { bytes, from: source } of messages) bob.tunnel.datagram(bytes, source)
    }

    it('drops what does not know the node, and answers none of it', () => {
      const { world, bob } = pair()
      flood(world, bob, 5000, (at) => `203.0.113.${at % 250}`)
      assert.equal(bob.tunnel.drops.unproven, 5000)
      assert.lengthOf(world.recorded, 0)
    })

    it('lets a newcomer in that proves where it is', () => {
      const { world, alice, bob } = pair()
      flood(world, bob, 200, (at) => `203.0.113.${at % 250}`)
      world.say(alice, bob, 'is it full?')
      world.carry()
      assert.deepEqual(texts(bob), [], 'first it is told to prove where it is')
      assert.equal(bob.tunnel.drops.cookies, 1)
      for (let second = 0; second < 6; second++) {
        flood(world, bob, 200, (at) => `203.0.113.${at % 250}`)
        world.pass(1000)
      }
      assert.deepEqual(texts(bob), ['is it full?'])
    })
  })

  it('survives any datagram', () => {
    const { world, alice, bob } = pair()
    world.say(alice, bob, 'hello')
    world.carry()
    fc.assert(
      fc.property(
        fc.nat(world.recorded.length - 1),
        fc.array(fc.tuple(fc.nat(160), fc.nat(255)), { maxLength: 4 }),
        fc.nat(200),
        (which, changes, length) => {
          const bytes = Uint8Array.from(world.recorded[which]?.bytes ?? []).slice(0, length)
          for (const [at, value] of changes) if (at < bytes.byteLength) bytes[at] = value
          bob.tunnel.datagram(bytes, alice.endpoint)
        },
      ),
      { numRuns: 2000 },
    )
    world.say(alice, bob, 'still well')
    world.pass(1000)
    assert.deepEqual(texts(bob), ['hello', 'still well'])
  })

  it('delivers each text once over links that lose, repeat and reorder', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { world, alice, bob } = pair({}, seed)
      const held: Datagram[] = []
      let step = seed
      const next = () => {
        step = (step * 1_103_515_245 + 12_345) % 2_147_483_648
        return step / 2_147_483_648
      }
      const badLink = (one: Datagram): Datagram[] => {
        const roll = next()
        if (roll < 0.2) return []
        if (roll < 0.4) return [one, one]
        if (roll < 0.5) {
          held.push(one)
          return held.length > 3 ? held.splice(0, 2) : []
        }
        return [one]
      }
      for (let at = 0; at < 300; at++) {
        world.say(alice, bob, `text ${at}`)
        world.pass(500, badLink)
      }
      assert.equal(new Set(texts(bob)).size, texts(bob).length, `seed ${seed}: none twice`)
      assert.isAbove(texts(bob).length, 180, `seed ${seed}: most arrive`)
    }
  })
})
