/** The store against a plain map with history, for any sequence of commands, restarts and compactions. */
import { assert } from 'chai'
import fc from 'fast-check'
import {
  openTestStore,
  type TestClient,
  type TestStore,
  testClient,
} from '../../support/log-store.ts'

interface Model {
  /** All versions of each key, oldest first; null for a deletion. */
  readonly versions: Map<string, (string | null)[]>
}

interface Real {
  made: TestStore
  client: TestClient
  /** Versions of the key with the most that were read back. */
  deepest: number
}

const INIT = { segmentBytes: 2048 } as const
const current = (model: Model, key: string) => model.versions.get(key)?.at(-1) ?? null

class SetCommand implements fc.AsyncCommand<Model, Real> {
  readonly key: string
  readonly value: string
  constructor(key: string, value: string) {
    this.key = key
    this.value = value
  }
  check = () => true
  async run(model: Model, real: Real) {
    const reply = await real.client.ask('SET', this.key, this.value)
    if (current(model, this.key) === this.value) return assert.isNull(reply)
    assert.equal(String(reply), this.key)
    model.versions.set(this.key, [...(model.versions.get(this.key) ?? []), this.value])
  }
  toString = () => `SET ${this.key} ${this.value.length} bytes`
}

class DeleteCommand implements fc.AsyncCommand<Model, Real> {
  readonly key: string
  constructor(key: string) {
    this.key = key
  }
  check = () => true
  async run(model: Model, real: Real) {
    const reply = await real.client.ask('DEL', this.key)
    if (current(model, this.key) === null) return assert.property(reply, 'words')
    assert.equal(reply, 'OK')
    model.versions.get(this.key)?.push(null)
  }
  toString = () => `DEL ${this.key}`
}

class GetCommand implements fc.AsyncCommand<Model, Real> {
  readonly key: string
  constructor(key: string) {
    this.key = key
  }
  check = () => true
  async run(model: Model, real: Real) {
    const expected = current(model, this.key)
    const reply = await real.client.ask('GET', this.key)
    assert.equal(reply === null ? null : String(reply), expected)
    const length = await real.client.ask('LENGTH', this.key)
    assert.equal(length, expected === null ? null : expected.length)
    assert.equal(await real.client.ask('EXISTS', this.key), expected === null ? 0 : 1)
  }
  toString = () => `GET ${this.key}`
}

class HistoryCommand implements fc.AsyncCommand<Model, Real> {
  readonly key: string
  constructor(key: string) {
    this.key = key
  }
  check = (model: Readonly<Model>) => current(model, this.key) !== null
  async run(model: Model, real: Real) {
    const found: (string | null)[] = []
    let where: Buffer | undefined
    for (;;) {
      const reply = (await real.client.ask('HISTORY', this.key, ...(where ? [where] : []))) as [
        Buffer | null,
        Buffer,
        Buffer | null,
      ]
      found.unshift(reply[2] === null ? null : String(reply[2]))
      if (reply[0] === null) break
      where = reply[0]
    }
    const versions = model.versions.get(this.key) ?? []
    assert.deepEqual(found, versions)
    real.deepest = Math.max(real.deepest, versions.length)
  }
  toString = () => `HISTORY ${this.key}`
}

class ListCommand implements fc.AsyncCommand<Model, Real> {
  check = () => true
  async run(model: Model, real: Real) {
    const expected = [...model.versions.keys()].filter((key) => current(model, key) !== null).sort()
    const listed = (await real.client.ask('LIST', '')) as Buffer[]
    assert.deepEqual(listed.map(String), expected)
    assert.equal(await real.client.ask('DBSIZE'), expected.length)
    const valueBytes = expected.reduce((sum, key) => sum + (current(model, key)?.length ?? 0), 0)
    assert.equal(real.made.store.namespace('a').log.valueBytes, valueBytes)
    const scanned: string[] = []
    let cursor = '0'
    do {
      const [next, keys] = (await real.client.ask('SCAN', cursor, 'COUNT', '2')) as [
        Buffer,
        Buffer[],
      ]
      scanned.push(...keys.map(String))
      cursor = String(next)
    } while (cursor !== '0')
    assert.deepEqual(scanned.sort(), expected)
    if (expected.length === 0) return
    const walked = (await real.client.ask('SCAN')) as [Buffer, [Buffer][]]
    const back = (await real.client.ask('RSCAN')) as [Buffer, [Buffer][]]
    const names = walked[1].map(([key]) => String(key))
    assert.deepEqual([...names].sort(), expected)
    assert.deepEqual(back[1].map(([key]) => String(key)).reverse(), names)
  }
  toString = () => 'LIST'
}

class RestartCommand implements fc.AsyncCommand<Model, Real> {
  check = () => true
  async run(_model: Model, real: Real) {
    await real.made.store.close()
    real.made = await openTestStore(INIT, real.made.disk)
    real.client = testClient(real.made)
    await real.client.ask('SELECT', 'a')
  }
  toString = () => 'restart'
}

class RotateCommand implements fc.AsyncCommand<Model, Real> {
  check = () => true
  async run(_model: Model, real: Real) {
    assert.equal(await real.client.ask('NSJUMP'), 'OK')
  }
  toString = () => 'NSJUMP'
}

class CompactCommand implements fc.AsyncCommand<Model, Real> {
  check = () => true
  async run(model: Model, real: Real) {
    // History is asked for a day here, and no test takes a day: nothing may go but what no chain reaches any more.
    assert.isNumber(await real.client.ask('COMPACT'))
    for (const key of model.versions.keys()) {
      const expected = current(model, key)
      const reply = await real.client.ask('GET', key)
      assert.equal(reply === null ? null : String(reply), expected)
    }
  }
  toString = () => 'COMPACT'
}

describe('the store as a map with history', () => {
  it('agrees with the map, whatever is asked of it', async () => {
    const key = fc.constantFrom('a', 'b', 'key', 'k'.repeat(255), 'ü')
    const value = fc.oneof(
      fc.string({ maxLength: 20 }).map((text) => Buffer.from(text).toString('base64')),
      fc.integer({ min: 0, max: 3000 }).map((size) => 'v'.repeat(size)),
      fc.constant('w'.repeat(70_000)),
    )
    const commands = fc.commands(
      [
        fc.tuple(key, value).map(([k, v]) => new SetCommand(k, v)),
        fc.tuple(key, value).map(([k, v]) => new SetCommand(k, v)),
        key.map((k) => new DeleteCommand(k)),
        key.map((k) => new GetCommand(k)),
        key.map((k) => new HistoryCommand(k)),
        key.map((k) => new HistoryCommand(k)),
        fc.constant(new ListCommand()),
        fc.constant(new RestartCommand()),
        fc.constant(new RotateCommand()),
        fc.constant(new CompactCommand()),
      ],
      // The default size gives one SET a run: hardly a key ever got a second version.
      { maxCommands: 60, size: 'max' },
    )
    const deepest: number[] = []
    await fc.assert(
      fc.asyncProperty(commands, async (sequence) => {
        const made = await openTestStore(INIT)
        await made.store.create('a', { historySeconds: 86_400 })
        const client = testClient(made)
        await client.ask('SELECT', 'a')
        const real = { made, client, deepest: 0 }
        await fc.asyncModelRun(() => ({ model: { versions: new Map() }, real }), sequence)
        deepest.push(real.deepest)
      }),
      { numRuns: 150 },
    )
    // That a test may fail it has to get somewhere.
    assert.isAbove(deepest.filter((versions) => versions >= 3).length, 15)
  })
})
