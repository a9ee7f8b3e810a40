/** The SDK's pure parts: slot sizes, choice of nodes, specs, keys, parameters and amounts. */

import { assert } from 'chai'
import { Wallet } from 'ethers'
import fc from 'fast-check'
import { toHex } from '../../../agent/base/bytes.ts'
import { codeOf } from '../../../agent/base/errors.ts'
import { account, farmId, nodeId } from '../../../agent/base/ids.ts'
import { slotRate } from '../../../agent/base/slot-rate.ts'
import { volumeKeyCommitment } from '../../../agent/base/volume-keys.ts'
import {
  decodeSpec,
  deriveKeyRoot,
  encodeSpec,
  findVolumeKey,
  formatTokens,
  type GridNode,
  parameterNamed,
  parameterText,
  parameterValue,
  parseTokens,
  placeSlots,
  type Spec,
  slotSizes,
  volumeKey,
} from '../../../client/sdk/index.ts'

const GIB = 2 ** 30
/** Made once and fixed: if this changes, tenants lose their volumes. */
const KNOWN_KEY = 'ad4e19b0f9d19f0956beee02bec48d6c2437daca70ba4b7de1ca43be940fe4a0'
const anyAccount = fc
  .uint8Array({ minLength: 20, maxLength: 20 })
  .map((bytes) => account(`0x${toHex(bytes)}`))
const anyHash = fc.uint8Array({ minLength: 32, maxLength: 32 })

function node(id: number, changes: Partial<GridNode> = {}): GridNode {
  return {
    ...{ id: nodeId(id), farm: farmId(id), account: account(`0x${'00'.repeat(20)}`) },
    ...{ state: 'active', isAlive: true, capacityBytes: 100 * GIB, usedBytes: 0 },
    ...{ freeBytes: 100 * GIB, pricePerGibSecond: 5n, stake: 0n, registeredAt: 0 },
    ...{ lastHeartbeat: 0, aliveSeconds: 0, sealingKey: '0x', addresses: [] },
    ...changes,
  }
}

function thrownBy(act: () => unknown): string | undefined {
  try {
    act()
    return undefined
  } catch (caught) {
    return codeOf(caught) ?? String(caught)
  }
}

describe('slot sizes', () => {
  it('hold the share of a slot and a tenth more, whatever the volume', () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 50 }),
        fc.integer({ min: 1, max: 200 }),
        (sizeBytes, dataShards) => {
          const shape = { sizeBytes, dataShards, parityShards: 2, metaStores: 3 }
          const { dataBytes, metaBytes } = slotSizes(shape)
          assert.isAtLeast(dataBytes * dataShards, sizeBytes * 1.1)
          assert.isTrue(Number.isSafeInteger(dataBytes) && Number.isSafeInteger(metaBytes))
          assert.isAtMost(dataBytes - 32 * 2 ** 20, (sizeBytes / dataShards) * 1.1 + 3)
        },
      ),
    ))

  it('cost what the registry computes, rounded up', () => {
    assert.equal(slotRate(GIB, 5n), 5n)
    assert.equal(slotRate(GIB + 1, 5n), 6n)
    assert.equal(slotRate(1, 5n), 1n)
    assert.equal(slotRate(1, 0n), 0n)
  })
})

describe('choosing nodes', () => {
  const shape = { sizeBytes: GIB, dataShards: 4, parityShards: 2, metaStores: 3 }
  const request = { shape, seed: 's', sameFarmAllowed: false, maxPricePerGibSecond: 10n }
  const eight = Array.from({ length: 8 }, (_, at) => node(at + 1))

  it('takes distinct farms in each group, the same ones for the same seed', () =>
    fc.assert(
      fc.property(fc.string(), (seed) => {
        const slots = placeSlots({ ...request, nodes: eight, seed })
        assert.equal(slots.length, 9)
        for (const group of [slots.slice(0, 6), slots.slice(6)]) {
          assert.equal(new Set(group.map((slot) => slot.node)).size, group.length)
        }
        const reversed = placeSlots({ ...request, nodes: [...eight].reverse(), seed })
        assert.deepEqual(reversed, slots)
      }),
    ))

  // biome-ignore format: a table to read down
  const cases: [why: string, nodes: GridNode[], want: string | number][] = [
    ['fits eight good nodes', eight, 9],
    ['refuses five', eight.slice(0, 5), 'NODES_TOO_FEW'],
    ['skips the silent', eight.map((one, at) => (at < 3 ? { ...one, isAlive: false } : one)), 'NODES_TOO_FEW'],
    ['skips the full', eight.map((one, at) => (at < 3 ? { ...one, freeBytes: 1 } : one)), 'NODES_TOO_FEW'],
    ['skips the too dear', eight.map((one, at) => (at < 3 ? { ...one, pricePerGibSecond: 11n } : one)), 'NODES_TOO_FEW'],
    ['refuses nodes of one farm', eight.map((one) => ({ ...one, farm: farmId(1) })), 'NODES_TOO_FEW'],
    ['counts a node’s data slot before it gives it metadata', eight.slice(0, 6).map((one) => ({ ...one, freeBytes: slotSizes(shape).dataBytes })), 'NODES_TOO_FEW'],
  ]
  for (const [why, nodes, want] of cases) {
    it(why, () => {
      const got = thrownBy(() => placeSlots({ ...request, nodes }))
      assert.equal(got ?? placeSlots({ ...request, nodes }).length, want)
    })
  }

  it('allows one farm if asked, but never one node twice in a group', () => {
    const nodes = eight.map((one) => ({ ...one, farm: farmId(1) }))
    const slots = placeSlots({ ...request, nodes, sameFarmAllowed: true })
    assert.equal(new Set(slots.slice(0, 6).map((slot) => slot.node)).size, 6)
  })

  it('takes no node that is to be avoided', () => {
    for (let seed = 0; seed < 100; seed++) {
      const slots = placeSlots({ ...request, nodes: eight, seed: String(seed), avoid: [3, 8] })
      assert.isFalse(slots.some((slot) => slot.node === 3 || slot.node === 8))
    }
  })

  it('prefers the cheaper', () => {
    const nodes = eight.map((one, at) => ({ ...one, pricePerGibSecond: at === 0 ? 0n : 9n }))
    let won = 0
    for (let seed = 0; seed < 200; seed++) {
      const slots = placeSlots({ ...request, nodes, seed: String(seed) })
      if (slots[0]?.node === 1) won++
    }
    assert.isAbove(won, 80, 'one in eight would be 25')
  })
})

describe('specs', () => {
  const anySpec: fc.Arbitrary<Spec> = fc.oneof(
    fc.record({
      kind: fc.constant('store' as const),
      mode: fc.constantFrom('user' as const, 'seq' as const),
      worm: fc.boolean(),
      writers: fc.array(anyAccount, { maxLength: 5 }),
      readers: fc.array(anyAccount, { maxLength: 5 }),
    }),
    fc.record({
      kind: fc.constant('volume' as const),
      dataShards: fc.integer({ min: 1, max: 255 }),
      parityShards: fc.nat(255),
      metaStores: fc.nat(255),
      sameFarmAllowed: fc.boolean(),
      sizeBytes: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      keyCommitment: anyHash,
    }),
    fc.record({
      kind: fc.constant('mount' as const),
      readOnly: fc.boolean(),
      name: fc.string(),
      sealedKey: fc.uint8Array({ maxLength: 2000 }),
    }),
  )

  it('come back as they were', () =>
    fc.assert(
      fc.property(anySpec, (spec) => {
        assert.deepEqual(decodeSpec(spec.kind, encodeSpec(spec)), spec)
      }),
    ))

  it('of another version, kind or form are not guessed at', () => {
    const bytes = encodeSpec({
      kind: 'mount',
      readOnly: false,
      name: 'a',
      sealedKey: new Uint8Array(3),
    })
    const newer = bytes.replace(/^(0x0{62}20)0{63}1/, `$1${'0'.repeat(63)}2`)
    assert.notEqual(newer, bytes)
    assert.isUndefined(decodeSpec('mount', newer))
    assert.isUndefined(decodeSpec('machine', bytes))
    assert.isUndefined(decodeSpec('volume', '0x1234'))
  })
})

describe('volume keys', () => {
  const grid = { chainId: 31337, grid: account(`0x${'aa'.repeat(20)}`) }
  const wallet = new Wallet(`0x${'01'.repeat(32)}`)

  it('come out of the wallet, the same each time, others for another grid or account', async () => {
    const root = await deriveKeyRoot(wallet, grid)
    assert.equal(toHex(await deriveKeyRoot(wallet, grid)), toHex(root))
    const others = await Promise.all([
      deriveKeyRoot(wallet, { ...grid, chainId: 1 }),
      deriveKeyRoot(wallet, { ...grid, grid: account(`0x${'ab'.repeat(20)}`) }),
      deriveKeyRoot(new Wallet(`0x${'02'.repeat(32)}`), grid),
    ])
    assert.equal(new Set([root, ...others].map(toHex)).size, 4)
  })

  it('never change, or volumes would be lost: a known wallet gives a known key', async () => {
    const root = await deriveKeyRoot(wallet, grid)
    assert.equal(toHex(volumeKey(root, 3)), KNOWN_KEY)
  })

  it('are found again by their commitment, and not by another account', async () => {
    const root = await deriveKeyRoot(wallet, grid)
    const key = volumeKey(root, 4)
    const keyCommitment = volumeKeyCommitment(key)
    for (const id of [5, 6, 300]) {
      assert.equal(toHex(findVolumeKey(root, { id, keyCommitment })), toHex(key))
    }
    const other = await deriveKeyRoot(new Wallet(`0x${'02'.repeat(32)}`), grid)
    assert.equal(
      thrownBy(() => findVolumeKey(other, { id: 5, keyCommitment })),
      'VOLUME_KEY_UNKNOWN',
    )
  })
})

describe('parameters', () => {
  it('are found however they are written', () => {
    for (const said of ['HeartbeatSeconds', 'heartbeat-seconds', 'HEARTBEAT_SECONDS']) {
      assert.deepEqual(parameterNamed(said), { name: 'heartbeatSeconds', index: 1 })
    }
    assert.equal(
      thrownBy(() => parameterNamed('heartbeat')),
      'PARAMETER_UNKNOWN',
    )
  })

  // biome-ignore format: a table to read down
  const values: [name: string, said: string, value: bigint | string, text: string][] = [
    ['scrubSeconds', '90', 90n, '90'],
    ['scrubSeconds', '2h', 7200n, '7200 (2h)'],
    ['graceSeconds', '7d', 604800n, '604800 (7d)'],
    ['workloadsAllowed', 'store,volume,mount', 14n, '14 (store, volume, mount)'],
    ['workloadsAllowed', '0', 0n, '0 (nothing)'],
    ['maxSlots', '12', 12n, '12'],
    ['maxSlots', '2h', 'PARAMETER_UNKNOWN', ''],
    ['workloadsAllowed', 'store,none', 'PARAMETER_UNKNOWN', ''],
    ['scrubSeconds', '-1', 'PARAMETER_UNKNOWN', ''],
  ]
  for (const [said, value, want, text] of values) {
    it(`${said} of "${value}" is ${want}`, () => {
      const { name } = parameterNamed(said)
      if (typeof want === 'string')
        return assert.equal(
          thrownBy(() => parameterValue(name, value)),
          want,
        )
      assert.equal(parameterValue(name, value), want)
      assert.equal(parameterText(name, want), text)
    })
  }
})

describe('amounts', () => {
  it('are read and written in whole tokens', () => {
    assert.equal(parseTokens('1.5'), 1_500_000_000_000_000_000n)
    assert.equal(parseTokens('0.000000000000000001'), 1n)
    for (const bad of ['', '-1', '1e3', '1.', '0.0000000000000000001'])
      assert.isUndefined(parseTokens(bad))
    assert.equal(formatTokens(1_500_000_000_000_000_000n), '1.5 VARVE')
    assert.equal(formatTokens(10n ** 18n), '1 VARVE')
  })
})
