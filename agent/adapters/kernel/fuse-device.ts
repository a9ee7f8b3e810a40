/**
 * One mounted connection to `/dev/fuse`: the main thread reads requests itself, in bursts.
 *
 * A request that had to pass through another thread would cost two wake-ups (20 µs each here). So after a request the main
 * thread stays on the device for some microseconds, because a program that just got its answer asks again; only when nothing
 * comes does it go back to its event loop and lets a thread watch (`fuse-wait-worker.ts`). It never stays while anything else
 * waits for its turn: not longer than a millisecond, and not at all while an answer is pending. Figures in docs/design/0006.
 */
import { closeSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { required } from '../../base/assert.ts'
import { codeOf, NodeError } from '../../base/errors.ts'
import { KIB } from '../../base/units.ts'
import type { FuseDevice, RequestBuffer, RequestReceiver } from '../../engines/fuse/ports.ts'
import { isTaskEnding } from './ending-task.ts'
import type { KernelErrorCode } from './errors.ts'
import { MNT_DETACH, MNT_FORCE, ReadableWait, unmount, unmountNow } from './libc.ts'
import { type MountEntry, parseMountTable, readMountTable } from './mount-table.ts'
import { WAIT_ARMED, WAIT_STOP, type WaitWorkerData } from './wait-state.ts'

/** The kernel wants room for a full WRITE with its headers, and data that starts on a page reads faster. */
const REQUEST_BYTES_MAX = 1024 * KIB + 4 * KIB
/** Requests whose buffer the file system still needs (asynchronous writes) at most: 64 MiB; more stay in the kernel. */
const BUFFERS_MAX = 64
/** How long a burst may keep the event loop waiting. */
const BURST_MS_MAX = 1
/** How long the main thread waits for the next request of a burst: a program's round trip, without its own work. */
const STAY_US = 20
/** EBUSY of umount2. */
const EBUSY = 16

/** What a device is made of. */
export interface FuseDeviceInit {
  /** `/dev/fuse`, opened non-blocking, to which the mount was given; the device closes it. */
  readonly fd: number
  /** Where it is mounted, canonical. */
  readonly path: string
  /** `major:minor` of the mounted file system. */
  readonly device: string
  /** For measurements: microseconds of {@link STAY_US}. */
  readonly stayUs?: number
}

/** Devices whose mount is there: a process that exits takes them along, so that none is left dead. */
const live = new Set<KernelFuseDevice>()
let isExitWatched = false

/** A mounted connection. */
export class KernelFuseDevice implements FuseDevice {
  readonly #init: FuseDeviceInit
  readonly #wait: ReadableWait
  readonly #state = new Int32Array(new SharedArrayBuffer(4))
  readonly #free: DeviceBuffer[] = []
  readonly #stayUs: number
  #buffers = 0
  #receiver: RequestReceiver | undefined
  #worker: Worker | undefined
  #isPaused = false
  #isBursting = false
  #isClosed = false

  constructor(init: FuseDeviceInit) {
    this.#init = init
    this.#wait = new ReadableWait(init.fd)
    this.#stayUs = init.stayUs ?? STAY_US
    if (!isExitWatched) process.once('exit', abortAll)
    isExitWatched = true
    live.add(this)
  }

  /** `/dev/fuse`, for who holds the connection besides; stays the device's. */
  get fd(): number {
    return this.#init.fd
  }

  /** `major:minor` of what is mounted. */
  get device(): string {
    return this.#init.device
  }

  /** Somebody else holds the connection: it stays when this process exits. */
  outliveProcess(): void {
    live.delete(this)
  }

  start(receiver: RequestReceiver): void {
    this.#receiver = receiver
    const data: WaitWorkerData = {
      fd: this.#init.fd,
      state: this.#state.buffer as SharedArrayBuffer,
    }
    const url = new URL('./fuse-wait-worker.ts', import.meta.url)
    this.#worker = new Worker(url, { workerData: data, trackUnmanagedFds: false })
    this.#worker.on('message', () => this.#burst())
    this.#worker.on('error', (cause) => {
      this.#close(
        new NodeError<KernelErrorCode>('FUSE_DEVICE', 'the waiting thread died', { cause }),
      )
    })
    this.#watch()
  }

  send(reply: Uint8Array): void {
    try {
      writeSync(this.#init.fd, reply)
    } catch (cause) {
      // ENOENT: nobody waits for it any more. ENODEV, ECONNABORTED: the next read says that all is over.
      if (['ENOENT', 'ENODEV', 'ECONNABORTED', 'EBADF'].includes(codeOf(cause) ?? '')) return
      throw new NodeError<KernelErrorCode>(
        'FUSE_REPLY_REFUSED',
        `reply of ${reply.byteLength} bytes`,
        { cause },
      )
    }
  }

  isEnding(task: number): boolean {
    return isTaskEnding(task)
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#burstSoon()
  }

  setReadAhead(bytes: number): void {
    const file = `/sys/class/bdi/${this.#init.device}/read_ahead_kb`
    writeFileSync(file, String(Math.round(bytes / KIB)))
  }

  async unmount(how: 'clean' | 'detach' | 'abort'): Promise<void> {
    const { path, device } = this.#init
    const table = await readMountTable()
    const isShown = showsAt(table, path, device)
    if (how === 'abort' && !isShown) {
      this.#close(undefined)
      return
    }
    if (!table.some((entry) => entry.device === device)) return
    if (!isShown) {
      throw new NodeError<KernelErrorCode>('MOUNT_BUSY', `another mount covers ${path}`)
    }
    const flags = { clean: 0, detach: MNT_DETACH, abort: MNT_DETACH | MNT_FORCE }[how]
    const errno = await unmount(path, flags)
    if (errno === EBUSY) throw new NodeError<KernelErrorCode>('MOUNT_BUSY', `${path} is in use`)
    if (errno !== 0)
      throw new NodeError<KernelErrorCode>('MOUNT_FAILED', `umount2 ${path}: errno ${errno}`)
    if (how === 'abort') this.#close(undefined)
  }

  /** While the process exits. */
  abortNow(): void {
    const { path, device } = this.#init
    const table = parseMountTable(readFileSync('/proc/self/mountinfo', 'utf8'))
    if (showsAt(table, path, device)) unmountNow(path, MNT_DETACH | MNT_FORCE)
  }

  /** Takes requests until none comes within the stay, something else needs the thread, or the burst is long enough. */
  #burst(): void {
    if (this.#isBursting || this.#isClosed) return
    this.#isBursting = true
    const deadline = performance.now() + BURST_MS_MAX
    let stayUs = 0
    while (this.#canRead()) {
      if (!this.#wait.wait(stayUs)) {
        this.#isBursting = false
        this.#watch()
        return
      }
      stayUs = this.#takeOne() ? this.#stayUs : 0
      if (performance.now() >= deadline) {
        this.#isBursting = false
        this.#burstSoon()
        return
      }
    }
    this.#isBursting = false
  }

  #canRead(): boolean {
    const hasBuffer = this.#free.length > 0 || this.#buffers < BUFFERS_MAX
    return !this.#isPaused && !this.#isClosed && hasBuffer
  }

  /** @returns True if the request is answered, so that the thread may stay. */
  #takeOne(): boolean {
    const buffer = this.#free.pop() ?? this.#newBuffer()
    const lengthBytes = this.#read(buffer)
    if (lengthBytes === 0) {
      this.#free.push(buffer)
      return true
    }
    buffer.lengthBytes = lengthBytes
    return required(this.#receiver, 'started').request(buffer)
  }

  #read(buffer: DeviceBuffer): number {
    try {
      return readSync(this.#init.fd, buffer.bytes)
    } catch (cause) {
      const code = codeOf(cause) ?? ''
      // The request was taken back before it was read.
      if (['EAGAIN', 'EINTR', 'ENOENT'].includes(code)) return 0
      const isOver = code === 'ENODEV' || code === 'ECONNABORTED'
      this.#close(
        isOver
          ? undefined
          : new NodeError<KernelErrorCode>('FUSE_DEVICE', 'read failed', { cause }),
      )
      return 0
    }
  }

  #newBuffer(): DeviceBuffer {
    this.#buffers++
    return new DeviceBuffer((buffer) => {
      const wasFull = this.#free.length === 0 && this.#buffers >= BUFFERS_MAX
      this.#free.push(buffer)
      if (wasFull) this.#burstSoon()
    })
  }

  #burstSoon(): void {
    if (!this.#isClosed) setImmediate(() => this.#burst())
  }

  #watch(): void {
    Atomics.store(this.#state, 0, WAIT_ARMED)
    Atomics.notify(this.#state, 0)
  }

  /** The connection is over: the thread ends, and only then the descriptor is closed, so that it watches no other. */
  #close(reason: NodeError | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    live.delete(this)
    Atomics.store(this.#state, 0, WAIT_STOP)
    Atomics.notify(this.#state, 0)
    const ended = (): void => {
      closeSync(this.#init.fd)
      this.#receiver?.connectionClosed(reason)
    }
    if (this.#worker) this.#worker.once('exit', ended)
    else ended()
  }
}

/** A buffer that comes back. */
class DeviceBuffer implements RequestBuffer {
  readonly bytes = Buffer.allocUnsafeSlow(REQUEST_BYTES_MAX)
  lengthBytes = 0
  readonly #back: (buffer: DeviceBuffer) => void

  constructor(back: (buffer: DeviceBuffer) => void) {
    this.#back = back
  }

  release(): void {
    this.#back(this)
  }
}

/** What is unmounted by path must be ours, not what somebody mounted over it. */
function showsAt(table: readonly MountEntry[], path: string, device: string): boolean {
  return table.findLast((entry) => entry.path === path)?.device === device
}

function abortAll(): void {
  for (const device of live) device.abortNow()
}
