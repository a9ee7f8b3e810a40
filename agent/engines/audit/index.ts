/** The door of the audit engine: trees over what a node holds, proofs from them, and checks of the proofs of others. */
export type { AuditAct } from './acts.ts'
export {
  type AuditDomain,
  COMMITMENT_TYPES,
  commitmentDigest,
  commitmentSigner,
  type SlotCommitment,
  signCommitment,
  typedDomain,
} from './commitment.ts'
export { GROUP_NODES, POSTED_BYTES, TRANSCRIPT_BYTES_MAX } from './constants.ts'
export { type CountersignInit, countersign } from './countersign.ts'
export { type Countersigned, type DemandWorld, planDemand } from './demand.ts'
export { DigestGroup } from './digest-group.ts'
export {
  type DutiesWorld,
  type Duty,
  type EpochFacts,
  type OpenDispute,
  type PostedFacts,
  type ProofAtHand,
  planDuties,
} from './duties.ts'
export { type DutyStore, dutyAct } from './duty-act.ts'
export type { Accumulator, Entry, IsWriter, SignedCommitment } from './entry.ts'
export { AUDIT_ERRORS, type AuditErrorCode } from './errors.ts'
export { LeafFile } from './leaf-file.ts'
export { NodeAccumulator } from './node-accumulator.ts'
export type { ShardInfo, ShardSource } from './ports.ts'
export { type ProveInit, prove } from './prove.ts'
export { isDrawn } from './sampling.ts'
export { type SlotName, slotText } from './slot-name.ts'
export { type SlotState, SlotTree } from './slot-tree.ts'
export { digestTree, type Location, locate, type Transcript } from './transcript.ts'
export { decodeTranscript, encodeTranscript } from './transcript-codec.ts'
export {
  type AuditClaim,
  type Doubt,
  type DoubtReason,
  isPosted,
  type VerifyInit,
  verifyTranscript,
} from './verify.ts'
