/** The door of the file system: a volume, its ports, its figures and its failures. */
export { FILES_ERRORS, type FileErrorCode, type VolumeErrorCode } from './errors.ts'
export type {
  AttributeChanges,
  Attributes,
  Caller,
  DirectoryEntry,
  Handle,
  Ino,
  RenameOptions,
  Reply,
  SpaceFigures,
} from './file-system.ts'
export type { AsideReport } from './opening.ts'
export type {
  ByteSource,
  ChunkNumber,
  ChunkRun,
  ChunkStore,
  CommitSealer,
  CommitStore,
  Section,
} from './ports.ts'
export { recordSeal } from './record-seal.ts'
export { Volume } from './volume.ts'
export type { VolumeFigures, VolumeOptions, VolumePorts } from './volume-options.ts'
