/** Bodies of requests as the kernel writes them, and one sound request of each kind. */
import { OP } from '../../../agent/engines/fuse/protocol.ts'

/** 32-bit words. */
export const u32 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, at) => void bytes.writeUInt32LE(value >>> 0, at * 4))
  return bytes
}

/** 64-bit words. */
export const u64 = (...values: (number | bigint)[]): Buffer => {
  const bytes = Buffer.alloc(8 * values.length)
  values.forEach(
    (value, at) => void bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), at * 8),
  )
  return bytes
}

/** Texts, each with its NUL. */
export const text = (...values: string[]): Buffer =>
  Buffer.from(values.map((one) => `${one}\0`).join(''))

export const join = (...parts: Uint8Array[]): Buffer => Buffer.concat(parts)

/** `fuse_init_in` with all flags offered. */
export const initBody = (major = 7, minor = 45, flags = 0xffffffff, flags2 = 0xffffffff): Buffer =>
  join(u32(major, minor, 131_072, flags, flags2), Buffer.alloc(44))

export const openBody = (flags = 2): Buffer => u32(flags, 0)
export const createBody = (name: string, mode = 0o100644): Buffer =>
  join(u32(2, mode, 0o22, 0), text(name))
export const readBody = (handle: number, offset: number, size: number): Buffer =>
  join(u64(handle, offset), u32(size, 0), u64(0), u32(0, 0))
export const writeBody = (handle: number, offset: number, data: Uint8Array, flags = 0): Buffer =>
  join(u64(handle, offset), u32(data.byteLength, flags), u64(0), u32(0, 0), data)
export const setAttributesBody = (
  valid: number,
  of: {
    size?: number
    mode?: number
    uid?: number
    gid?: number
    seconds?: bigint
    nanoseconds?: number
  },
): Buffer =>
  join(
    ...[u32(valid, 0), u64(0, of.size ?? 0, 0), u64(of.seconds ?? 0, of.seconds ?? 0, 0)],
    u32(of.nanoseconds ?? 0, of.nanoseconds ?? 0, 0, of.mode ?? 0, 0, of.uid ?? 0, of.gid ?? 0, 0),
  )

/** One sound body for each operation, about inode 1 or handle 1. */
export const SOUND: readonly (readonly [opcode: number, body: Buffer])[] = [
  [OP.LOOKUP, text('x')],
  [OP.FORGET, u64(1)],
  [OP.GETATTR, u32(0, 0, 0, 0)],
  [OP.SETATTR, setAttributesBody(1, { mode: 0o755 })],
  [OP.READLINK, Buffer.alloc(0)],
  [OP.SYMLINK, text('link', 'target')],
  [OP.MKNOD, join(u32(0o100644, 0, 0o22, 0), text('node'))],
  [OP.MKDIR, join(u32(0o755, 0o22), text('directory'))],
  [OP.UNLINK, text('x')],
  [OP.RMDIR, text('x')],
  [OP.RENAME, join(u64(1), text('a', 'b'))],
  [OP.LINK, join(u64(2), text('linked'))],
  [OP.OPEN, openBody()],
  [OP.READ, readBody(1, 0, 4096)],
  [OP.WRITE, writeBody(1, 0, Buffer.from('data'))],
  [OP.STATFS, Buffer.alloc(0)],
  [OP.RELEASE, join(u64(1), u32(0, 0), u64(0))],
  [OP.FSYNC, join(u64(1), u32(0, 0))],
  [OP.SETXATTR, join(u32(2, 0), text('user.x'), Buffer.from('ab'))],
  [OP.GETXATTR, join(u32(0, 0), text('user.x'))],
  [OP.LISTXATTR, u32(100, 0)],
  [OP.REMOVEXATTR, text('user.x')],
  [OP.FLUSH, join(u64(1), u32(0, 0), u64(0))],
  [OP.INIT, initBody()],
  [OP.OPENDIR, openBody()],
  [OP.READDIR, readBody(1, 0, 4096)],
  [OP.RELEASEDIR, join(u64(1), u32(0, 0), u64(0))],
  [OP.FSYNCDIR, join(u64(1), u32(0, 0))],
  [OP.CREATE, createBody('created')],
  [OP.INTERRUPT, u64(999_999)],
  [OP.IOCTL, Buffer.alloc(32)],
  [OP.BATCH_FORGET, join(u32(1, 0), u64(1, 1))],
  [OP.FALLOCATE, join(u64(1, 0, 10), u32(0, 0))],
  [OP.READDIRPLUS, readBody(1, 0, 4096)],
  [OP.RENAME2, join(u64(1), u32(0, 0), text('a', 'b'))],
  [OP.LSEEK, join(u64(1, 0), u32(3, 0))],
]
