/** Proofs and their check: an honest transcript is sound, every change of it is found, and named with the act that settles it. */
import { assert } from 'chai'
import fc from 'fast-check'
import { nodeId } from '../../../agent/base/ids.ts'
import {
  type Doubt,
  decodeTranscript,
  digestTree,
  encodeTranscript,
  planDemand,
  type Transcript,
  verifyTranscript,
} from '../../../agent/engines/audit/index.ts'
import { firstState, isDrawn, nextState } from '../../../agent/engines/audit/sampling.ts'
import type { ShownSample } from '../../../agent/engines/audit/transcript.ts'
import { AuditNode, isTestWriter, slotOf, TEST_DOMAIN, testKey } from '../../support/audit-node.ts'
import { rejectsWith } from '../../support/rejects-with.ts'
import { seededChance } from '../../support/seeded-chance.ts'

const EPOCH = { number: 9, seed: 0x1234_5678_9abc_def0_1122n, samples: 64 }
const A = slotOf(1)
const B = slotOf(2, 3)
const C = slotOf(2, 4, 2)

/** A node with three slots of different sizes. */
async function fullNode(): Promise<AuditNode> {
  const node = new AuditNode()
  const chance = seededChance(21)
  await node.fill(A, [1000, 1, 64, 0, 4096], chance)
  await node.fill(B, [300], chance)
  await node.fill(C, [2048, 2048, 2048], chance)
  return node
}

const show = (doubts: readonly Doubt[]) =>
  doubts.map(({ sample, reason, act }) => `${sample} ${reason}: ${act.method}`).join(', ')

const flipped = (bytes: Uint8Array, bit = 0) => {
  const changed = bytes.slice()
  const at = bit % (8 * changed.byteLength)
  changed[at >> 3] = changed[at >> 3]! ^ (1 << (at & 7))
  return changed
}

/** A transcript with one sample changed. */
function withSample(
  transcript: Transcript,
  sample: number,
  change: (shown: ShownSample) => Partial<ShownSample>,
): Transcript {
  const samples = transcript.samples.map((shown, at) =>
    at === sample - 1 ? { ...shown, ...change(shown) } : shown,
  )
  return { ...transcript, samples }
}

describe('a transcript', () => {
  let node: AuditNode
  let transcript: Transcript
  before(async () => {
    node = await fullNode()
    transcript = await node.prove(EPOCH)
  })

  /** Checks what is shown against what the honest transcript's digest claims, or another's. */
  async function doubtsOf(shown: Transcript | undefined, posted = transcript): Promise<string> {
    const claim = node.claim(EPOCH, posted)
    return show(
      await verifyTranscript({
        claim,
        domain: TEST_DOMAIN,
        isWriter: isTestWriter,
        transcript: shown,
        anySample: 5,
      }),
    )
  }

  it('is sound, and reaches every slot', async () => {
    assert.equal(await doubtsOf(transcript), '')
    assert.equal(transcript.entries.length, 3)
    assert.equal(transcript.states.length, 64)
  })

  it('is the same every time, and another for another seed, node or epoch', async () => {
    assert.deepEqual(await node.prove(EPOCH), transcript)
    const states = [
      firstState(EPOCH.seed, nodeId(7), 9),
      firstState(EPOCH.seed + 1n, nodeId(7), 9),
      firstState(EPOCH.seed, nodeId(8), 9),
      firstState(EPOCH.seed, nodeId(7), 10),
    ].map((state) => Buffer.from(state).toString('hex'))
    assert.equal(new Set(states).size, 4)
  })

  it('can be shown for what was committed although the slots have grown since', async () => {
    const growing = await fullNode()
    const committed = growing.accumulator()
    await growing.fill(A, [999, 5], seededChance(4))
    assert.notDeepEqual(growing.accumulator().root, committed.root)
    assert.deepEqual(await growing.prove(EPOCH, committed), transcript)
  })

  it('passes through bytes unchanged, and no others pass for it', async () => {
    const bytes = encodeTranscript(transcript)
    assert.deepEqual(decodeTranscript(bytes), transcript)
    await rejectsWith('AUDIT_TRANSCRIPT_MALFORMED', () => decodeTranscript(bytes.subarray(1)))
    await rejectsWith('AUDIT_TRANSCRIPT_MALFORMED', () => decodeTranscript(new Uint8Array(2 ** 21)))
    await rejectsWith('AUDIT_TRANSCRIPT_MALFORMED', () =>
      decodeTranscript(Buffer.concat([bytes, Buffer.of(0)])),
    )
  })

  it('is doubted wherever one bit of its bytes was flipped', async () => {
    const bytes = encodeTranscript(transcript)
    const chance = seededChance(8)
    for (let run = 0; run < 60; run++) {
      let shown: Transcript
      try {
        shown = decodeTranscript(flipped(bytes, chance.below(8 * bytes.byteLength)))
      } catch {
        continue
      }
      const doubts = await doubtsOf(shown)
      assert.notEqual(doubts, '', `run ${run}`)
    }
  })

  it('need not be trusted with its form', async () => {
    const chance = seededChance(9)
    const bytes = encodeTranscript(transcript)
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.byteLength), fc.nat(64), async (at, length) => {
        const changed = Buffer.from(bytes)
        changed.set(chance.bytes(Math.min(length, bytes.byteLength - at)), at)
        try {
          await doubtsOf(decodeTranscript(changed))
        } catch (caught) {
          assert.propertyVal(caught, 'code', 'AUDIT_TRANSCRIPT_MALFORMED')
        }
      }),
      { numRuns: 60 },
    )
  })

  describe('that is not sound', () => {
    /** The claimed chain goes on from a unit that the node made up at one sample. */
    function forged(sample: number): Transcript {
      const samples = [...transcript.samples.slice(0, sample - 1)]
      const states = [...transcript.states.slice(0, sample - 1)]
      const honest = transcript.samples[sample - 1]!
      let state = honest.earlier
      const made = { ...honest, unit: flipped(honest.unit) }
      const rest = [made, ...transcript.samples.slice(sample)]
      for (const shown of rest) {
        samples.push({ ...shown, earlier: state })
        state = nextState(state, shown.unit)
        states.push(state)
      }
      return { ...transcript, samples, states }
    }

    it('is doubted as a whole if nothing, or something else, is shown', async () => {
      assert.equal(await doubtsOf(undefined), '5 not-shown: challenge')
      const other = await node.prove({ ...EPOCH, seed: 1n })
      assert.equal(await doubtsOf(other), '5 not-shown: challenge')
      const short = { ...transcript, states: transcript.states.slice(1) }
      assert.equal(await doubtsOf(short), '5 not-shown: challenge')
    })

    it('is challenged where the bytes shown are not those that were hashed', async () => {
      const shown = withSample(transcript, 12, ({ unit }) => ({ unit: flipped(unit) }))
      assert.equal(await doubtsOf(shown), '12 state-unexplained: challenge')
    })

    it('is located where made-up bytes were hashed', async () => {
      const shown = forged(64)
      assert.equal(await doubtsOf(shown, shown), '64 unit-not-shown: challengeLocated')
    })

    it('is located where the paths were not shown', async () => {
      for (const bit of [0, 256, 512, 600, 3000]) {
        const shown = withSample(transcript, 3, ({ opening }) => ({
          opening: flipped(opening, bit),
        }))
        assert.equal(await doubtsOf(shown), '3 unit-not-shown: challengeLocated', `bit ${bit}`)
      }
    })

    it('is proved broken where a state does not follow from the one before', async () => {
      const start = transcript.samples[9]!
      const earlier = flipped(start.earlier)
      const states = [...transcript.states]
      states[9] = nextState(earlier, start.unit)
      const shown = { ...withSample(transcript, 10, () => ({ earlier })), states }
      const found = await doubtsOf(shown, shown)
      assert.equal(found.split(', ')[0], '10 chain-broken: proveBroken')
      assert.equal(found.split(', ')[1], '11 chain-broken: proveBroken')
    })

    it('is proved broken where the first state does not follow from the seed', async () => {
      const other = await node.prove({ ...EPOCH, seed: 5n })
      assert.equal((await doubtsOf(other, other)).split(', ')[0], '1 chain-broken: proveBroken')
    })

    it('is challenged where no signed slot of the accumulator holds the unit', async () => {
      const entry = transcript.samples[0]!.entry
      const wrong = [
        { ...transcript.entries[entry]!, signature: new Uint8Array(65) },
        { ...transcript.entries[entry]!, path: new Uint8Array(0) },
        transcript.entries[(entry + 1) % 3]!,
      ]
      for (const other of wrong) {
        const entries = transcript.entries.map((one, at) => (at === entry ? other : one))
        const found = await doubtsOf({ ...transcript, entries })
        assert.match(found, /^1 slot-not-shown: challenge/)
        const touched = transcript.samples.filter((shown) => shown.entry === entry).length
        assert.equal(found.split(', ').length, touched)
      }
    })

    it('is challenged where someone else signed the slot', async () => {
      const stranger = new AuditNode({ writer: testKey(5) })
      await stranger.fill(A, [500], seededChance(1))
      const shown = await stranger.prove(EPOCH)
      const doubts = await verifyTranscript({
        claim: stranger.claim(EPOCH, shown),
        domain: TEST_DOMAIN,
        isWriter: isTestWriter,
        transcript: shown,
      })
      assert.equal(doubts.length, 64)
      assert.isTrue(doubts.every(({ reason }) => reason === 'slot-not-shown'))
    })
  })

  it('is not made by a node that lost what is asked, nor of nothing', async () => {
    const lossy = await fullNode()
    for (let at = 0; at < 3; at++) lossy.source.lose(C, at)
    await rejectsWith('AUDIT_SHARD_LOST', () => lossy.prove(EPOCH))
    await rejectsWith('AUDIT_NOTHING_COMMITTED', () => new AuditNode().prove(EPOCH))
  })

  it('ends when it is told to', async () => {
    const stop = new AbortController()
    stop.abort()
    let caught: unknown
    await node.prove(EPOCH, node.accumulator(), stop.signal).catch((error: unknown) => {
      caught = error
    })
    assert.equal(caught, stop.signal.reason)
  })

  it('takes one sample as well as 255', async () => {
    for (const samples of [1, 2, 3, 255]) {
      const epoch = { ...EPOCH, samples }
      const shown = await node.prove(epoch)
      const claim = node.claim(epoch, shown)
      const init = { claim, domain: TEST_DOMAIN, isWriter: isTestWriter, transcript: shown }
      assert.deepEqual(await verifyTranscript(init), [])
      assert.equal(digestTree(shown).path(0).length, Math.ceil(Math.log2(samples)))
    }
  })
})

describe('the drawing of nodes', () => {
  it('takes one in so many, and none where the odds are 0', () => {
    let drawn = 0
    for (let node = 1; node <= 2000; node++) if (isDrawn(7n, nodeId(node), 20)) drawn++
    assert.approximately(drawn, 100, 40)
    assert.isFalse(isDrawn(7n, nodeId(1), 0))
    assert.isTrue(isDrawn(7n, nodeId(1), 1))
  })
})

describe('a demand', () => {
  it('comes two epochs after the signature, unless the slot is shown in what is committed', async () => {
    const node = await fullNode()
    const signed = { ...node.sign(B), countersignature: new Uint8Array(65) }
    const whole = node.accumulator()
    const hiding = node.accumulator([B])
    const cases: [
      why: string,
      epoch: number,
      accumulator: typeof whole,
      shown: boolean,
      want: boolean,
    ][] = [
      ['too early', 2, hiding, false, false],
      ['nothing shown', 3, hiding, false, true],
      ['shown, but of another accumulator', 3, hiding, true, true],
      ['shown', 3, whole, true, false],
    ]
    for (const [why, newestEpoch, accumulator, isShown, want] of cases) {
      const shown = isShown ? whole.find(B) : undefined
      const act = planDemand(signed, { newestEpoch, accumulator, shown })
      assert.equal(act?.method, want ? 'demand' : undefined, why)
    }
    const more = { ...signed.commitment, units: signed.commitment.units + 1 }
    const world = { newestEpoch: 3, accumulator: whole, shown: whole.find(B) }
    assert.equal(planDemand({ ...signed, commitment: more }, world)?.method, 'demand')
    assert.isUndefined(whole.find(slotOf(99)))
  })
})
