/** The trees of audits: every path leads where it says, whatever the tree, and none does once a bit of it changed. */
import { createHash } from 'node:crypto'
import { assert } from 'chai'
import fc from 'fast-check'
import { toHex } from '../../../agent/base/bytes.ts'
import { bytesRoot, leafCount } from '../../../agent/base/bytes-root.ts'
import { hashBlocks, hashPair, mixInLength } from '../../../agent/base/hash-blocks.ts'
import { BinaryTree, binaryRoot } from '../../../agent/engines/audit/tree/binary-tree.ts'
import { climb } from '../../../agent/engines/audit/tree/climb.ts'
import { depthOf, shardRoot, showUnit } from '../../../agent/engines/audit/tree/shard-tree.ts'
import { joinNodes, type SumNode, sumLeaf } from '../../../agent/engines/audit/tree/sum-node.ts'
import { SumTree } from '../../../agent/engines/audit/tree/sum-tree.ts'
import { seededChance } from '../../support/seeded-chance.ts'

const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

/** Leaf `i` of a test tree: its root and units follow from its place. */
const testLeaf = (at: number, units = 1 + ((at * 7) % 40)) =>
  sumLeaf(sha(Buffer.from(`leaf ${at}`)), units)
const testLeaves = (count: number) => Array.from({ length: count }, (_, at) => testLeaf(at))

function treeOf(leaves: readonly SumNode[]): SumTree {
  const tree = new SumTree()
  tree.append(leaves)
  return tree
}

/** The root by the definition of RFC 9162. */
function rootByDefinition(leaves: readonly SumNode[]): SumNode {
  const [only] = leaves
  if (leaves.length === 1 && only) return only
  let left = 1
  while (left * 2 < leaves.length) left *= 2
  return joinNodes(rootByDefinition(leaves.slice(0, left)), rootByDefinition(leaves.slice(left)))
}

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const changed = bytes.slice()
  const at = Math.floor(bit / 8) % changed.byteLength
  changed[at] = (changed[at] ?? 0) ^ (1 << (bit % 8))
  return changed
}

describe('sum trees', () => {
  it('has the nodes that 0014 defines', () => {
    const [a, b] = [testLeaf(0, 3), testLeaf(1, 5)]
    const inner = Buffer.concat([sha(Buffer.concat([a.hash, b.hash])), Buffer.alloc(32)])
    inner[32] = 3
    inner[40] = 5
    assert.equal(toHex(joinNodes(a, b).hash), toHex(sha(inner)))
    const leaf = Buffer.concat([sha(Buffer.from('x')), Buffer.alloc(32)])
    leaf.writeBigUInt64LE(2n ** 40n + 9n, 32)
    assert.equal(toHex(sumLeaf(leaf.subarray(0, 32), 2 ** 40 + 9).hash), toHex(sha(leaf)))
  })

  it('has the shape of RFC 9162 at every size, and shows every leaf', () => {
    const leaves = testLeaves(70)
    const tree = treeOf(leaves)
    for (let size = 1; size <= leaves.length; size++) {
      const want = rootByDefinition(leaves.slice(0, size))
      const root = tree.root(size)
      assert.equal(toHex(root.hash), toHex(want.hash), `size ${size}`)
      let before = 0
      for (let index = 0; index < size; index++) {
        const leaf = leaves[index]!
        const climbed = climb(leaf, tree.path(index, size))
        assert.equal(toHex(climbed!.root.hash), toHex(root.hash))
        assert.equal(climbed!.before, before)
        before += leaf.sum
      }
      assert.equal(root.sum, before)
      assert.equal(tree.units(size), before)
      assert.equal(tree.sizeAt(before), size)
    }
    assert.equal(tree.sizeAt(0), 0)
    assert.isUndefined(tree.sizeAt(tree.units() + 1))
  })

  it('is the same tree however its leaves came, and after it was cut and grew again', () => {
    const leaves = testLeaves(120)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -30, max: 30 }), { maxLength: 12 }), (runs) => {
        const tree = new SumTree()
        for (const run of runs) {
          if (run < 0) tree.truncate(Math.max(0, tree.size + run))
          else tree.append(leaves.slice(tree.size, tree.size + run))
        }
        if (tree.size === 0) return
        const want = rootByDefinition(leaves.slice(0, tree.size))
        assert.equal(toHex(tree.root().hash), toHex(want.hash))
      }),
    )
  })

  it('finds the leaf of any unit, and its path shows the units before it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 2 ** 40 }), { minLength: 1, maxLength: 60 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (units, where, howMany) => {
          const leaves = units.map((sum, at) => testLeaf(at, sum))
          const tree = treeOf(leaves)
          const size = 1 + Math.floor(howMany * units.length)
          const unit = Math.floor(where * tree.units(size))
          const { leaf, before } = tree.place(unit, size)
          assert.isAtLeast(unit, before)
          assert.isBelow(unit, before + units[leaf]!)
          const climbed = climb(leaves[leaf]!, tree.path(leaf, size))
          assert.equal(climbed!.before, before)
          assert.equal(toHex(climbed!.root.hash), toHex(tree.root(size).hash))
        },
      ),
    )
  })

  it('believes no path or leaf of which a bit was flipped', () => {
    const leaves = testLeaves(33)
    const tree = treeOf(leaves)
    const root = tree.root()
    fc.assert(
      fc.property(fc.nat(32), fc.nat(100_000), fc.boolean(), (index, bit, inPath) => {
        const path = tree.path(index)
        const leaf = leaves[index]!
        const changed = inPath
          ? climb(leaf, flip(path, bit))
          : climb({ hash: flip(leaf.hash, bit), sum: leaf.sum }, path)
        const isSame =
          changed?.root.sum === root.sum && toHex(changed.root.hash) === toHex(root.hash)
        assert.isFalse(isSame)
        const more = climb({ hash: leaf.hash, sum: leaf.sum + 1 }, path)
        assert.notEqual(toHex(more!.root.hash), toHex(root.hash))
      }),
    )
  })

  it('believes no path that is cut, too long, or has more units than can be', () => {
    const tree = treeOf(testLeaves(5))
    const path = tree.path(0)
    assert.isUndefined(climb(testLeaf(0), path.subarray(1)))
    assert.isUndefined(climb(testLeaf(0), new Uint8Array(49 * 38)))
    const huge = new Uint8Array(38).fill(0x7f)
    assert.isUndefined(climb(testLeaf(0), Buffer.concat([huge, huge])))
  })
})

describe('the tree over a shard', () => {
  it('shows every unit of shards of any length', () => {
    const chance = seededChance(3)
    for (const length of [0, 1, 31, 32, 33, 64, 65, 96, 97, 127, 128, 160, 1000, 4096]) {
      const bytes = chance.bytes(length)
      const units = leafCount(length)
      for (let index = 0; index < units; index++) {
        const shown = showUnit(bytes, index)
        assert.equal(toHex(shown.root), toHex(bytesRoot(bytes)), `length ${length}`)
        assert.equal(shown.path.byteLength, 32 * depthOf(units))
        assert.equal(toHex(shardRoot(shown.unit, index, length, shown.path)), toHex(shown.root))
        const plain = bytes.subarray(index * 32, index * 32 + 32)
        assert.equal(toHex(shown.unit.subarray(0, plain.byteLength)), toHex(plain))
      }
    }
  })

  it('shows units of shards of many blocks, whole and not', () => {
    const chance = seededChance(4)
    const block = 65_536
    for (const length of [block - 31, block, block + 1, 2 * block, 3 * block - 5, 5 * block + 33]) {
      const bytes = chance.bytes(length)
      const units = leafCount(length)
      const padded = new Uint8Array(32 * 2 ** depthOf(units))
      padded.set(bytes)
      let level: Uint8Array = padded
      while (level.byteLength > 32) level = hashBlocks(level)
      const root = toHex(mixInLength(level, length))
      assert.equal(toHex(bytesRoot(bytes)), root, `length ${length}`)
      for (const index of [0, 2047, 2048, units >> 1, units - 1].filter((at) => at < units)) {
        const shown = showUnit(bytes, index)
        assert.equal(toHex(shown.root), root)
        assert.equal(toHex(shardRoot(shown.unit, index, length, shown.path)), root, `${index}`)
      }
    }
  })

  it('believes no unit, place, length or path that was changed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 33, maxLength: 700 }), fc.nat(), (bytes, bit) => {
        const units = leafCount(bytes.byteLength)
        const index = bit % units
        const { root, unit, path } = showUnit(bytes, index)
        const wrong = [
          shardRoot(flip(unit, bit), index, bytes.byteLength, path),
          shardRoot(unit, index, bytes.byteLength, flip(path, bit)),
          shardRoot(unit, index, bytes.byteLength + 1, path),
        ]
        for (const other of wrong) assert.notEqual(toHex(other), toHex(root))
        // Units that are alike may change places.
        const other = (index + 1) % units
        if (toHex(showUnit(bytes, other).unit) === toHex(unit)) return
        assert.notEqual(toHex(shardRoot(unit, other, bytes.byteLength, path)), toHex(root))
      }),
    )
  })
})

describe('the tree over words', () => {
  it('is full, filled with zeros, and shows every word', () => {
    for (const count of [1, 2, 3, 5, 64, 65, 200, 255, 256]) {
      const words = Array.from({ length: count }, (_, at) => sha(Buffer.from(`${at}`)))
      const tree = new BinaryTree(words)
      const depth = depthOf(count)
      let level: Uint8Array[] = [
        ...words,
        ...Array.from({ length: 2 ** depth - count }, () => new Uint8Array(32)),
      ]
      while (level.length > 1) {
        level = level.flatMap((left, at) => (at % 2 ? [] : [hashPair(left, level[at + 1]!)]))
      }
      assert.equal(toHex(tree.root), toHex(level[0]!), `${count} words`)
      words.forEach((word, at) => {
        const path = tree.path(at)
        assert.equal(path.length, depth)
        assert.equal(toHex(binaryRoot(word, at, path)!), toHex(tree.root))
        assert.isUndefined(binaryRoot(word, at + 2 ** depth, path))
      })
    }
  })
})
