/** What a deployment of the grid is told: how votes pass and what policy says first. */

/** Names of the policy's parameters in the order of the enum `Parameter` in `contracts/interfaces/IPolicy.sol`. */
export const POLICY_PARAMETERS = [
  'FinalityDepth',
  'HeartbeatSeconds',
  'LostSeconds',
  'GraceSeconds',
  'StakePerGib',
  'MaxPricePerGibSecond',
  'WorkloadsAllowed',
  'MaxSlots',
  'MinSeconds',
  'MaxSeconds',
  'DispersalAgeSeconds',
  'ScrubSeconds',
  'AuditEpochSeconds',
  'AuditWindowSeconds',
  'AuditWindowBlocks',
  'AuditSamples',
  'AuditOpenOdds',
  'AuditAnswerSeconds',
  'AuditBond',
  'AuditMissSlash',
  'AuditFraudSlash',
  'AuditReporterShare',
  'VotesPerGib',
  'CapacityVotesPercent',
  'MaxPricePerCoreSecond',
  'MaxPricePerMemoryGibSecond',
  'MaxPricePerEgressGib',
  'MinNodeStake',
  'StakeSeconds',
  'NodeFeePerDay',
  'NoticeSeconds',
] as const

/** One of {@link POLICY_PARAMETERS}. */
export type PolicyParameter = (typeof POLICY_PARAMETERS)[number]

/** What a grid is deployed with; amounts in smallest units of the token. */
export interface GridParameters {
  /** Who gets the whole supply of the token. */
  tokenHolder: string
  tokenSupply: bigint
  votingDelaySeconds: number
  votingPeriodSeconds: number
  proposalThreshold: bigint
  /** Share of the supply that must vote for or abstain, 0 to 100. */
  quorumPercent: number
  timelockDelaySeconds: number
  /** First values of the policy. */
  policy: Record<PolicyParameter, bigint>
}

const DAY = 86_400n
const TOKEN = 10n ** 18n
/** Bits 1 to 3 of WorkloadsAllowed: stores, volumes, mounts. */
const STORES_VOLUMES_MOUNTS = 0b1110n

/**
 * Parameters for a grid that people live with: votes take days, and nodes may be offline for an hour.
 *
 * @param tokenHolder - Address that gets the whole supply of 1,000,000,000 tokens.
 * @returns Parameters for {@link gridPlan}; change what you like.
 */
export function communityParameters(tokenHolder: string): GridParameters {
  return {
    tokenHolder,
    tokenSupply: 1_000_000_000n * TOKEN,
    votingDelaySeconds: 86_400,
    votingPeriodSeconds: 5 * 86_400,
    proposalThreshold: 100_000n * TOKEN,
    quorumPercent: 4,
    timelockDelaySeconds: 2 * 86_400,
    policy: {
      FinalityDepth: 0n,
      HeartbeatSeconds: 600n,
      LostSeconds: 3_600n,
      GraceSeconds: 7n * DAY,
      StakePerGib: TOKEN / 100n,
      MaxPricePerGibSecond: TOKEN / 1_000_000n,
      WorkloadsAllowed: STORES_VOLUMES_MOUNTS,
      MaxSlots: 257n,
      MinSeconds: 3_600n,
      MaxSeconds: 3n * 365n * DAY,
      DispersalAgeSeconds: 5n,
      ScrubSeconds: 30n * DAY,
      // Four audits a day; 64 samples each find a node that lost 5 % within a day (docs/design/0014-audits.md).
      AuditEpochSeconds: DAY / 4n,
      AuditWindowSeconds: 1_800n,
      AuditWindowBlocks: 20n,
      AuditSamples: 64n,
      AuditOpenOdds: 64n,
      AuditAnswerSeconds: 3_600n,
      AuditBond: TOKEN,
      AuditMissSlash: 100n,
      AuditFraudSlash: 2_000n,
      AuditReporterShare: 1_000n,
      VotesPerGib: 0n,
      // Below the quorum: farms alone decide nothing.
      CapacityVotesPercent: 3n,
      MaxPricePerCoreSecond: TOKEN / 10_000n,
      MaxPricePerMemoryGibSecond: TOKEN / 100_000n,
      MaxPricePerEgressGib: TOKEN / 10n,
      // 100,000 nodes of nobody cost 100,000 tokens, and 1,000 more a day.
      MinNodeStake: TOKEN,
      StakeSeconds: 30n * DAY,
      NodeFeePerDay: TOKEN / 100n,
      NoticeSeconds: 30n * DAY,
    },
  }
}

/**
 * Parameters for a grid on one machine: votes, lateness and grace take seconds.
 *
 * @param tokenHolder - Address that gets the whole supply, and so all votes once it delegates to itself.
 * @returns Parameters for {@link gridPlan}; change what you like.
 */
export function devnetParameters(tokenHolder: string): GridParameters {
  const usual = communityParameters(tokenHolder)
  return {
    ...usual,
    votingDelaySeconds: 1,
    votingPeriodSeconds: 4,
    proposalThreshold: 0n,
    timelockDelaySeconds: 1,
    policy: {
      ...usual.policy,
      HeartbeatSeconds: 3n,
      LostSeconds: 8n,
      GraceSeconds: 10n,
      MinSeconds: 10n,
      ScrubSeconds: 60n,
      NoticeSeconds: 20n,
      // Nobody fills the registry of one machine.
      ...{ MinNodeStake: 0n, StakeSeconds: 0n, NodeFeePerDay: 0n },
      // A grid on one machine has no one to doubt; a vote switches audits on.
      AuditEpochSeconds: 0n,
    },
  }
}
