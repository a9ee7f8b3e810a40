/**
 * Damage to any file that the store keeps: each byte flipped, each file shortened or deleted, one at a time. Whatever it is takes
 * down no more than itself, is told, and is as good as it can be at the next opening. Prints what came of each kind of file.
 */
import { assert } from 'chai'
import { describeError } from '../../../agent/base/errors.ts'
import type { Log } from '../../../agent/base/ports.ts'
import { KIB } from '../../../agent/base/units.ts'
import { damagedStretches, LogStore, type Namespace } from '../../../agent/engines/store/index.ts'
import { type FaultDisk, faultDisk } from '../../support/fault-disk.ts'
import { openTestStore, silentLog } from '../../support/log-store.ts'
import { seededChance } from '../../support/seeded-chance.ts'

const SEGMENT_BYTES = 2 * KIB
/** Every so manieth byte of what is long; every byte of headers and small files. */
const STRIDE = 17
const SMALL_BYTES = 64

type Image = Map<string, Buffer>
/** What a namespace holds: values by key, or why one cannot be read. */
type Content = Map<string, string>

/** The files of a store that has everything: full and compacted segments, hints, a tree, passwords, two modes. */
async function writeImage(): Promise<{ image: Image; written: Map<string, Set<string>> }> {
  const disk = faultDisk(seededChance(1))
  const made = await openTestStore({ segmentBytes: SEGMENT_BYTES }, disk)
  const { store } = made
  const written = new Map<string, Set<string>>()
  async function put(namespace: Namespace, key: string, value: string): Promise<void> {
    const [k, v] = [Buffer.from(key), Buffer.from(value)]
    namespace.set(k, 0, k.byteLength, v, 0, v.byteLength, 1_700_000_000)
    const name = `${namespace.name} ${key}`
    written.set(name, (written.get(name) ?? new Set()).add(value))
    made.endTick()
    await namespace.log.makeDurable()
  }
  const plain = await store.create('plain', { historySeconds: 0 })
  for (let at = 0; at < 60; at++) await put(plain, `k${at % 20}`, `${at} `.repeat(60))
  await plain.compact(0)
  for (let at = 60; at < 90; at++) await put(plain, `k${20 + (at % 30)}`, `${at} `.repeat(60))
  const proved = await store.create('proved', { isProvable: true })
  for (let at = 0; at < 25; at++) await put(proved, `p${at}`, `${at} `.repeat(50))
  await proved.tree?.settle()
  const secret = await store.create('secret', {
    isPublic: false,
    password: { salt: 'aa', hash: 'bb' },
    maxBytes: 1_000_000,
  })
  for (let at = 0; at < 5; at++) await put(secret, `s${at}`, `${at}`.repeat(200))
  await store.close()
  return { image: imageOf(disk), written }
}

function imageOf(disk: FaultDisk): Image {
  const image: Image = new Map()
  for (const { path, sizeBytes } of disk.files()) {
    const file = disk.open(path, 'read')
    const bytes = Buffer.alloc(sizeBytes)
    file.read(bytes, 0)
    file.close()
    image.set(path, bytes)
  }
  return image
}

function diskOf(image: Image): FaultDisk {
  const disk = faultDisk(seededChance(1))
  for (const [path, bytes] of image) {
    disk.makeDirectory(path.slice(0, path.lastIndexOf('/')))
    const file = disk.open(path, 'new')
    file.write([bytes], 0)
    file.syncNow()
    file.close()
  }
  return disk
}

function contentOf(namespace: Namespace): Content {
  const { index, records } = namespace.log
  const content: Content = new Map()
  for (let entry = index.nextEntry(0); entry >= 0; entry = index.nextEntry(entry + 1)) {
    if (index.isDeleted(entry)) continue
    const slack = records.readSlackBytes(entry)
    const into = Buffer.alloc(slack + index.valueBytesOf(entry))
    const key = Buffer.from(index.keyOf(entry)).toString()
    try {
      records.read(entry, into, slack)
      content.set(key, into.toString('utf8', slack))
    } catch (caught) {
      content.set(key, `unreadable: ${describeError(caught)}`)
    }
  }
  return content
}

interface Opened {
  readonly store: LogStore
  /** What the log said, errors and warnings. */
  readonly said: string[]
}

async function open(disk: FaultDisk): Promise<Opened> {
  const said: string[] = []
  const note = (fields: object, message = '') =>
    void said.push(`${message} ${JSON.stringify(fields)}`)
  const log: Log = { ...silentLog, warn: note, error: note, child: () => log }
  let nowMs = 1_700_000_100_000
  const store = await LogStore.open(
    {
      disk,
      clock: {
        now: () => nowMs++,
        monotonic: () => nowMs,
        sleep: () => new Promise((resolve) => void setImmediate(resolve)),
      },
      chance: seededChance(2),
      log,
      atEndOfTick: (task) => task(),
    },
    { sync: 'always', cacheBytes: 64 * KIB, segmentBytes: SEGMENT_BYTES },
  )
  return { store, said }
}

/** Kinds of files, by what their loss may cost. */
function kindOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (name.endsWith('.hint')) return 'hint'
  if (!name.endsWith('.seg')) return name
  return name.includes('.0.') ? 'segment' : 'compacted segment'
}

/** What is done to a file; undefined deletes it. */
type Harm = readonly [what: string, bytes: Buffer | undefined]

function* harmsOf(bytes: Buffer, step: number): Generator<Harm> {
  for (let at = 0; at < bytes.byteLength; at += at < SMALL_BYTES ? step : STRIDE * step) {
    const flipped = Buffer.from(bytes)
    flipped[at] = (bytes[at] as number) ^ (1 << (at % 8))
    yield [at < SMALL_BYTES ? 'flip head' : 'flip', flipped]
  }
  const ends = [
    0,
    1,
    31,
    63,
    64,
    65,
    bytes.byteLength >> 1,
    bytes.byteLength - 9,
    bytes.byteLength - 1,
  ]
  for (const end of new Set(ends)) {
    if (end >= 0 && end < bytes.byteLength) yield ['shorten', bytes.subarray(0, end)]
  }
  yield ['delete', undefined]
}

describe('a damaged file of the store', () => {
  let image: Image
  let written: Map<string, Set<string>>
  let whole: Map<string, Content>
  let root: string
  const rows: string[] = []

  before(async () => {
    ;({ image, written } = await writeImage())
    const { store, said } = await open(diskOf(image))
    assert.deepEqual(said, [])
    whole = new Map([...store.namespaces.values()].map((one) => [one.name, contentOf(one)]))
    root = await rootOf(store)
    await store.close()
    const kinds = new Set([...image.keys()].map(kindOf))
    assert.sameMembers(
      [...kinds],
      [
        'namespace.json',
        'namespace.copy.json',
        'end',
        'tree',
        'hint',
        'segment',
        'compacted segment',
      ],
      'every kind of file that the store keeps is here',
    )
  })
  after(() => {
    for (const row of rows) console.log(`      ${row}`)
  })

  async function rootOf(store: LogStore): Promise<string> {
    const { tree } = store.namespace('proved')
    await tree?.settle()
    return tree ? Buffer.from(tree.root(tree.size)).toString('hex') : 'none'
  }

  /** Keys whose value is not what it was; all values are ones that the key had. */
  function changedKeys(name: string, content: Content, label: string): string[] {
    for (const [key, value] of content) {
      const isOne = value.startsWith('unreadable') || written.get(`${name} ${key}`)?.has(value)
      assert.isTrue(isOne, `${label}: ${name} ${key} has a value that was never written`)
    }
    return [...(whole.get(name) ?? [])]
      .filter(([key, value]) => content.get(key) !== value)
      .map(([key]) => key)
  }

  async function check(path: string, [what, bytes]: Harm, label: string) {
    const hurt = path.split('/')[1]?.slice(2) ?? ''
    const harmed = new Map(image)
    if (bytes) harmed.set(path, bytes)
    else harmed.delete(path)
    const disk = diskOf(harmed)
    const { store, said } = await open(disk)
    assert.sameMembers([...store.namespaces.keys()], [...whole.keys()], `${label}: all are served`)
    for (const name of whole.keys()) {
      if (name === hurt) continue
      assert.deepEqual(contentOf(store.namespace(name)), whole.get(name), `${label}: ${name}`)
    }
    const namespace = store.namespace(hurt)
    const content = contentOf(namespace)
    const changed = changedKeys(hurt, content, label)
    const { damagedBytes, missingRecords, cutBytes } = namespace.log.counts
    const isTold = said.length + damagedBytes + missingRecords + cutBytes > 0
    const unreadable = changed.filter((key) => content.get(key)?.startsWith('unreadable'))
    if (changed.length > unreadable.length)
      assert.isTrue(isTold, `${label}: lost ${changed}, not told`)
    if (kindOf(path) === 'end' ? what === 'delete' : kindOf(path) === 'hint') {
      assert.isEmpty(said, `${label}: costs nothing`)
    } else if (changed.length === 0 && kindOf(path).endsWith('segment') && !isTold) {
      // What the hint knows is served, and only reading everything shows the damage.
      const damage = namespace.log.segments.flatMap((one) => [...damagedStretches(one.file)])
      if (isHarm(path, bytes)) assert.isAbove(damage.length, 0, `${label}: found by a check`)
    } else if (unreadable.length === 0 && isHarm(path, bytes)) {
      assert.isTrue(isTold, `${label}: told`)
    }
    assert.equal(namespace.properties.isPublic, hurt !== 'secret', label)
    assert.deepEqual(namespace.properties.password !== null, hurt === 'secret', label)
    if (changed.length === 0) assert.equal(await rootOf(store), root, `${label}: root`)
    await store.close()

    const again = await open(disk)
    assert.deepEqual(
      changedKeys(hurt, contentOf(again.store.namespace(hurt)), label),
      changed,
      label,
    )
    if (changed.length === 0 && !kindOf(path).endsWith('segment')) assert.isEmpty(again.said, label)
    await again.store.close()
    return changed.length
  }

  /** Whether anything that matters is different: the padding behind the last value is not. */
  function isHarm(path: string, bytes: Buffer | undefined): boolean {
    const isIn = (from: number) =>
      image
        .get(path)
        ?.subarray(0, from)
        .equals(bytes?.subarray(0, from) ?? Buffer.alloc(0))
    if (kindOf(path).startsWith('namespace')) {
      return image.get(path)?.toString().trimEnd() !== bytes?.toString().trimEnd()
    }
    // Where there is no tree it is made, and the last leaf without a neighbour is made again from its record in any case.
    if (kindOf(path) === 'tree' && !bytes?.byteLength) return false
    if (kindOf(path) === 'tree') return !isIn((image.get(path)?.byteLength ?? 0) - 32)
    if (!kindOf(path).endsWith('segment') || !bytes) return true
    const before = image.get(path) as Buffer
    const isPadding = (at: number) => {
      const end = (at + 7) & ~7
      const isZero = before.subarray(at, end).every((byte) => byte === 0)
      const isBeforeRecord =
        end >= before.byteLength || before.toString('latin1', end, end + 4) === 'VRR1'
      return at % 8 !== 0 && isZero && isBeforeRecord
    }
    const first = before.findIndex((byte, at) => bytes[at] !== byte)
    return !isPadding(first)
  }

  for (const kind of [
    'namespace.json',
    'namespace.copy.json',
    'end',
    'tree',
    'hint',
    'segment',
    'compacted segment',
  ]) {
    it(`takes down one thing: ${kind}`, async function () {
      this.timeout(120_000)
      const lost = new Map<string, { cases: number; most: number }>()
      // Files of a kind that are many share the places that are hit.
      const step = Math.ceil([...image.keys()].filter((path) => kindOf(path) === kind).length / 2)
      for (const [path, bytes] of image) {
        if (kindOf(path) !== kind) continue
        for (const harm of harmsOf(bytes, step)) {
          const label = `${path}: ${harm[0]} ${harm[1]?.byteLength ?? ''} ${harm[1] ? bytes.findIndex((byte, at) => harm[1]?.[at] !== byte) : ''}`
          const count = await check(path, harm, label)
          const before = lost.get(harm[0]) ?? { cases: 0, most: 0 }
          lost.set(harm[0], { cases: before.cases + 1, most: Math.max(before.most, count) })
        }
      }
      for (const [what, { cases, most }] of lost) {
        rows.push(
          `${kind.padEnd(20)} ${what.padEnd(10)} ${String(cases).padStart(5)} cases, values lost at most ${most}`,
        )
        const isSegment = kind.endsWith('segment')
        if (!isSegment) assert.equal(most, 0, `${kind} ${what}: costs no value`)
        else if (what.startsWith('flip')) assert.isAtMost(most, 1, `${kind} ${what}`)
      }
    })
  }
})
