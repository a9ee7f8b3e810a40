/** e2store, snappy frames, RLP and trie roots: round trips, limits, damage, and vectors known from elsewhere. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from 'chai'
import { encodeRlp } from 'ethers'
import fc from 'fast-check'
import { fromHex, toHex } from '../../../agent/base/bytes.ts'
import { codeOf } from '../../../agent/base/errors.ts'
import { accumulatorRoot } from '../../../scripts/history/accumulator.ts'
import { parseChecksums } from '../../../scripts/history/checksums.ts'
import {
  decodeBlockIndex,
  encodeBlockIndex,
  encodeE2Record,
  readE2Records,
} from '../../../scripts/history/e2store.ts'
import {
  decodeRlp,
  encodeRlpList,
  encodeRlpNumber,
  encodeRlpString,
  type RlpItem,
  rlpItems,
} from '../../../scripts/history/rlp.ts'
import { decodeSnappyFrames, encodeSnappyFrames } from '../../../scripts/history/snappy-frames.ts'
import { trieRoot } from '../../../scripts/history/trie-root.ts'

const MIB = 1024 * 1024

function thrownBy(act: () => unknown): string | undefined {
  try {
    act()
    return undefined
  } catch (caught) {
    return codeOf(caught) ?? String(caught)
  }
}

describe('e2store framing', () => {
  let directory: string
  let path: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'varve-e2store-'))
    path = join(directory, 'file')
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  async function read(): Promise<[number, number, string][]> {
    const found: [number, number, string][] = []
    for await (const { type, offset, data } of readE2Records(path)) {
      found.push([type, offset, toHex(data)])
    }
    return found
  }

  it('reads records of every size in order, over the ends of its buffer', async () => {
    const sizes = [0, 1, 700_000, 700_000, 3 * MIB, 0, 5]
    const records = sizes.map((size, at) => encodeE2Record(at + 1, new Uint8Array(size).fill(at)))
    writeFileSync(path, Buffer.concat(records))
    const found = await read()
    assert.deepEqual(
      found.map(([type, , data]) => [type, data.length / 2, data.slice(0, 2)]),
      sizes.map((size, at) => [at + 1, size, size === 0 ? '' : `0${at}`]),
    )
    assert.equal(found[2]?.[1], 8 + 8 + 1)
  })

  it('refuses a file that ends inside a record, at any byte', async () => {
    const whole = Buffer.concat([
      encodeE2Record(1, new Uint8Array(4)),
      encodeE2Record(2, new Uint8Array(9)),
    ])
    for (let length = 1; length < whole.byteLength; length++) {
      if (length === 12) continue
      writeFileSync(path, whole.subarray(0, length))
      const code = await read().then(() => undefined, codeOf)
      assert.equal(code, 'HISTORY_FRAMING', `cut at ${length}`)
    }
  })

  it('refuses a record that claims gigabytes before it takes memory', async () => {
    writeFileSync(path, Buffer.from('0300ffffffff0000', 'hex'))
    assert.equal(await read().then(() => undefined, codeOf), 'HISTORY_FRAMING')
  })

  it('reads back a block index and refuses one whose count is wrong', () => {
    const index = { startBlock: 8192, offsets: [8, 500, 90_000] }
    const data = encodeBlockIndex(index, 100_000)
    assert.deepEqual(decodeBlockIndex(data, 100_000), index)
    data.writeBigInt64LE(4n, data.byteLength - 8)
    assert.equal(
      thrownBy(() => decodeBlockIndex(data, 0)),
      'HISTORY_INDEX',
    )
    assert.equal(
      thrownBy(() => decodeBlockIndex(new Uint8Array(16), 0)),
      'HISTORY_INDEX',
    )
  })
})

describe('snappy frames', () => {
  it('give back any bytes', () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), fc.nat(40), (bytes, times) => {
        const plain = Buffer.concat(Array.from({ length: times + 1 }, () => bytes))
        assert.isTrue(plain.equals(decodeSnappyFrames(encodeSnappyFrames(plain), MIB)))
      }),
    ))

  it('never give other bytes when a bit is flipped', () =>
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 2000 }), fc.nat(), (plain, bit) => {
        const framed = Buffer.from(encodeSnappyFrames(plain))
        const at = bit % (framed.byteLength * 8)
        framed[at >> 3] = (framed[at >> 3] ?? 0) ^ (1 << (at & 7))
        const code = thrownBy(() => {
          const got = decodeSnappyFrames(framed, MIB)
          // A flipped type may turn a chunk into one to be skipped, never into other content.
          assert.isTrue(got.byteLength === 0 || Buffer.from(plain).equals(got))
        })
        assert.include([undefined, 'HISTORY_FRAMING'], code)
      }),
    ))

  it('stop at the limit', () => {
    const framed = encodeSnappyFrames(new Uint8Array(2 * MIB))
    assert.isBelow(framed.byteLength, MIB / 4)
    assert.equal(
      thrownBy(() => decodeSnappyFrames(framed, MIB)),
      'HISTORY_FRAMING',
    )
  })

  it('refuse a chunk that claims more than 64 KiB', () => {
    const bomb = Buffer.from('ff060000734e61507059000900000000000000ffffffff7f', 'hex')
    assert.equal(
      thrownBy(() => decodeSnappyFrames(bomb, MIB)),
      'HISTORY_FRAMING',
    )
  })
})

describe('RLP', () => {
  type Nested = Uint8Array | Nested[]
  const { nested } = fc.letrec<{ nested: Nested }>((tie) => ({
    nested: fc.oneof(
      { maxDepth: 4 },
      fc.uint8Array({ maxLength: 300 }),
      fc.array(tie('nested'), { maxLength: 5 }),
    ),
  }))
  const encode = (value: Nested): Uint8Array =>
    value instanceof Uint8Array ? encodeRlpString(value) : encodeRlpList(value.map(encode))
  const decode = (item: RlpItem): Nested =>
    item.isList ? rlpItems(item, 100).map(decode) : Uint8Array.from(item.payload)

  it('agrees with ethers and reads back what it wrote', () =>
    fc.assert(
      fc.property(nested, (value) => {
        const bytes = encode(value)
        assert.equal(`0x${toHex(bytes)}`, encodeRlp(value as Parameters<typeof encodeRlp>[0]))
        assert.deepEqual(decode(decodeRlp(bytes)), value)
      }),
    ))

  it('writes numbers without leading zeros', () => {
    assert.deepEqual(
      [0, 1, 127, 128, 256, 2n ** 64n].map((value) => toHex(encodeRlpNumber(value))),
      ['80', '01', '7f', '8180', '820100', '89010000000000000000'],
    )
  })

  it('refuses garbage with a code', () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const code = thrownBy(() => decode(decodeRlp(bytes)))
        assert.include([undefined, 'HISTORY_FRAMING'], code)
      }),
    ))
})

describe('roots', () => {
  it('of an empty trie is the one every empty block has', () => {
    assert.equal(
      toHex(trieRoot([])),
      '56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421',
    )
  })

  it('of a trie change with every value and with their order', () =>
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 50 }), {
          minLength: 2,
          maxLength: 300,
          selector: toHex,
        }),
        fc.nat(),
        (values, at) => {
          const root = toHex(trieRoot(values))
          assert.notEqual(toHex(trieRoot(values.slice(1))), root)
          assert.notEqual(toHex(trieRoot([...values].reverse())), root)
          const changed = values.map((value, index) =>
            index === at % values.length ? Uint8Array.of(...value, 0) : value,
          )
          assert.notEqual(toHex(trieRoot(changed)), root)
        },
      ),
      { numRuns: 30 },
    ))

  it('of an accumulator mix in how many blocks there are', () => {
    const zero = { hash: new Uint8Array(32), totalDifficulty: new Uint8Array(32) }
    const roots = [0, 1, 2, 3].map((count) =>
      toHex(accumulatorRoot(Array.from({ length: count }, () => zero))),
    )
    assert.equal(new Set(roots).size, 4)
  })
})

describe('checksum lists', () => {
  it('are read with blank lines and the star of binary mode', () => {
    const sum = 'AB'.repeat(32)
    assert.deepEqual(
      [...parseChecksums(`${sum}  a.era1\n\n${sum} *b.era1\r\n`)],
      [
        ['a.era1', sum.toLowerCase()],
        ['b.era1', sum.toLowerCase()],
      ],
    )
  })

  it('are refused when a line is none', () => {
    for (const text of ['hello', `${'ab'.repeat(31)}  a.era1`, `${'ab'.repeat(32)}`]) {
      assert.equal(
        thrownBy(() => parseChecksums(text)),
        'HISTORY_LIST',
        text,
      )
    }
    assert.equal(fromHex('ab').byteLength, 1)
  })
})
