/** The door of the engine `fuse`: the kernel's file system protocol over a `FileSystem`. */
export { type FileErrorCode, FUSE_ERRORS, type FuseErrorCode } from './errors.ts'
export type { CachePolicy } from './init.ts'
export { type Mount, type MountInit, mountFileSystem } from './mount.ts'
export type * from './ports.ts'
export type { FuseFigures } from './session.ts'
