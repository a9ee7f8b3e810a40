/**
 * A small process that holds a mount's connection to the kernel, so that the mount outlives the process that serves it.
 *
 * The unit hands it copies of its descriptors; a unit that starts again asks for them and goes on. Programs that use the mount
 * wait meanwhile. If nobody comes in time the holder lets go, and the kernel tells the programs ENOTCONN. It knows nothing of
 * what it holds: the connection and the memory of the last change today, backing files of kernel passthrough later.
 */
import { closeSync, mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { SECOND_MS } from '../../base/units.ts'
import {
  acceptForDescriptors,
  connectForDescriptors,
  listenForDescriptors,
  readable,
  receiveDescriptors,
  sendDescriptors,
} from './descriptor-socket.ts'

/** How long programs wait for the next unit: a few starts with back-off; then an error is kinder than silence. */
export const HOLD_MS = 60 * SECOND_MS
/** A holder answers at once or is gone. */
const ANSWER_MS_MAX = 10 * SECOND_MS

/** What a holder holds. */
export interface Held {
  /** Whatever the unit needs to know again; a small JSON object. */
  readonly state: object
  readonly descriptors: readonly number[]
}

/** What a unit that takes over is given. */
export interface Taken<State> {
  readonly state: State
  /** Copies, the unit's to close. */
  readonly descriptors: readonly number[]
  /** How long nobody served. */
  readonly gapMs: number
}

type Request = { readonly do: 'put'; readonly state: object } | { readonly do: 'take' | 'drop' }

/**
 * Runs a holder until its unit took the mount away and ended, or nobody serves for too long. Blocks its process.
 *
 * @param socketPath - Where units ask; a dead socket there is replaced.
 * @param holdMs - See {@link HOLD_MS}.
 */
export function runFuseHolder(socketPath: string, holdMs = HOLD_MS): void {
  if (isFuseHolderThere(socketPath)) return
  mkdirSync(dirname(socketPath), { recursive: true, mode: 0o700 })
  rmSync(socketPath, { force: true })
  const listener = listenForDescriptors(socketPath)
  if (listener === undefined) return
  let connections: number[] = []
  let held: Held | undefined
  let owner: number | undefined
  let wasPut = false
  let ownerlessAt = performance.now()

  const letGo = (): void => {
    for (const fd of held?.descriptors ?? []) closeSync(fd)
    held = undefined
  }
  const serve = (connection: number): void => {
    const message = receiveDescriptors(connection)
    if (!message) {
      connections = connections.filter((other) => other !== connection)
      closeSync(connection)
      if (owner === connection) owner = undefined
      ownerlessAt = performance.now()
      return
    }
    const request = JSON.parse(message.bytes.toString()) as Request
    const answer = (body: object, descriptors: readonly number[] = []) =>
      sendDescriptors(connection, { bytes: Buffer.from(JSON.stringify(body)), descriptors })
    if (request.do === 'put') {
      letGo()
      held = { state: request.state, descriptors: message.descriptors }
      owner = connection
      wasPut = true
      answer({})
    } else if (request.do === 'take') {
      const gapMs = owner === undefined ? performance.now() - ownerlessAt : 0
      answer(held ? { state: held.state, gapMs } : {}, held?.descriptors)
    } else {
      letGo()
      answer({})
    }
  }
  /** Nobody serves what is held; or nothing is held and no unit is there that might. */
  const isIdle = (): boolean => (held ? owner === undefined : connections.length === 0)

  for (;;) {
    const leftMs = isIdle() ? Math.max(0, holdMs - (performance.now() - ownerlessAt)) : -1
    if (leftMs === 0) {
      letGo()
      if (connections.length === 0) break
      continue
    }
    const ready = readable([listener, ...connections], leftMs)
    if (ready.includes(listener)) {
      const connection = acceptForDescriptors(listener)
      if (connection !== undefined) connections.push(connection)
    }
    const hadConnections = connections.length > 0
    for (const fd of ready) if (fd !== listener) serve(fd)
    // The unit took its mount away and ended.
    if (hadConnections && connections.length === 0 && !held && wasPut) break
  }
  rmSync(socketPath, { force: true })
}

/** Whether a holder listens at a path. */
export function isFuseHolderThere(socketPath: string): boolean {
  const connection = connectForDescriptors(socketPath)
  if (connection === undefined) return false
  closeSync(connection)
  return true
}

/** A unit's end. Its connection stays open while it serves: that is how the holder sees it die. */
export class FuseHolderClient {
  readonly #socketPath: string
  #connection: number | undefined

  constructor(socketPath: string) {
    this.#socketPath = socketPath
  }

  /** Copies of what is held; `put` says that they are served. @returns Undefined if there is no holder, or it holds nothing. */
  take<State>(): Taken<State> | undefined {
    const answer = this.#ask({ do: 'take' }, [])
    if (!answer || !('state' in answer.body)) return undefined
    const { state, gapMs } = answer.body as { state: State; gapMs: number }
    return { state, gapMs, descriptors: answer.descriptors }
  }

  /** Gives copies to the holder in the place of what it held. @returns False if there is no holder. */
  put({ state, descriptors }: Held): boolean {
    return this.#ask({ do: 'put', state }, descriptors) !== undefined
  }

  /** Has the holder let go. It ends when this process does. */
  drop(): void {
    this.#ask({ do: 'drop' }, [])
  }

  #ask(
    request: Request,
    descriptors: readonly number[],
  ): { body: object; descriptors: readonly number[] } | undefined {
    this.#connection ??= connectForDescriptors(this.#socketPath)
    const fd = this.#connection
    if (fd === undefined) return undefined
    const bytes = Buffer.from(JSON.stringify(request))
    const isAnswered =
      sendDescriptors(fd, { bytes, descriptors }) && readable([fd], ANSWER_MS_MAX).length > 0
    const answer = isAnswered ? receiveDescriptors(fd) : undefined
    if (answer) {
      return { body: JSON.parse(answer.bytes.toString()), descriptors: answer.descriptors }
    }
    this.close()
    return undefined
  }

  /** Ends the connection, as the death of this process would. */
  close(): void {
    if (this.#connection !== undefined) closeSync(this.#connection)
    this.#connection = undefined
  }
}
