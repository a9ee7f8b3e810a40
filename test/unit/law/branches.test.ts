// Branches of a small contract: which there are, and that the woven text compiles.
import { assert } from 'chai'
import { weaveBranches } from '../../../scripts/law/branches.ts'
import { analyse, parse } from '../../../scripts/law/syntax.ts'

const CONTRACT = `// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

contract Gate {
    uint256 private _open;

    function pass(uint256 who, bool friend) external returns (uint256 way) {
        require(who != 0 && !friend, "nobody");
        if (who > 7) _open += 1;
        way = friend ? 1 : 2;
        try this.pass(who, true) {}
        catch {
            way = 3;
        }
    }
}
`

describe('The branches of a contract', () => {
  const { branches, sources } = weaveBranches(parse(new Map([['Gate.sol', CONTRACT]])))

  it('are both ways of each condition and of its parts, and each clause of a try', () => {
    assert.deepEqual(
      branches.map(({ name }) => name.replace('Gate.pass: ', '')),
      [
        ...['who != 0 is true', 'who != 0 is false', '!friend is true', '!friend is false'],
        ...['who != 0 && !friend is true', 'who != 0 && !friend is false'],
        ...['who > 7 is true', 'who > 7 is false', 'friend is true', 'friend is false'],
        ...['clause of try', 'clause of try (2)'],
      ],
    )
  })

  it('report themselves by different marks', () => {
    assert.equal(new Set(branches.map(({ mark }) => mark)).size, branches.length)
  })

  it('leave a contract that compiles', () => {
    const errors = analyse(sources).complaints.filter(({ severity }) => severity === 'error')
    assert.deepEqual(errors, [])
  })
})
