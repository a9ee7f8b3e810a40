/** The primitives of the network against the vectors of their specifications. */
import { createHmac } from 'node:crypto'
import { assert } from 'chai'
import { createBLAKE2s } from 'hash-wasm'
import { toHex } from '../../../agent/base/bytes.ts'
import { blake2sKeyed } from '../../../agent/engines/network/blake2s.ts'
import { deriveKeys, hash } from '../../../agent/engines/network/hashes.ts'
import { keyPairFrom, publicKeyFrom, sharedSecret } from '../../../agent/engines/network/x25519.ts'
import { hchacha20, openExtended, sealExtended } from '../../../agent/engines/network/xchacha20.ts'

const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))
/** The bytes 0, 1, 2, … */
const counting = (length: number) => Uint8Array.from({ length }, (_, at) => at & 0xff)

describe('primitives of the network', () => {
  // https://github.com/BLAKE2/BLAKE2/blob/master/testvectors/blake2s-kat.txt, key 00..1f.
  const keyed: [length: number, want: string][] = [
    [0, '48a8997da407876b3d79c0d92325ad3b89cbb754d86ab71aee047ad345fd2c49'],
    [1, '40d15fee7c328830166ac3f918650f807e7e01e177258cdc0a39b11f598066f1'],
    [2, '6bb71300644cd3991b26ccd4d274acd1adeab8b1d7914546c1198bbe9fc9d803'],
    [255, '3fb735061abc519dfe979e54c1ee5bfad0a9d858b3315bad34bde999efd724dd'],
  ]
  for (const [length, want] of keyed) {
    it(`BLAKE2s with a key of ${length} bytes`, () => {
      assert.equal(toHex(blake2sKeyed(counting(32), counting(length), 32)), want)
    })
  }
  it('BLAKE2s of every length up to three blocks is what another implementation gives', async () => {
    const other = await createBLAKE2s(128, counting(16))
    for (let length = 0; length <= 192; length++) {
      const want = other.init().update(counting(length)).digest()
      assert.equal(toHex(blake2sKeyed(counting(16), counting(length), 16)), want, `${length} bytes`)
    }
  })
  it('derives keys as HKDF does', () => {
    const [first, second] = deriveKeys(counting(32), counting(5), 2)
    const secret = createHmac('blake2s256', counting(32)).update(counting(5)).digest()
    const one = createHmac('blake2s256', secret).update(Uint8Array.of(1)).digest()
    assert.equal(toHex(first ?? hex('')), toHex(one))
    const two = createHmac('blake2s256', secret).update(one).update(Uint8Array.of(2)).digest()
    assert.equal(toHex(second ?? hex('')), toHex(two))
  })
  it('hashes the concatenation', () => {
    assert.equal(
      toHex(hash(Buffer.from('a'), Buffer.from('bc'))),
      '508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982',
    )
  })
  it('agrees on X25519 secrets (RFC 7748, section 6.1)', () => {
    const bob = keyPairFrom(hex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'))
    assert.equal(
      toHex(bob.publicKey),
      'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
    )
    const alice = hex('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a')
    const one = sharedSecret(bob.privateKey, publicKeyFrom(alice))
    const want = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742'
    assert.equal(toHex(one ?? hex('')), want)
  })
  it('has no secret with a point of small order', () => {
    const { privateKey } = keyPairFrom(counting(32))
    assert.isUndefined(sharedSecret(privateKey, publicKeyFrom(new Uint8Array(32))))
    const one = new Uint8Array(32)
    one[0] = 1
    assert.isUndefined(sharedSecret(privateKey, publicKeyFrom(one)))
  })
  it('makes the key of HChaCha20 (draft-irtf-cfrg-xchacha-03, section 2.2.1)', () => {
    const made = hchacha20(counting(32), hex('000000090000004a0000000031415927'))
    assert.equal(toHex(made), '82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc')
  })
  it('seals as XChaCha20-Poly1305 does (the same draft, appendix A.3.1)', () => {
    const key = hex('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f')
    const nonce = hex('404142434445464748494a4b4c4d4e4f5051525354555657')
    const associated = hex('50515253c0c1c2c3c4c5c6c7')
    const text = Buffer.from(
      'Ladies and Gentlemen of the class of ’99: If I could offer you only one tip for the future, sunscreen would be it.'.replace(
        '’',
        "'",
      ),
    )
    const sealed = sealExtended(key, nonce, text, associated)
    assert.equal(toHex(sealed.subarray(-16)), 'c0875924c1c7987947deafd8780acf49')
    assert.equal(
      Buffer.from(openExtended(key, nonce, sealed, associated) ?? '').toString(),
      text.toString(),
    )
    sealed[3] = (sealed[3] ?? 0) ^ 1
    assert.isUndefined(openExtended(key, nonce, sealed, associated))
  })
})
