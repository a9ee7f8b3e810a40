/** Names of any bytes as text and back. */
import { assert } from 'chai'
import fc from 'fast-check'
import { bytesOfName, nameBytes, nameOfBytes } from '../../../agent/base/name-text.ts'

describe('names as text', () => {
  const cases: [why: string, bytes: number[], text: string][] = [
    ['ASCII stays', [0x61, 0x62], 'ab'],
    ['UTF-8 stays', [0xc3, 0xa9], 'é'],
    ['the replacement character stays', [0xef, 0xbf, 0xbd], '\ufffd'],
    ['a byte that is never in UTF-8', [0xff], '\udcff'],
    ['Latin-1', [0x66, 0xfc, 0x72], 'f\udcfcr'],
    ['a sequence cut short', [0xe2, 0x82], '\udce2\udc82'],
    ['a surrogate in UTF-8', [0xed, 0xb3, 0xbf], '\udced\udcb3\udcbf'],
    ['an overlong slash', [0xc0, 0xaf], '\udcc0\udcaf'],
    ['four bytes before a stray one', [0xf0, 0x9f, 0x98, 0x80, 0x80], '😀\udc80'],
  ]
  for (const [why, bytes, text] of cases) {
    it(why, () => {
      assert.equal(nameOfBytes(Buffer.from(bytes)), text)
      assert.deepEqual([...bytesOfName(text)], bytes)
    })
  }

  it('come back byte for byte, and no two names have one text', () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(bytes, bytes, (one, other) => {
        const [a, b] = [Buffer.from(one), Buffer.from(other)]
        assert.isTrue(bytesOfName(nameOfBytes(a)).equals(a))
        assert.equal(nameBytes(nameOfBytes(a)), a.length)
        assert.equal(nameOfBytes(a) === nameOfBytes(b), a.equals(b))
      }),
      { numRuns: 5000 },
    )
  })
})
