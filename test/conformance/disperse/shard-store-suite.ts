/** What every shard store does, whatever is behind it: run on the fake and on the adapters. */
import { assert } from 'chai'
import { bytesEqual } from '../../../agent/base/bytes.ts'
import { MIB } from '../../../agent/base/units.ts'
import type { ShardStore } from '../../../agent/engines/disperse/index.ts'
import { noise } from '../../unit/disperse/fixture.ts'

/** A store to test. */
export interface ShardStoreSubject {
  /** Empty. */
  readonly store: ShardStore
  close(): Promise<void>
}

/**
 * Declares the tests of the port `ShardStore`.
 *
 * @param name - What is tested.
 * @param open - Makes an empty store, called before each test.
 */
export function shardStoreConformance(name: string, open: () => Promise<ShardStoreSubject>): void {
  describe(`shard store: ${name}`, () => {
    const { signal } = new AbortController()
    let subject: ShardStoreSubject
    let store: ShardStore

    beforeEach(async () => {
      subject = await open()
      store = subject.store
    })
    afterEach(() => subject.close())

    it('gives back what was put, of any length', async () => {
      for (const size of [1, 63, 64, 4096, 65_537, MIB, 4 * MIB]) {
        const value = noise(size, size)
        await store.put(keyOf(size), value, signal)
        assert.ok(bytesEqual((await store.get(keyOf(size), signal))!, value), `${size} bytes`)
      }
    })

    it('keeps keys and values with every byte', async () => {
      const every = Uint8Array.from({ length: 256 }, (_, byte) => byte)
      const key = Uint8Array.from([0x70, 0, 10, 13, 32, 34, 42, 36, 255, 0])
      await store.put(key, every, signal)
      assert.deepEqual([...(await store.get(key, signal))!], [...every])
      assert.deepEqual((await store.list(Uint8Array.of(0x70), undefined, 10, signal)).map(hex), [
        hex(key),
      ])
    })

    it('answers undefined where there is nothing', async () => {
      assert.isUndefined(await store.get(keyOf(1), signal))
      assert.isUndefined(await store.getRange(keyOf(1), 0, 10, signal))
      assert.deepEqual([...(await store.list(Uint8Array.of(0x63), undefined, 10, signal))], [])
      await store.delete(keyOf(1), signal)
    })

    it('puts as new only where there is nothing else, also when several do it at once', async () => {
      const values = [1, 2, 3, 4].map((seed) => noise(1000, seed))
      const taken = await Promise.all(values.map((value) => store.putNew(keyOf(1), value, signal)))
      assert.lengthOf(taken.filter(Boolean), 1)
      const winner = values[taken.indexOf(true)]!
      assert.ok(bytesEqual((await store.get(keyOf(1), signal))!, winner))
      assert.isTrue(await store.putNew(keyOf(1), winner, signal))
      await store.delete(keyOf(1), signal)
      assert.isTrue(await store.putNew(keyOf(1), noise(10, 9), signal))
    })

    it('takes the same key and bytes again, and other bytes in place of the old ones', async () => {
      const value = noise(1000, 1)
      await store.put(keyOf(1), value, signal)
      await store.put(keyOf(1), value, signal)
      assert.ok(bytesEqual((await store.get(keyOf(1), signal))!, value))
      const other = noise(2000, 2)
      await store.put(keyOf(1), other, signal)
      assert.ok(bytesEqual((await store.get(keyOf(1), signal))!, other))
    })

    it('reads ranges: within, at the end, beyond it', async () => {
      const value = noise(100_000, 3)
      await store.put(keyOf(1), value, signal)
      for (const [offset, length] of [
        [0, 1],
        [0, 100_000],
        [99_999, 1],
        [5000, 60_000],
        [99_000, 5000],
      ] as const) {
        const got = (await store.getRange(keyOf(1), offset, length, signal))!
        assert.ok(bytesEqual(got, value.subarray(offset, offset + length)), `${offset}+${length}`)
      }
      assert.equal((await store.getRange(keyOf(1), 100_000, 5, signal))?.byteLength, 0)
    })

    it('lists keys in ascending order of bytes, by prefix, in pages', async () => {
      const numbers = [5, 300, 1, 255, 256, 70_000, 2]
      for (const number of numbers) await store.put(keyOf(number), Uint8Array.of(1), signal)
      await store.put(Buffer.from('other'), Uint8Array.of(1), signal)
      const want = [...numbers].sort((a, b) => a - b).map((number) => hex(keyOf(number)))
      assert.deepEqual(
        (await store.list(Uint8Array.of(0x63), undefined, 100, signal)).map(hex),
        want,
      )
      const pages: string[] = []
      for (let after: Uint8Array | undefined; ; ) {
        const page = await store.list(Uint8Array.of(0x63), after, 3, signal)
        assert.isAtMost(page.length, 3)
        if (page.length === 0) break
        pages.push(...page.map(hex))
        after = page.at(-1)
      }
      assert.deepEqual(pages, want)
      const absent = await store.list(Uint8Array.of(0x63), keyOf(3), 1, signal)
      assert.deepEqual(absent.map(hex), [hex(keyOf(5))], 'after a key that is not there')
    })

    it('forgets what was deleted, and takes it again', async () => {
      await store.put(keyOf(1), Uint8Array.of(1), signal)
      await store.put(keyOf(2), Uint8Array.of(2), signal)
      await store.delete(keyOf(1), signal)
      assert.isUndefined(await store.get(keyOf(1), signal))
      assert.deepEqual((await store.list(Uint8Array.of(0x63), undefined, 10, signal)).map(hex), [
        hex(keyOf(2)),
      ])
      await store.put(keyOf(1), Uint8Array.of(3), signal)
      assert.deepEqual([...(await store.get(keyOf(1), signal))!], [3])
    })

    it('serves many calls at once', async () => {
      const values = Array.from({ length: 64 }, (_, n) => noise(10_000 + n, n))
      await Promise.all(values.map((value, n) => store.put(keyOf(n), value, signal)))
      const got = await Promise.all(values.map((_, n) => store.get(keyOf(n), signal)))
      values.forEach((value, n) => {
        assert.ok(bytesEqual(got[n]!, value))
      })
    })

    it('does not begin what was given up before', async () => {
      const given = AbortSignal.abort(new Error('given up'))
      const caught = await store
        .put(keyOf(1), Uint8Array.of(1), given)
        .catch((reason: unknown) => reason)
      assert.instanceOf(caught, Error)
      assert.isUndefined(await store.get(keyOf(1), signal))
    })
  })
}

function keyOf(number: number): Uint8Array {
  const key = Buffer.alloc(9, 0x63)
  key.writeBigUInt64BE(BigInt(number), 1)
  return key
}

function hex(key: Uint8Array): string {
  return Buffer.from(key).toString('hex')
}
