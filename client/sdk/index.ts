/** The SDK's door: everything that a program needs to order, farm and vote on a grid. Start with {@link Grid.connect}. */

export type {
  AuditDisputeView,
  AuditEpochView,
  GridAudits,
  NodeAudit,
  ProofState,
} from './audits.ts'
export type { Connection, ConnectOptions } from './connection.ts'
export { explainFailure, explainRevert } from './contract-errors.ts'
export { CLIENT_ERRORS, type ClientErrorCode } from './errors.ts'
export type { Proposal, ProposalState, ProposedAction, Support } from './governance.ts'
export { Grid } from './grid.ts'
export type { Balance } from './money.ts'
export type { GridFarm, GridNode, Sponsorship } from './nodes.ts'
export type { OrderStatus, SlotRole, SlotStatus } from './order-status.ts'
export {
  MOUNT_BYTES,
  type MountRequest,
  type PlacedOrder,
  type Quote,
  type StoreRequest,
  type VolumeRequest,
} from './orders.ts'
export { type PlacedSlot, placeSlots } from './place-slots.ts'
export {
  type GridPolicy,
  type PolicyParameter,
  parameterNamed,
  parameterText,
  parameterValue,
} from './policy.ts'
export { slotSizes, type VolumeShape } from './slot-sizes.ts'
export { decodeSpec, encodeSpec, type Spec } from './specs.ts'
export { formatTokens, parseTokens } from './token-units.ts'
export type { FollowOptions, Stage, Transaction, TransactionProgress } from './transactions.ts'
export { deriveKeyRoot, findVolumeKey, volumeKey } from './volume-key.ts'
