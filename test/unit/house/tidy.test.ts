/** The rules of the house hold for this tree, and each rule catches what it is there to catch. */
import { assert } from 'chai'
import { importCycles, layerViolations } from '../../../scripts/tidy/layers.ts'
import {
  bannedCalls,
  deadFiles,
  missingOpening,
  narrowingCasts,
} from '../../../scripts/tidy/rules.ts'
import { blank, type Import, type Source } from '../../../scripts/tidy/sources.ts'
import { violations } from '../../../scripts/tidy.ts'

const source = (path: string, text: string, imports: Partial<Import>[] = []): Source => ({
  path,
  text,
  code: blank(text),
  lines: text.split('\n'),
  imports: imports.map((one) => ({
    specifier: './x.ts',
    target: undefined,
    typeOnly: false,
    dynamic: false,
    line: 1,
    ...one,
  })),
})

describe('the house', () => {
  it('is tidy', () => {
    assert.deepEqual(violations(new URL('../../..', import.meta.url).pathname), [])
  })

  it('finds casts of contracts that could cut off bits unseen', () => {
    const cases: [text: string, found: number][] = [
      ['a = uint40(from);', 1],
      ['a = SafeCast.toUint40(from);', 0],
      ['a = uint256(from);', 0],
      ['a = type(uint40).max;', 0],
      ['  /// uint40(from) in words', 0],
      ['a = uint160(hash); // cuts: a hash', 0],
      ['a = int8(b); c = uint256(d);', 1],
    ]
    for (const [text, found] of cases) {
      assert.lengthOf(narrowingCasts([{ path: 'contracts/A.sol', text }]), found, text)
    }
  })

  // prettier-ignore
  const layerCases: [
    why: string,
    from: string,
    target: string,
    typeOnly: boolean,
    allowed: boolean,
  ][] = [
    ['an engine uses the base', 'agent/engines/store/a.ts', 'agent/base/errors.ts', false, true],
    [
      'an engine never uses its sibling',
      'agent/engines/store/a.ts',
      'agent/engines/files/index.ts',
      false,
      false,
    ],
    [
      "an engine never uses even its sibling's types",
      'agent/engines/store/a.ts',
      'agent/engines/files/ports.ts',
      true,
      false,
    ],
    ['the base uses nothing', 'agent/base/a.ts', 'agent/state/b.ts', true, false],
    ['a planner uses types of the state', 'agent/plan/a.ts', 'agent/state/b.ts', true, true],
    ['a planner never uses code of the state', 'agent/plan/a.ts', 'agent/state/b.ts', false, false],
    [
      "an adapter uses an engine's ports as types",
      'agent/adapters/disk/a.ts',
      'agent/engines/store/ports.ts',
      true,
      true,
    ],
    [
      'a unit enters by the door',
      'agent/units/mount/a.ts',
      'agent/engines/files/index.ts',
      false,
      true,
    ],
    [
      'a unit never climbs through the window',
      'agent/units/mount/a.ts',
      'agent/engines/files/inode.ts',
      false,
      false,
    ],
    [
      'the client never uses the engines',
      'client/sdk/a.ts',
      'agent/engines/store/index.ts',
      false,
      false,
    ],
  ]
  for (const [why, from, target, typeOnly, allowed] of layerCases) {
    it(`knows that ${why}`, () => {
      const found = layerViolations([source(from, '', [{ target, typeOnly }])])
      assert.equal(found.length === 0, allowed)
    })
  }

  it('finds a cycle of imports, and none where types close the ring', () => {
    const ring = (typeOnly: boolean): Source[] => [
      source('agent/a.ts', '', [{ target: 'agent/b.ts' }]),
      source('agent/b.ts', '', [{ target: 'agent/a.ts', typeOnly }]),
    ]
    assert.lengthOf(importCycles(ring(false)), 1)
    assert.lengthOf(importCycles(ring(true)), 0)
  })

  it('finds banned calls in code, never in comments and strings', () => {
    const text = "// Date.now()\nconst a = 'Math.random()'\nconst b = Date.now()\n"
    assert.deepEqual(bannedCalls(source('agent/plan/a.ts', text)).length, 1)
  })

  it('wants every file to say what it is', () => {
    assert.lengthOf(missingOpening(source('a.ts', 'const a = 1')), 1)
    assert.lengthOf(missingOpening(source('a.ts', '/** Says. */')), 0)
  })

  it('finds a file that nothing but a test imports', () => {
    const files = [
      source('agent/base/a.ts', ''),
      source('test/t.ts', '', [{ target: 'agent/base/a.ts' }]),
    ]
    assert.lengthOf(deadFiles(files), 1)
  })
})
