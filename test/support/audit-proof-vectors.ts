/** Makes the paths that the verifiers in TypeScript and Solidity must agree on, and the Solidity file that holds them. */
import { createHash } from 'node:crypto'
import { toHex } from '../../agent/base/bytes.ts'
import { leafCount } from '../../agent/base/bytes-root.ts'
import { BinaryTree } from '../../agent/engines/audit/tree/binary-tree.ts'
import { showUnit } from '../../agent/engines/audit/tree/shard-tree.ts'
import { type SumNode, sumLeaf } from '../../agent/engines/audit/tree/sum-node.ts'
import { SumTree } from '../../agent/engines/audit/tree/sum-tree.ts'
import { seededChance } from './seeded-chance.ts'

/** Paths of each kind. */
export interface AuditVectors {
  readonly climbs: { root: SumNode; before: number; leaf: SumNode; path: Uint8Array }[]
  readonly shards: {
    root: Uint8Array
    index: number
    lengthBytes: number
    unit: Uint8Array
    path: Uint8Array
  }[]
  readonly words: { root: Uint8Array; index: number; word: Uint8Array; path: Uint8Array[] }[]
}

/** Paths at sizes around powers of two, where shapes change, and with sums beyond 32 bits. */
export function auditVectors(): AuditVectors {
  return {
    climbs: [1, 2, 3, 5, 8, 21, 33].flatMap(climbsIn),
    shards: [0, 1, 32, 33, 96, 129, 1000].flatMap(unitsOf),
    words: [1, 2, 3, 64, 100, 256].flatMap(wordsOf),
  }
}

const hash = (text: string) => createHash('sha256').update(text).digest()
const edges = (count: number) => [...new Set([0, count >> 1, count - 1])]

function climbsIn(size: number): AuditVectors['climbs'] {
  const leaves = Array.from({ length: size }, (_, at) =>
    sumLeaf(hash(`leaf ${at}`), 1 + (at % 5) * (2 ** 33 + at)),
  )
  const tree = new SumTree()
  tree.append(leaves)
  return edges(size).map((index) => ({
    root: tree.root(),
    before: leaves.slice(0, index).reduce((sum, leaf) => sum + leaf.sum, 0),
    leaf: tree.leaf(index),
    path: tree.path(index),
  }))
}

function unitsOf(lengthBytes: number): AuditVectors['shards'] {
  const bytes = seededChance(lengthBytes).bytes(lengthBytes)
  return edges(leafCount(lengthBytes)).map((index) => ({
    ...showUnit(bytes, index),
    index,
    lengthBytes,
  }))
}

function wordsOf(count: number): AuditVectors['words'] {
  const words = Array.from({ length: count }, (_, at) => hash(`word ${at}`))
  const tree = new BinaryTree(words)
  return edges(count).map((index) => ({
    root: tree.root,
    index,
    word: words[index] ?? new Uint8Array(32),
    path: tree.path(index),
  }))
}

/** The Solidity file of the vectors: words, then the path, so that the compiler has little to do. */
export function auditVectorsAsSolidity(vectors: AuditVectors): string {
  const word = (value: number) => value.toString(16).padStart(64, '0')
  const climbs = vectors.climbs.map(({ root, before, leaf, path }) => [
    toHex(root.hash),
    word(root.sum),
    word(before),
    toHex(leaf.hash),
    word(leaf.sum),
    toHex(path),
  ])
  const shards = vectors.shards.map(({ root, index, lengthBytes, unit, path }) => [
    toHex(root),
    word(index),
    word(lengthBytes),
    toHex(unit),
    toHex(path),
  ])
  const words = vectors.words.map(({ root, index, word: own, path }) => [
    toHex(root),
    word(index),
    toHex(own),
    ...path.map(toHex),
  ])
  return `// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// solhint-disable max-line-length
/// @title Paths that both verifiers must accept; written by test/unit/audit/vectors.test.ts with UPDATE_GOLDEN=1.
library AuditProofVectors {
    /// @dev Each: root, units, units before the leaf, leaf, its units, path.
${list('climbs', climbs)}
    /// @dev Each: root, number of the unit, length, unit, path.
${list('shards', shards)}
    /// @dev Each: root, place, word, path.
${list('words', words)}}
`
}

function list(name: string, vectors: readonly string[][]): string {
  const lines = vectors.map((words) => `        proofs[next++] = hex"${words.join('')}";`)
  return `    function ${name}() internal pure returns (bytes[] memory proofs) {
        proofs = new bytes[](${lines.length});
        uint256 next;
${lines.join('\n')}
    }
`
}
