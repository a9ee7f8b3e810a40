/**
 * What the kernel's questions are put to, a file system that knows no FUSE; and where they come from, the kernel's device.
 *
 * `engines/files` satisfies `FileSystem`; tests have a plain one in memory. Every method answers at once or with a promise, so that
 * what is in memory costs no turn of the event loop. A failure is a `NodeError` whose code `errno.ts` translates.
 */
import type { NodeError } from '../../base/errors.ts'

/** Answered at once, or later. */
export type Reply<T> = T | Promise<T>

/** Number of a file or directory, unique in the volume; 1 is the root. Up to 2^53 - 1. */
export type Ino = number

/** What `stat` shows. Times are nanoseconds since 1970 UTC. */
export interface Attributes {
  readonly ino: Ino
  /** Type and permission bits as in `st_mode`. */
  readonly mode: number
  readonly links: number
  readonly uid: number
  readonly gid: number
  /** Device number of a device node, else 0. */
  readonly device: number
  readonly sizeBytes: number
  /** Bytes that hold data, `<= sizeBytes` for sparse files. */
  readonly allocatedBytes: number
  readonly accessedNs: bigint
  readonly modifiedNs: bigint
  readonly changedNs: bigint
}

/** What to change; an absent field stays. */
export interface AttributeChanges {
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly sizeBytes?: number
  readonly accessedNs?: bigint
  readonly modifiedNs?: bigint
}

/** Who asks. Permissions are checked by the kernel (`default_permissions`); this says who owns what is made. */
export interface Caller {
  readonly uid: number
  readonly gid: number
  readonly pid: number
}

/** One name in a directory. */
export interface DirectoryEntry {
  readonly name: string
  readonly attributes: Attributes
  /** Pass to `readDirectory` to go on after this entry; `>= 1`, stable while the directory is open. */
  readonly cookie: number
}

/** Space of the whole volume. */
export interface SpaceFigures {
  readonly totalBytes: number
  readonly freeBytes: number
  readonly files: number
  readonly filesFree: number
}

/** Handle of an open file or directory, `>= 1`. */
export type Handle = number

/** Flags of `rename`, as the kernel's. */
export interface RenameOptions {
  /** RENAME_NOREPLACE: fail if the target is there. */
  readonly noReplace: boolean
  /** RENAME_EXCHANGE: swap the two names. */
  readonly exchange: boolean
}

/**
 * A file system. Names are 1 to 255 bytes without `/` and NUL, never `.` or `..`, as text of `base/name-text.ts`.
 *
 * What is made in a directory with the set-group-id bit takes the group of the directory, and a directory made there takes
 * the bit too: the kernel leaves both to the file system. The number of a removed inode is not given out again before
 * `forget`. `test/conformance/file-system.ts` says all that is expected.
 */
export interface FileSystem {
  space(): Reply<SpaceFigures>
  /** @throws NodeError `NOT_FOUND`, `NOT_DIRECTORY`. */
  lookup(parent: Ino, name: string): Reply<Attributes>
  attributes(ino: Ino): Reply<Attributes>
  setAttributes(ino: Ino, changes: AttributeChanges): Reply<Attributes>
  readLink(ino: Ino): Reply<string>
  makeNode(
    parent: Ino,
    name: string,
    mode: number,
    device: number,
    caller: Caller,
  ): Reply<Attributes>
  makeDirectory(parent: Ino, name: string, mode: number, caller: Caller): Reply<Attributes>
  makeSymlink(parent: Ino, name: string, target: string, caller: Caller): Reply<Attributes>
  link(ino: Ino, parent: Ino, name: string): Reply<Attributes>
  unlink(parent: Ino, name: string): Reply<void>
  removeDirectory(parent: Ino, name: string): Reply<void>
  rename(
    from: { parent: Ino; name: string },
    to: { parent: Ino; name: string },
    options: RenameOptions,
  ): Reply<void>

  /**
   * `flags` as given to open(2): with `O_TRUNC` the file is emptied, `O_APPEND` is the kernel's affair (offsets of writes are
   * final). The file stays readable and writable through the handle after its last name is gone.
   */
  open(ino: Ino, flags: number): Reply<Handle>
  create(
    parent: Ino,
    name: string,
    mode: number,
    flags: number,
    caller: Caller,
  ): Reply<{ attributes: Attributes; handle: Handle }>
  /** O_TMPFILE: an open file in no directory, gone at its last close unless `link` gives it a name. `parent` says whose group. */
  createTemporary(
    parent: Ino,
    mode: number,
    caller: Caller,
  ): Reply<{ attributes: Attributes; handle: Handle }>
  /**
   * Reads into `into`.
   *
   * @param into - Belongs to the file system until the answer is there, even if `signal` aborts before.
   * @param signal - Aborts when the program that asked stopped waiting; may be ignored, the answer is then dropped.
   * @returns Bytes read; fewer than asked only at the end of the file.
   * @throws NodeError `IO` if the bytes cannot be had or do not verify; never wrong bytes.
   */
  read(handle: Handle, offset: number, into: Uint8Array, signal?: AbortSignal): Reply<number>
  /**
   * Writes all of `bytes`, which the caller reuses afterwards: copy what is kept.
   *
   * @returns Bytes written (all of them).
   * @throws NodeError `NO_SPACE`, `READ_ONLY`, `IO`.
   */
  write(handle: Handle, offset: number, bytes: Uint8Array): Reply<number>
  /** At each close(2) of a descriptor. A file system without it spares the kernel the question. */
  flush?(handle: Handle): Reply<void>
  /** Resolves when everything written to the file before the call is durable. */
  sync(ino: Ino, dataOnly: boolean): Reply<void>
  /** Preallocates (mode 0), makes the range zeros (ZERO_RANGE), both also without growing (| KEEP_SIZE); or PUNCH_HOLE | KEEP_SIZE. */
  allocate(handle: Handle, mode: number, offset: number, length: number): Reply<void>
  /** SEEK_DATA (`data` true) or SEEK_HOLE from `offset`. @throws NodeError `NO_DATA` (ENXIO) past the end. */
  seek(handle: Handle, offset: number, data: boolean): Reply<number>
  release(handle: Handle): Reply<void>

  openDirectory(ino: Ino): Reply<Handle>
  /** Entries after `cookie` (0 from the start), `.` and `..` not among them; empty at the end. At most `limit`. */
  readDirectory(handle: Handle, cookie: number, limit: number): Reply<readonly DirectoryEntry[]>
  releaseDirectory(handle: Handle): Reply<void>
  syncDirectory(ino: Ino): Reply<void>

  /** @throws NodeError `NO_ATTRIBUTE`. */
  getExtended(ino: Ino, name: string): Reply<Uint8Array>
  /** `create`: fail with `EXISTS` if there; `replace`: fail with `NO_ATTRIBUTE` if not. */
  setExtended(
    ino: Ino,
    name: string,
    value: Uint8Array,
    how: 'any' | 'create' | 'replace',
  ): Reply<void>
  listExtended(ino: Ino): Reply<readonly string[]>
  removeExtended(ino: Ino, name: string): Reply<void>
  /**
   * Where the next change will be recorded; grows with each. Left out by a file system that does not outlive its process: its
   * mounts then end with it.
   */
  position?(): number
  /** The kernel forgot the inode: what had no name and no handle may go. */
  forget(ino: Ino): void
}

/** A request of the kernel, in a buffer of the device. */
export interface RequestBuffer {
  readonly bytes: Buffer
  /** Bytes of the request; what follows in `bytes` is old. */
  readonly lengthBytes: number
  /** Gives the buffer back; called exactly once, at once or later. */
  release(): void
}

/** Who takes the requests: the session. Neither method throws. */
export interface RequestReceiver {
  /**
   * Takes a request.
   *
   * @returns True if no answer is pending; else the device lets other work of the process run.
   */
  request(buffer: RequestBuffer): boolean
  /** No request comes any more. `reason` is absent after an unmount. */
  connectionClosed(reason: NodeError | undefined): void
}

/** One mounted connection to the kernel. Adapter: `adapters/kernel/fuse-device.ts`; tests: `test/support/fake-fuse-device.ts`. */
export interface FuseDevice {
  /** Begins to deliver requests, in the order in which the kernel gives them out. */
  start(receiver: RequestReceiver): void
  /** Sends one reply or notification whole; the kernel has copied it when this returns. A reply that came too late is dropped. */
  send(reply: Uint8Array): void
  /**
   * Whether the thread that sent a request is about to end: a signal that nothing can stop waits for it.
   *
   * @param task - As in the request's header; 0 is a thread that cannot be seen from here, which is taken to live.
   */
  isEnding(task: number): boolean
  /** Leaves further requests in the kernel until `resume`. */
  pause(): void
  resume(): void
  /** How far the kernel reads ahead of a program that reads in sequence. */
  setReadAhead(bytes: number): void
  /**
   * Takes the mount away; resolves when it is gone and requests go on being delivered until then.
   *
   * @param how - `clean`: fails while files are open; `detach`: the path goes at once, the connection with the last open
   *   file; `abort`: both go at once and open files fail with ENOTCONN.
   * @throws NodeError `MOUNT_BUSY` (only `clean`).
   */
  unmount(how: 'clean' | 'detach' | 'abort'): Promise<void>
}

/** The last change that cannot be done twice, in memory that outlives the process. */
export interface LastChange {
  /** Number of the request, without its mark; 0 if there was none. */
  readonly unique: number
  /** Where the file system would record it. */
  readonly position: number
  /** Notes the next one, before it is done. */
  note(unique: number, position: number): void
}

/** A connection that a process before this one served, with its requests under way. */
export interface ResumedConnection {
  readonly device: FuseDevice
  /** Whether the file system recorded the last change. */
  readonly isLastChangeDone: boolean
}

/** What a mount shows to the kernel. */
export interface FuseMountOptions {
  /** Absolute path of an empty directory. */
  readonly path: string
  readonly readOnly: boolean
  /** Data in one read at most. */
  readonly readBytesMax: number
}

/** The kernel, as far as mounting goes. Adapter: `adapters/kernel/fuse-kernel.ts`. */
export interface FuseKernel {
  /**
   * Mounts; the kernel's first request (INIT) waits on the device.
   *
   * @throws NodeError `MOUNT_*`.
   */
  mount(options: FuseMountOptions): Promise<FuseDevice>
}
