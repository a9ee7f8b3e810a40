/**
 * The root of the Merkle Patricia trie over a list, keyed by RLP-encoded index: what a header says of its transactions,
 * receipts and withdrawals. Built at once and thrown away, because only the root is wanted.
 */
import { keccak } from './keccak.ts'
import { encodeRlpList, encodeRlpNumber, encodeRlpString } from './rlp.ts'

interface Entry {
  /** Key as half bytes. */
  readonly nibbles: readonly number[]
  readonly value: Uint8Array
}

const EMPTY = new Uint8Array()
/** Nodes shorter than a hash stand in their parent themselves. */
const EMBEDDED_BYTES_MAX = 31

/**
 * Computes the root over a list.
 *
 * @param values - `[n]` encoded values in order.
 * @returns 32 bytes.
 * @example
 * trieRoot(transactions) // the header's transactionsRoot
 */
export function trieRoot(values: readonly Uint8Array[]): Uint8Array {
  if (values.length === 0) return keccak(encodeRlpString(EMPTY))
  const entries = values.map((value, index) => ({
    nibbles: nibblesOf(encodeRlpNumber(index)),
    value,
  }))
  return keccak(encodeNode(entries, 0))
}

function nibblesOf(key: Uint8Array): number[] {
  return [...key].flatMap((byte) => [byte >> 4, byte & 15])
}

function encodeNode(entries: readonly Entry[], depth: number): Uint8Array {
  const [first] = entries
  if (first === undefined) return encodeRlpString(EMPTY)
  if (entries.length === 1) {
    return encodeRlpList([
      encodeRlpString(packed(first.nibbles.slice(depth), true)),
      encodeRlpString(first.value),
    ])
  }
  const shared = sharedLength(entries, first, depth)
  if (shared > depth) {
    const path = encodeRlpString(packed(first.nibbles.slice(depth, shared), false))
    return encodeRlpList([path, reference(encodeNode(entries, shared))])
  }
  const children = Array.from({ length: 16 }, (_, nibble) => {
    const below = entries.filter((entry) => entry.nibbles[depth] === nibble)
    return below.length === 0 ? encodeRlpString(EMPTY) : reference(encodeNode(below, depth + 1))
  })
  const here = entries.find((entry) => entry.nibbles.length === depth)
  return encodeRlpList([...children, encodeRlpString(here?.value ?? EMPTY)])
}

function sharedLength(entries: readonly Entry[], first: Entry, depth: number): number {
  let at = depth
  while (at < first.nibbles.length) {
    const nibble = first.nibbles[at]
    if (entries.some((entry) => entry.nibbles[at] !== nibble)) break
    at++
  }
  return at
}

function reference(node: Uint8Array): Uint8Array {
  return node.byteLength <= EMBEDDED_BYTES_MAX ? node : encodeRlpString(keccak(node))
}

/** Hex-prefix encoding: a flag for leaf and odd length, then two half bytes a byte. */
function packed(nibbles: readonly number[], isLeaf: boolean): Uint8Array {
  const flag = (isLeaf ? 2 : 0) + (nibbles.length % 2)
  const all = nibbles.length % 2 === 1 ? [flag, ...nibbles] : [flag, 0, ...nibbles]
  return Uint8Array.from({ length: all.length / 2 }, (_, at) => {
    return ((all[at * 2] ?? 0) << 4) | (all[at * 2 + 1] ?? 0)
  })
}
