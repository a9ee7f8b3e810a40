/** What every source of shards does, whatever is behind it: run on the fake and on a store. */
import { assert } from 'chai'
import { bytesEqual, toHex } from '../../../agent/base/bytes.ts'
import { MIB } from '../../../agent/base/units.ts'
import { type ShardSource, SlotTree } from '../../../agent/engines/audit/index.ts'
import { NEVER, slotOf } from '../../support/audit-node.ts'
import { noise } from '../../unit/disperse/fixture.ts'

/** A source to test. */
export interface ShardSourceSubject {
  /** Has no shard yet. */
  readonly source: ShardSource
  /** Adds a shard of the slot that is tested. */
  write(bytes: Uint8Array): Promise<void>
  close(): Promise<void>
}

/** More than a page of any source. */
const MANY = 1100
const SLOT = slotOf(7)

/**
 * Declares the tests of the port `ShardSource`.
 *
 * @param name - What is tested.
 * @param open - Makes an empty source, called before each test.
 */
export function shardSourceConformance(
  name: string,
  open: () => Promise<ShardSourceSubject>,
): void {
  describe(`shard source: ${name}`, () => {
    let subject: ShardSourceSubject
    let source: ShardSource

    beforeEach(async () => {
      subject = await open()
      source = subject.source
    })
    afterEach(() => subject.close())

    it('has nothing at first', async () => {
      assert.deepEqual([...(await source.list(SLOT, 0, 10, NEVER))], [])
      assert.isNumber(await source.revision(SLOT, NEVER))
    })

    it('lists shards in the order written, in any pages, and fewer than asked only at the end', async () => {
      for (let at = 0; at < MANY; at++) await subject.write(noise(1 + (at % 70), at + 1))
      const all = await source.list(SLOT, 0, MANY + 1, NEVER)
      assert.equal(all.length, MANY)
      const lengths = all.map(({ lengthBytes }) => lengthBytes)
      assert.deepEqual(
        lengths,
        Array.from({ length: MANY }, (_, at) => 1 + (at % 70)),
      )
      assert.equal(new Set(all.map(({ key }) => toHex(key))).size, MANY, 'each has its own name')
      for (const limit of [1, 7, 1024]) {
        const page = await source.list(SLOT, 100, limit, NEVER)
        assert.deepEqual([...page], all.slice(100, 100 + limit))
      }
      assert.equal((await source.list(SLOT, MANY - 3, 10, NEVER)).length, 3)
      assert.equal((await source.list(SLOT, MANY, 10, NEVER)).length, 0)
    })

    it('keeps names, lengths and revision while more is written', async () => {
      for (let at = 0; at < 5; at++) await subject.write(noise(100, at + 1))
      const revision = await source.revision(SLOT, NEVER)
      const before = await source.list(SLOT, 0, 10, NEVER)
      for (let at = 5; at < 9; at++) await subject.write(noise(100, at + 1))
      assert.equal(await source.revision(SLOT, NEVER), revision)
      const after = await source.list(SLOT, 0, 10, NEVER)
      assert.deepEqual(after.slice(0, 5), [...before])
      assert.equal(after.length, 9)
    })

    it('gives the bytes of a shard, of any length', async () => {
      const values = [1, 31, 32, 33, 4096, 65_537, MIB].map((bytes) => noise(bytes, bytes))
      for (const value of values) await subject.write(value)
      const listed = await source.list(SLOT, 0, 10, NEVER)
      for (const [at, value] of values.entries()) {
        const shard = listed[at]
        assert.ok(shard)
        const bytes = await source.read(SLOT, shard, NEVER)
        assert.ok(bytes && bytesEqual(bytes, value), `${value.byteLength} bytes`)
      }
    })

    it('has names of 1 to 255 bytes, of which others name nothing', async () => {
      await subject.write(noise(10, 1))
      const [shard] = await source.list(SLOT, 0, 1, NEVER)
      assert.ok(shard)
      assert.isAtLeast(shard.key.byteLength, 1)
      assert.isAtMost(shard.key.byteLength, 255)
      const other = { ...shard, key: shard.key.map((byte) => byte ^ 1) }
      assert.isUndefined(await source.read(SLOT, other, NEVER))
    })

    it('is enough for a tree, which shows any unit of it', async () => {
      for (let at = 0; at < 40; at++) await subject.write(noise(1 + 37 * at, at + 1))
      const tree = new SlotTree(SLOT, source)
      await tree.follow(NEVER)
      const { state } = tree
      assert.ok(state)
      for (let unit = 0; unit < state.units; unit += 97) await tree.open(state, unit, NEVER)
      await subject.write(noise(5, 99))
      await tree.follow(NEVER)
      await tree.open(state, state.units - 1, NEVER)
      assert.equal(tree.shards, 41)
    })
  })
}
