// Deploys every contract of the grid and wires them. At the end the timelock owns what can be owned, the governor alone
// proposes to it, anyone executes, and the deployer has no power left: its wiring and its admin role are both spent.
import { buildModule } from '@nomicfoundation/ignition-core'

const PROPOSER_ROLE = '0xb09aa5aeb3702cfd50b6b62bc4532604938f21248a27a1d5ca736082b6819cc1'
const CANCELLER_ROLE = '0xfd643c72710c63c0180259aba6b2d05451e3591a24e58b62239378085726f783'
const ADMIN_ROLE = '0x0000000000000000000000000000000000000000000000000000000000000000'
/** As executor of the timelock: anyone may execute what passed. */
const ANYONE = '0x0000000000000000000000000000000000000000'

/** The grid. Parameters: see `ignitionParameters` in `parameters.ts`. Results: one future a contract. */
export default buildModule('Grid', (m) => {
  const deployer = m.getAccount(0)

  const token = m.contract('GridToken', [
    m.getParameter('tokenHolder'),
    m.getParameter('tokenSupply'),
  ])
  const timelock = m.contract('TimelockController', [
    m.getParameter('timelockDelaySeconds'),
    [],
    [ANYONE],
    deployer,
  ])
  const policy = m.contract('Policy', [timelock, m.getParameter('policyValues')])
  const audits = m.contract('Audits', [token, policy])
  const nodes = m.contract('Nodes', [token, policy, audits])
  const votes = m.contract('CapacityVotes', [token, policy, nodes, audits])
  const governor = m.contract('GridGovernor', [
    token,
    timelock,
    votes,
    {
      votingDelaySeconds: m.getParameter('votingDelaySeconds'),
      votingPeriodSeconds: m.getParameter('votingPeriodSeconds'),
      proposalThreshold: m.getParameter('proposalThreshold'),
      quorumPercent: m.getParameter('quorumPercent'),
    },
  ])
  const escrow = m.contract('Escrow', [token], { after: [policy] })
  const rules = m.contract('SpecRules')
  const desk = m.contract('OrderDesk')
  const orders = m.contract('Orders', [policy, nodes, escrow, rules, desk, audits])
  const contractors = m.contract('Contractors', [token, timelock])
  const nodesWired = m.call(nodes, 'wire', [orders])
  const escrowWired = m.call(escrow, 'wire', [orders])
  const deskWired = m.call(desk, 'wire', [orders])
  const auditsWired = m.call(audits, 'wire', [orders])

  const proposes = m.call(timelock, 'grantRole', [PROPOSER_ROLE, governor], {
    id: 'governorProposes',
  })
  const cancels = m.call(timelock, 'grantRole', [CANCELLER_ROLE, governor], {
    id: 'governorCancels',
  })
  const renounced = m.call(timelock, 'renounceRole', [ADMIN_ROLE, deployer], {
    id: 'deployerRenounces',
    after: [proposes, cancels],
  })

  const grid = m.contract(
    'Grid',
    [
      {
        token,
        governor,
        timelock,
        policy,
        nodes,
        orders,
        escrow,
        deployedAtBlock: 0n,
      },
      { rules, desk, contractors, audits, votes },
    ],
    { after: [nodesWired, escrowWired, deskWired, auditsWired, renounced] },
  )
  return {
    grid,
    token,
    governor,
    timelock,
    policy,
    nodes,
    orders,
    escrow,
    rules,
    desk,
    contractors,
    audits,
    votes,
  }
})
