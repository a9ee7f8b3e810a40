/** The hand-written ABI against the compiled contracts: every fragment that the agent uses is really there. */
import { existsSync, readFileSync } from 'node:fs'
import { assert } from 'chai'
import { Interface } from 'ethers/abi'
import {
  AUDIT_ACTS,
  AUDITS_ABI,
  ERRORS_ABI,
  ESCROW_ABI,
  GRID_ABI,
  NODES_ABI,
  ORDERS_ABI,
  PARAMETERS,
  POLICY_ABI,
  revertName,
} from '../../../agent/ledger/abi.ts'
import { POLICY_PARAMETERS } from '../../../scripts/deploy/parameters.ts'

const artifact = (name: string) =>
  new URL(`../../../artifacts/contracts/interfaces/${name}.sol/${name}.json`, import.meta.url)

const INTERFACES: [name: string, abi: Interface][] = [
  ['IGrid', GRID_ABI],
  ['INodes', NODES_ABI],
  ['IOrders', ORDERS_ABI],
  ['IPolicy', POLICY_ABI],
  ['IEscrow', ESCROW_ABI],
  ['IAudits', AUDITS_ABI],
]

describe('the ABI of the contracts', () => {
  for (const [name, abi] of INTERFACES) {
    it(`agrees with the compiled ${name}`, () => {
      assert.isTrue(existsSync(artifact(name)), 'run `npx hardhat build` first')
      const compiled = new Interface(JSON.parse(readFileSync(artifact(name), 'utf8')).abi)
      const theirs = new Set(compiled.fragments.map((fragment) => fragment.format('sighash')))
      for (const fragment of abi.fragments) {
        assert.isTrue(theirs.has(fragment.format('sighash')), fragment.format('sighash'))
        if (fragment.type !== 'function') continue
        const own = abi.getFunction(fragment.format('sighash'))
        const other = compiled.getFunction(fragment.format('sighash'))
        const shape = (f: typeof own) => f?.outputs.map((output) => output.format('sighash'))
        assert.deepEqual(shape(own), shape(other), fragment.format('sighash'))
      }
    })
  }

  it('names every error that a contract may revert with', () => {
    const names = ['IGrid', 'INodes', 'IOrders', 'IPolicy', 'IEscrow', 'ISpecRules', 'IAudits']
    for (const name of names) {
      const compiled = new Interface(JSON.parse(readFileSync(artifact(name), 'utf8')).abi)
      compiled.forEachError((error) => {
        assert.isNotNull(ERRORS_ABI.getError(error.format('sighash')), error.format('sighash'))
      })
    }
    assert.equal(revertName(ERRORS_ABI.encodeErrorResult('OrderUnknown', [7])), 'OrderUnknown(7)')
    assert.isUndefined(revertName('0xdeadbeef'))
    assert.isUndefined(revertName('0x'))
  })

  it('has every act of audits that an agent may send', () => {
    for (const name of AUDIT_ACTS) assert.isNotNull(AUDITS_ABI.getFunction(name), name)
  })

  it('has the parameters of the policy in the order of the contract', () => {
    const capital = (name: string) => name.charAt(0).toUpperCase() + name.slice(1)
    assert.deepEqual(PARAMETERS.map(capital), [...POLICY_PARAMETERS])
  })
})
