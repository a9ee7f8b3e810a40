// Mutants of a small contract: which there are, and that the woven text compiles with all of them.
import { assert } from 'chai'
import { weaveMutants } from '../../../scripts/law/schemata.ts'
import { analyse, parse } from '../../../scripts/law/syntax.ts'

const CONTRACT = `// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

contract Till {
    error TillTooMuch(uint256 asked);
    uint256 private constant MOST = 1 << 10;
    uint64 private _taken;
    address private _owner = msg.sender;

    modifier onlyOwner() {
        require(msg.sender == _owner);
        _;
    }

    function take(uint64 amount, bool twice) external onlyOwner returns (uint64) {
        require(amount != 0 && amount <= MOST, TillTooMuch(amount));
        if (twice) _taken += amount * 2;
        else _taken += amount;
        return _taken;
    }
}
`

describe('The mutants of a contract', () => {
  const woven = weaveMutants(parse(new Map([['Till.sol', CONTRACT]])))
  const names = woven.mutants.map(({ name }) => name)

  it('are all that an author’s slip could make of it', () => {
    assert.sameMembers(names, [
      'Till.onlyOwner: remove require(msg.sender == _owner)',
      'Till.onlyOwner: msg.sender == _owner => msg.sender != _owner',
      'Till.take: remove onlyOwner',
      'Till.take: remove require(amount != 0 && amount <= MOST, TillTooMuch(amount))',
      'Till.take: amount != 0 && amount <= MOST => amount != 0 || amount <= MOST',
      'Till.take: amount != 0 => amount == 0',
      'Till.take: 0 => uint64(0 + 1)',
      'Till.take: amount <= MOST => amount < MOST',
      'Till.take: amount <= MOST => amount > MOST',
      'Till: constant MOST + 1',
      'Till: constant MOST - 1',
      'Till.take: twice => !twice',
      'Till.take: remove _taken += amount * 2',
      'Till.take: _taken += amount * 2 => _taken -= amount * 2',
      'Till.take: amount * 2 => amount / 2',
      'Till.take: 2 => uint64(2 + 1)',
      'Till.take: 2 => uint64(2 - 1)',
      'Till.take: remove _taken += amount',
      'Till.take: _taken += amount => _taken -= amount',
      'Till.take: return _taken => return uint64(0)',
    ])
    assert.deepEqual(woven.refused, [])
  })

  it('are numbered from one, each once, and know their line', () => {
    assert.deepEqual(
      woven.mutants.map(({ number }) => number),
      woven.mutants.map((_, index) => index + 1),
    )
    assert.equal(new Set(names).size, names.length)
    const removed = woven.mutants.find(({ name }) => name === 'Till.take: remove onlyOwner')
    assert.equal(removed?.line, 15)
  })

  it('compile together', () => {
    const { complaints } = analyse(woven.sources)
    assert.deepEqual(
      complaints.filter(({ severity }) => severity === 'error'),
      [],
    )
  })

  it('leave out what is no program', () => {
    const text = `pragma solidity ^0.8.28;
      contract Pick {
        uint256[] private _all;
        uint256[] private _none;
        function f(bool first) external returns (uint256) {
          uint256[] storage found = _none;
          if (first) found = _all;
          found.push(1);
          return found.length;
        }
      }`
    const { mutants } = weaveMutants(parse(new Map([['Pick.sol', text]])))
    assert.isFalse(mutants.some(({ name }) => name.includes('remove found = _all')))
    assert.isTrue(mutants.some(({ name }) => name === 'Pick.f: remove found.push(1)'))
  })
})
