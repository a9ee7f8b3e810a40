/** Every refusal that a contract can make is known to clients: compared with the compiled contracts. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert } from 'chai'
import { AbiCoder, getAddress, Interface, makeError } from 'ethers'
import { codeOf, NodeError } from '../../../agent/base/errors.ts'
import { FARMS_ABI, GOVERNOR_ABI, TERMS_ABI, TOKEN_ABI } from '../../../client/sdk/abi.ts'
import {
  explainFailure,
  explainRevert,
  KNOWN_SELECTORS,
} from '../../../client/sdk/contract-errors.ts'

const ARTIFACTS = join(import.meta.dirname, '../../../artifacts')
const TIMELOCK = '@openzeppelin/contracts/governance/TimelockController.sol/TimelockController.json'
const CONTRACTS = [
  ...[
    'GridToken',
    'GridGovernor',
    'Policy',
    'Nodes',
    'Orders',
    'Escrow',
    'SpecRules',
    'Grid',
    'OrderDesk',
    'Contractors',
  ],
].map((name) => `contracts/${name}.sol/${name}.json`)

function abiOf(path: string): Interface {
  const artifact: { abi: [] } = JSON.parse(readFileSync(join(ARTIFACTS, path), 'utf8'))
  return new Interface(artifact.abi)
}

describe('contract errors', () => {
  describe('compared with the compiled contracts', () => {
    before(function () {
      if (existsSync(join(ARTIFACTS, TIMELOCK))) return
      console.log('      the contracts are not built: nothing to compare with')
      this.skip()
    })

    it('are all known', () => {
      for (const path of [...CONTRACTS, TIMELOCK]) {
        abiOf(path).forEachError((error) => {
          assert.isTrue(KNOWN_SELECTORS.has(error.selector), `${path}: ${error.format()}`)
        })
      }
    })

    it('and the fragments of token, governor and farms are the contracts’ own', () => {
      const pairs: [Interface, string][] = [
        [TOKEN_ABI, 'contracts/GridToken.sol/GridToken.json'],
        [GOVERNOR_ABI, 'contracts/GridGovernor.sol/GridGovernor.json'],
        [FARMS_ABI, 'contracts/Nodes.sol/Nodes.json'],
        [TERMS_ABI, 'contracts/Policy.sol/Policy.json'],
      ]
      for (const [ours, path] of pairs) {
        const compiled = abiOf(path)
        ours.forEachFunction((one) => {
          assert.equal(compiled.getFunction(one.selector)?.format('minimal'), one.format('minimal'))
        })
        ours.forEachEvent((one) => {
          assert.equal(compiled.getEvent(one.topicHash)?.format('minimal'), one.format('minimal'))
        })
      }
    })
  })

  it('become failures with a code, values in words, and a hint', () => {
    const iface = new Interface([
      'error NodeClosed(uint32 node, uint8 state)',
      'error OrderWrongState(uint64 order, uint8 state)',
      'error OrderKindNotAllowed(uint8 kind)',
      'error NodeFull(uint32 node, uint256 askedBytes, uint256 freeBytes)',
      'error OrderRateAboveLimit(uint256 ratePerSecond, uint256 maxRatePerSecond)',
      'error NodeNotAlive(uint32 node, uint64 lastHeartbeat)',
      'error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed)',
    ])
    const cases: [name: string, args: unknown[], said: string][] = [
      ['NodeClosed', [3, 3], 'NODE_CLOSED: refused: node 3, state draining'],
      ['OrderWrongState', [3, 3], 'ORDER_WRONG_STATE: refused: order 3, state ended'],
      ['OrderKindNotAllowed', [5], 'ORDER_KIND_NOT_ALLOWED: refused: kind machine'],
      ['NodeFull', [3, 2n ** 30n, 0n], 'NODE_FULL: refused: node 3, asked 1.00 GiB, free 0 B'],
      [
        'OrderRateAboveLimit',
        [10n ** 18n, 5n * 10n ** 17n],
        'ORDER_RATE_ABOVE_LIMIT: refused: rate 86400 VARVE a day, max rate 43200 VARVE a day',
      ],
      [
        'NodeNotAlive',
        [3, 1_700_000_000],
        'NODE_NOT_ALIVE: refused: node 3, last heartbeat 2023-11-14T22:13:20.000Z',
      ],
      [
        'ERC20InsufficientBalance',
        [`0x${'00'.repeat(20)}`, 10n ** 18n, 25n * 10n ** 17n],
        `ERC20_INSUFFICIENT_BALANCE: refused: sender 0x${'00'.repeat(20)}, balance 1 VARVE, needed 2.5 VARVE`,
      ],
    ]
    for (const [name, args, said] of cases) {
      const failure = explainRevert(iface.encodeErrorResult(name, args))
      assert.equal(`${failure?.code}: ${failure?.message}`, said)
      assert.isString(failure?.hint)
    }
    const full = explainRevert(iface.encodeErrorResult('NodeFull', [3, 2n ** 30n, 0n]))
    assert.equal(full?.details['askedBytes'], String(2 ** 30), 'raw values are among the details')
  })

  it('are wrong usage where ethers refuses an argument without asking the ledger', () => {
    for (const encode of [
      () => getAddress('0x69923A0C30e1fe8a35fd8db446e8214663c4c926'),
      () => new Interface(['function f(uint32)']).encodeFunctionData('f', [2n ** 40n]),
    ]) {
      try {
        encode()
        assert.fail('refused')
      } catch (caught) {
        assert.equal(explainFailure(caught).code, 'ARGUMENT_INVALID')
      }
    }
  })

  it('that are not known say so, and give their bytes', () => {
    assert.isUndefined(explainRevert('0x12345678'))
    assert.isUndefined(explainRevert('0x'), 'a revert without a reason')
    const data = `0x12345678${AbiCoder.defaultAbiCoder().encode(['uint256'], [1]).slice(2)}`
    const failure = explainFailure(
      makeError('reverted', 'CALL_EXCEPTION', {
        ...{ action: 'estimateGas', data, reason: null, invocation: null, revert: null },
        transaction: { to: null, data: '0x' },
      }),
    )
    assert.equal(failure.code, 'CONTRACT_REFUSED')
    assert.include(failure.message, '0x12345678')
  })

  it('of the network get codes too, and bugs stay bugs', () => {
    const refused = Object.assign(new TypeError('connect'), { code: 'ECONNREFUSED' })
    assert.equal(explainFailure(refused).code, 'LEDGER_UNREACHABLE')
    assert.equal(codeOf(explainFailure(new NodeError('A', 'x'))), 'A')
    assert.throws(() => explainFailure(new TypeError('a bug')), 'a bug')
  })
})
