/**
 * A small JSON-RPC client over HTTP: calls made in one turn of the event loop travel as one batch, every request has a
 * time limit, and no answer may be longer than a limit. An endpoint that asks for quiet gets it.
 */
import { Backoff } from '../../base/backoff.ts'
import { NodeError } from '../../base/errors.ts'

/** Time for one request: a public endpoint under load answers within it or not at all. */
export const RPC_TIMEOUT_MS = 5_000
/** Bytes of one answer: a page of orders with full specs is below 1 MiB, a page of logs below 4. */
export const RPC_RESPONSE_BYTES_MAX = 32 * 1024 * 1024
/** Calls of one batch: the common limit of public endpoints. */
export const RPC_BATCH_MAX = 50

/** Quiet for an endpoint that refuses requests without saying for how long. */
const QUIET_MS = { minMs: 1_000, maxMs: 60_000 }
/** An endpoint may ask for so much quiet at most: one that asks for days is as good as down. */
const QUIET_MS_MAX = 300_000
/** Codes of "too many requests" inside an answer: as of HTTP, and of EIP-1474. */
const LIMIT_CODES: ReadonlySet<number> = new Set([429, -32_005])

/** What an endpoint answered instead of a result. */
export interface RpcFailure {
  readonly code: number
  readonly message: string
  readonly data: unknown
}

interface Pending {
  readonly method: string
  readonly params: readonly unknown[]
  readonly signal: AbortSignal
  readonly answer: PromiseWithResolvers<unknown>
}

/** One endpoint. */
export class JsonRpc {
  /** Host and port, without path and credentials, which may hold keys. */
  readonly name: string
  readonly #url: string
  readonly #authorization: string | undefined
  readonly #backoff = new Backoff(QUIET_MS)
  #queue: Pending[] = []
  #lastId = 0
  /** Until then nothing is sent: milliseconds of `performance.now`. */
  #quietUntil = 0

  /**
   * @param url - `http://` or `https://`; credentials in it are sent as basic authorization.
   * @throws NodeError `CONFIG_INVALID` if it is anything else.
   */
  constructor(url: string) {
    const parsed = parseUrl(url)
    const { username, password } = parsed
    this.name = parsed.host
    this.#authorization =
      username === ''
        ? undefined
        : `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`
    parsed.username = ''
    parsed.password = ''
    this.#url = parsed.href
  }

  /**
   * Calls a method.
   *
   * @param method - Name of the method.
   * @param params - `[n]` parameters, as JSON.
   * @param signal - Aborts the wait.
   * @returns The result as the endpoint gave it.
   * @throws NodeError `LEDGER_UNREACHABLE`, `LEDGER_RATE_LIMITED` with `retryAfterMs`, `LEDGER_RESPONSE_INVALID`,
   *   `LEDGER_RESPONSE_TOO_LARGE`, or `LEDGER_RPC_FAILED` with the {@link RpcFailure} as `details.failure`.
   * @example
   * await rpc.call('eth_chainId', [], signal) // '0x7a69'
   */
  call(method: string, params: readonly unknown[], signal: AbortSignal): Promise<unknown> {
    const quietMs = this.#quietUntil - performance.now()
    if (quietMs > 0) return Promise.reject(this.#limited(quietMs))
    const answer = Promise.withResolvers<unknown>()
    if (this.#queue.length === 0) queueMicrotask(() => this.#flush())
    this.#queue.push({ method, params, signal, answer })
    return answer.promise
  }

  #flush(): void {
    const queue = this.#queue
    this.#queue = []
    for (let at = 0; at < queue.length; at += RPC_BATCH_MAX) {
      const batch = queue.slice(at, at + RPC_BATCH_MAX)
      this.#send(batch).catch((caught: unknown) => {
        for (const { answer } of batch) answer.reject(caught)
      })
    }
  }

  async #send(batch: readonly Pending[]): Promise<void> {
    const requests = batch.map(({ method, params }) => ({
      jsonrpc: '2.0',
      id: ++this.#lastId,
      method,
      params,
    }))
    const [first] = requests
    const body = JSON.stringify(requests.length === 1 ? first : requests)
    const answers = await this.#post(body, batch)
    if (answers.some(isLimit)) throw this.#quiet(undefined)
    this.#backoff.reset()
    for (const [index, { id, method }] of requests.entries()) {
      const pending = batch[index]
      const found =
        answers.find((one) => one['id'] === id) ?? (answers.length === 1 ? answers[0] : {})
      settle(pending, method, found)
    }
  }

  /** Keeps quiet from now on. @param header - What the endpoint asked for. */
  #quiet(header: string | undefined | null): NodeError {
    const ownMs = this.#backoff.next()
    const quietMs = Math.min(QUIET_MS_MAX, retryAfterMs(header) ?? ownMs)
    this.#quietUntil = performance.now() + quietMs
    return this.#limited(quietMs)
  }

  #limited(quietMs: number): NodeError {
    const seconds = Math.ceil(quietMs / 1000)
    return new NodeError('LEDGER_RATE_LIMITED', `${this.name} asks for ${seconds} s of quiet`, {
      retryAfterMs: quietMs,
    })
  }

  async #post(body: string, batch: readonly Pending[]): Promise<Record<string, unknown>[]> {
    const timeout = AbortSignal.timeout(RPC_TIMEOUT_MS)
    const [only] = batch
    const signals =
      batch.every(({ signal }) => signal === only?.signal) && only ? [only.signal] : []
    try {
      const response = await fetch(this.#url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(this.#authorization && { authorization: this.#authorization }),
        },
        body,
        redirect: 'error',
        signal: AbortSignal.any([timeout, ...signals]),
      })
      const text = await readLimited(response, this.name)
      if (response.status === 429 || response.status === 503) {
        throw this.#quiet(response.headers.get('retry-after'))
      }
      return parseAnswers(text, response.status)
    } catch (caught) {
      for (const signal of signals) signal.throwIfAborted()
      if (caught instanceof NodeError) throw caught
      throw new NodeError('LEDGER_UNREACHABLE', `no answer from ${this.name}`, {
        cause: timeout.aborted ? undefined : caught,
      })
    }
  }
}

function parseUrl(url: string): URL {
  const parsed = URL.parse(url)
  if (parsed && /^https?:$/.test(parsed.protocol)) return parsed
  throw new NodeError('CONFIG_INVALID', 'a ledger URL starts with http:// or https://', {
    hint: 'Give --ledger a URL such as http://127.0.0.1:8545.',
  })
}

async function readLimited(response: Response, name: string): Promise<string> {
  const parts: Uint8Array[] = []
  let lengthBytes = 0
  for await (const part of response.body ?? []) {
    lengthBytes += part.byteLength
    if (lengthBytes > RPC_RESPONSE_BYTES_MAX) {
      throw new NodeError(
        'LEDGER_RESPONSE_TOO_LARGE',
        `${name} sent more than ${lengthBytes} bytes`,
      )
    }
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

function parseAnswers(text: string, status: number): Record<string, unknown>[] {
  try {
    const value: unknown = JSON.parse(text)
    const list: unknown[] = Array.isArray(value) ? value : [value]
    return list.filter(
      (one): one is Record<string, unknown> => typeof one === 'object' && one !== null,
    )
  } catch (cause) {
    if (status >= 400) {
      throw new NodeError('LEDGER_RPC_FAILED', `the endpoint answered with HTTP ${status}`)
    }
    throw new NodeError('LEDGER_RESPONSE_INVALID', 'the endpoint did not answer JSON', { cause })
  }
}

/** What `Retry-After` asks for: seconds, or a date. */
function retryAfterMs(header: string | undefined | null): number | undefined {
  if (header === undefined || header === null) return undefined
  if (/^\d{1,6}$/.test(header)) return Number(header) * 1000
  const ms = Date.parse(header) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}

function isLimit(answer: Record<string, unknown>): boolean {
  return LIMIT_CODES.has(failureFrom(answer['error'])?.code ?? 0)
}

function settle(
  pending: Pending | undefined,
  method: string,
  answer: Record<string, unknown> | undefined,
): void {
  if (!pending) return
  if (answer && 'result' in answer) {
    pending.answer.resolve(answer['result'])
    return
  }
  const failure = failureFrom(answer?.['error'])
  pending.answer.reject(
    failure
      ? new NodeError('LEDGER_RPC_FAILED', `${method}: ${failure.message}`, {
          details: { failure },
        })
      : new NodeError('LEDGER_RESPONSE_INVALID', `${method} was not answered`),
  )
}

function failureFrom(value: unknown): RpcFailure | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const code: unknown = Reflect.get(value, 'code')
  const message: unknown = Reflect.get(value, 'message')
  return {
    code: typeof code === 'number' ? code : 0,
    message: (typeof message === 'string' ? message : 'failed').slice(0, 500),
    data: Reflect.get(value, 'data'),
  }
}
