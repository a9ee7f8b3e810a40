/** Links and registration: what this node says to the registry, and whom of it it lets in. */
import { assert } from 'chai'
import { farmId, nodeId } from '../../../agent/base/ids.ts'
import type { LedgerNode, Registration } from '../../../agent/ledger/types.ts'
import { planLinks } from '../../../agent/plan/links.ts'
import { planRegistration, type RegistrationWorld } from '../../../agent/plan/registration.ts'
import { aNode, aPolicy, aStore, identityOf } from '../../support/fake-orders.ts'

describe('planLinks', () => {
  const self = identityOf(1).account
  const accounts = (nodes: LedgerNode[]) =>
    planLinks({ self, nodes, stores: [] }).peers.map(({ account }) => account)

  it('lets in every node of the registry but itself', () => {
    const nodes = [aNode(3), aNode(1), aNode(2)]
    assert.deepEqual(accounts(nodes), [identityOf(2).account, identityOf(3).account])
  })

  it('lets in a node that drains, not one that left', () => {
    assert.lengthOf(accounts([aNode(2, { state: 'draining' })]), 1)
    assert.lengthOf(accounts([aNode(2, { state: 'exited' })]), 0)
  })

  it('leaves out a key that is not the account’s, or no key at all', () => {
    assert.lengthOf(accounts([aNode(2, { publicKey: aNode(3).publicKey })]), 0)
    assert.lengthOf(accounts([aNode(2, { publicKey: `0x${'00'.repeat(64)}` })]), 0)
    assert.lengthOf(accounts([aNode(2, { publicKey: '0x' })]), 0)
  })

  it('names as guests whom live store orders name and the registry does not', () => {
    const guests = (state: 'live' | 'suspended') =>
      planLinks({ self, nodes: [aNode(2)], stores: [aStore(5, { state })] }).guests
    assert.deepEqual(guests('live'), [identityOf(3).account])
    assert.deepEqual(guests('suspended'), [])
  })
})

describe('planRegistration', () => {
  const standing = (more: Partial<Registration>): Registration => ({
    account: identityOf(1).account,
    node: undefined,
    sponsor: undefined,
    sponsoredStake: 0n,
    ...more,
  })
  const world = (more: Partial<RegistrationWorld>): RegistrationWorld => ({
    registration: standing({}),
    own: undefined,
    policy: aPolicy({ stakePerGib: 100n, maxPricePerGibSecond: 50n }),
    identity: identityOf(1),
    offer: { capacityBytes: 2 ** 31, pricePerGibSecond: 10n },
    addresses: ['/ip4/10.0.0.1/tcp/4000'],
    ...more,
  })
  const sponsored = (stake: bigint) => standing({ sponsor: farmId(4), sponsoredStake: stake })
  const registered = standing({ node: nodeId(1) })
  const own = (more: Partial<LedgerNode> = {}) =>
    aNode(1, {
      capacityBytes: 2 ** 31,
      stake: 200n,
      addresses: ['/ip4/10.0.0.1/tcp/4000'],
      ...more,
    })
  const show = (more: Partial<RegistrationWorld>) => {
    const { status, transactions } = planRegistration(world(more))
    const calls = transactions.map(({ call }) => {
      if (call.method === 'setAddresses') return 'setAddresses'
      if (call.method !== 'register' && call.method !== 'setOffer') return call.method
      return `${call.method} ${call.offer.capacityBytes / 2 ** 30} ${call.offer.pricePerGibSecond}`
    })
    return [status.code ?? status.state, ...calls].join(', ')
  }

  // biome-ignore format: a table
  const CASES: [why: string, world: Partial<RegistrationWorld>, want: string][] = [
    ['waits for the ledger',                        { registration: undefined },                                'REGISTRATION_LEDGER_UNREAD'],
    ['waits for a farm',                            {},                                                         'REGISTRATION_NOT_SPONSORED'],
    ['registers once a farm sponsors it',           { registration: sponsored(200n) },                          'registering, register 2 10'],
    ['offers no more than the stake covers',        { registration: sponsored(150n) },                          'registering, register 1.5 10'],
    ['says when the stake covers nothing',          { registration: sponsored(0n) },                            'REGISTRATION_STAKE_TOO_LOW'],
    ['asks no more than policy allows',             { registration: sponsored(200n), offer: { capacityBytes: 2 ** 30, pricePerGibSecond: 60n } }, 'registering, register 1 50'],
    ['refuses to announce "any" address',           { registration: sponsored(200n), addresses: ['/ip4/0.0.0.0/tcp/1'] }, 'REGISTRATION_ADDRESS_INVALID'],
    ['refuses to announce "any" port',              { registration: sponsored(200n), addresses: ['/ip4/1.2.3.4/tcp/0'] }, 'REGISTRATION_ADDRESS_INVALID'],
    ['registers a node that only dials',            { registration: sponsored(200n), addresses: [] },           'registering, register 2 10'],
    ['is content once registered',                  { registration: registered, own: own() },                   'registered'],
    ['says when it is reached elsewhere',           { registration: registered, own: own({ addresses: [] }) },  'registered, setAddresses'],
    ['says when it offers something else',          { registration: registered, own: own({ capacityBytes: 1 }) }, 'registered, setOffer 2 10'],
    ['never offers less than orders use',           { registration: registered, own: own({ stake: 0n, capacityBytes: 2 ** 31, usedBytes: 2 ** 31 }) }, 'registered'],
    ['says when it has left',                       { registration: registered, own: own({ state: 'exited' }) }, 'REGISTRATION_EXITED'],
  ]
  for (const [why, given, want] of CASES) it(why, () => assert.equal(show(given), want))

  it('names the account that a farm has to sponsor', () => {
    assert.include(planRegistration(world({})).status.hint, identityOf(1).account)
  })
})
