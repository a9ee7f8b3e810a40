/** Makes the proofs that the verifiers in TypeScript and Solidity must agree on, and the Solidity file that holds them. */
import { toHex } from '../../agent/base/bytes.ts'
import { recordRoot } from '../../agent/engines/store/index.ts'
import { MountainRange } from '../../agent/engines/store/tree/mountain-range.ts'
import { faultDisk } from './fault-disk.ts'
import { seededChance } from './seeded-chance.ts'

/** A proof of either kind. */
export interface ProofVectors {
  readonly inclusions: {
    root: Uint8Array
    size: number
    index: number
    leaf: Uint8Array
    path: Uint8Array[]
  }[]
  readonly consistencies: {
    root1: Uint8Array
    size1: number
    root2: Uint8Array
    size2: number
    path: Uint8Array[]
  }[]
}

/** A range over `size` records whose content follows from their position. */
export function sampleRange(size: number): MountainRange {
  const range = new MountainRange(faultDisk(seededChance(1)), 'tree', 0)
  for (let at = 0; at < size; at++) {
    const key = Buffer.from(`key ${at}`)
    const value = Buffer.alloc((at * 37) % 300, at)
    range.append(recordRoot({ kind: 1, key, value, timeSeconds: 1_700_000_000 + at }))
  }
  return range
}

/** Proofs at sizes around powers of two, where shapes change. */
export function proofVectors(): ProofVectors {
  const sizes = [1, 2, 3, 4, 5, 7, 8, 9, 21, 32, 33]
  const range = sampleRange(33)
  const inclusions = sizes.flatMap((size) =>
    [...new Set([0, size >> 1, size - 1])].map((index) => ({
      root: range.root(size),
      size,
      index,
      leaf: range.leaf(index),
      path: range.inclusion(index, size),
    })),
  )
  const consistencies = sizes.flatMap((size1, at) =>
    [sizes[at + 1] ?? size1, 33].map((size2) => ({
      root1: range.root(size1),
      size1,
      root2: range.root(size2),
      size2,
      path: range.consistency(size1, size2),
    })),
  )
  return { inclusions, consistencies }
}

/** The Solidity file of the vectors: ABI-encoded, so that the compiler has little to do. */
export function vectorsAsSolidity(vectors: ProofVectors): string {
  const word = (value: number | bigint) => BigInt(value).toString(16).padStart(64, '0')
  const line = (words: string[]) => `        proofs[next++] = hex"${words.join('')}";`
  const inclusions = vectors.inclusions.map(({ root, size, index, leaf, path }) =>
    line([toHex(root), word(size), word(index), toHex(leaf), ...path.map(toHex)]),
  )
  const consistencies = vectors.consistencies.map(({ root1, size1, root2, size2, path }) =>
    line([toHex(root1), word(size1), toHex(root2), word(size2), ...path.map(toHex)]),
  )
  const list = (
    name: string,
    lines: string[],
  ) => `    function ${name}() internal pure returns (bytes[] memory proofs) {
        proofs = new bytes[](${lines.length});
        uint256 next;
${lines.join('\n')}
    }
`
  return `// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// solhint-disable max-line-length
/// @title Proofs that both verifiers must accept; written by test/unit/store/proof.test.ts with UPDATE_GOLDEN=1.
library LogProofVectors {
    /// @dev Each: root, size, index, leaf, path.
${list('inclusions', inclusions)}
    /// @dev Each: older root, its size, newer root, its size, path.
${list('consistencies', consistencies)}}
`
}
