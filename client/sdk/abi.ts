/**
 * ABI fragments that only clients need: the token and the governor, which are OpenZeppelin's, and the readers' side of the
 * registry. What agents call too is in `agent/ledger/abi.ts`, once.
 */
import { Interface } from 'ethers'

const FARM_VIEW = 'tuple(uint32 id, address owner, string name)'

/** `GridToken`: ERC-20 with permit and votes. */
export const TOKEN_ABI = new Interface([
  'event Transfer(address indexed from, address indexed to, uint256 value)',
  'function name() view returns (string)',
  'function symbol() view returns (string)',
  'function decimals() view returns (uint8)',
  'function totalSupply() view returns (uint256)',
  'function balanceOf(address account) view returns (uint256)',
  'function allowance(address owner, address spender) view returns (uint256)',
  'function approve(address spender, uint256 value) returns (bool)',
  'function transfer(address to, uint256 value) returns (bool)',
  'function nonces(address owner) view returns (uint256)',
  'function eip712Domain() view returns (bytes1 fields, string name, string version, uint256 chainId, address verifyingContract, bytes32 salt, uint256[] extensions)',
  'function delegates(address account) view returns (address)',
  'function delegate(address delegatee)',
  'function getVotes(address account) view returns (uint256)',
  'function getPastVotes(address account, uint256 timepoint) view returns (uint256)',
])

/** `GridGovernor`: OpenZeppelin's Governor with simple counting and a timelock, clocked by seconds. */
export const GOVERNOR_ABI = new Interface([
  'event ProposalCreated(uint256 proposalId, address proposer, address[] targets, uint256[] values, string[] signatures, bytes[] calldatas, uint256 voteStart, uint256 voteEnd, string description)',
  'function propose(address[] targets, uint256[] values, bytes[] calldatas, string description) returns (uint256 proposalId)',
  'function queue(address[] targets, uint256[] values, bytes[] calldatas, bytes32 descriptionHash) returns (uint256 proposalId)',
  'function execute(address[] targets, uint256[] values, bytes[] calldatas, bytes32 descriptionHash) payable returns (uint256 proposalId)',
  'function cancel(address[] targets, uint256[] values, bytes[] calldatas, bytes32 descriptionHash) returns (uint256 proposalId)',
  'function castVote(uint256 proposalId, uint8 support) returns (uint256 weight)',
  'function castVoteWithReason(uint256 proposalId, uint8 support, string reason) returns (uint256 weight)',
  'function state(uint256 proposalId) view returns (uint8)',
  'function proposalSnapshot(uint256 proposalId) view returns (uint256)',
  'function proposalDeadline(uint256 proposalId) view returns (uint256)',
  'function proposalEta(uint256 proposalId) view returns (uint256)',
  'function proposalVotes(uint256 proposalId) view returns (uint256 againstVotes, uint256 forVotes, uint256 abstainVotes)',
  'function hasVoted(uint256 proposalId, address account) view returns (bool)',
  'function quorum(uint256 timepoint) view returns (uint256)',
  'function votingDelay() view returns (uint256)',
  'function votingPeriod() view returns (uint256)',
  'function proposalThreshold() view returns (uint256)',
])

/** What of `INodes` only clients call. */
export const FARMS_ABI = new Interface([
  'event FarmCreated(uint32 indexed farm, address indexed owner, string name)',
  'function createFarm(string name) returns (uint32 farm)',
  'function sponsor(uint32 farm, address account, uint128 stake) payable',
  'function setDraining(uint32 node, bool draining)',
  'function farmCount() view returns (uint32)',
  `function farms(uint32 from, uint32 limit) view returns (${FARM_VIEW}[])`,
])

/** What of `IPolicy` only clients call. */
export const TERMS_ABI = new Interface(['function lateSeconds() view returns (uint64)'])

/** States of proposals, in the order of OpenZeppelin's enum. */
export const PROPOSAL_STATES = [
  'pending',
  'active',
  'canceled',
  'defeated',
  'succeeded',
  'queued',
  'expired',
  'executed',
] as const
