/** The door of engine `log`: an append-only store that speaks the redis protocol. */
export { type ArchiveSummary, exportNamespace, importNamespace } from './archive.ts'
export { LOG_ERRORS, type LogErrorCode } from './errors.ts'
export { importZeroDb, type ZeroDbImport } from './import-zero-db.ts'
export { Namespace } from './namespace.ts'
export {
  defaultProperties,
  type NamespaceProperties,
  type PasswordHash,
} from './namespace-properties.ts'
export type {
  LogPorts,
  RootBatch,
  RootHasher,
  RootJob,
  StoreEvent,
  SyncMode,
} from './ports.ts'
export type { ReplicaControl, ReplicaFacts } from './replication/replica-control.ts'
export { StoreReplica, type StoreReplicaInit } from './replication/store-replica.ts'
export { DIALECT_RULES, type DialectRule } from './resp/dialect.ts'
export { isOneLine, oneLine } from './resp/plain-text.ts'
export type { Output } from './resp/reply-writer.ts'
export type { RunningHook } from './resp/running-hook.ts'
export {
  type Principal,
  RespServer,
  type RespServerInit,
  type SessionHost,
} from './resp/server.ts'
export { Session } from './resp/session.ts'
export { damagedStretches } from './scan-segment.ts'
export { LogStore, type LogStoreInit } from './store.ts'
export { verifyConsistency, verifyInclusion } from './tree/log-proof.ts'
export { type CommittedRecord, recordRoot } from './tree/record-root.ts'
export { computeRoots, inlineRootHasher } from './tree/record-roots.ts'
