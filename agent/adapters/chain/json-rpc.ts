/**
 * A small JSON-RPC client over HTTP: calls made in one turn of the event loop travel as one batch, every request has a
 * time limit, and no answer may be longer than a limit.
 */
import { NodeError } from '../../base/errors.ts'

/** Time for one request: a public endpoint under load answers within it or not at all. */
export const RPC_TIMEOUT_MS = 5_000
/** Bytes of one answer: a page of orders with full specs is below 1 MiB, a page of logs below 4. */
export const RPC_RESPONSE_BYTES_MAX = 32 * 1024 * 1024
/** Calls of one batch: the common limit of public endpoints. */
export const RPC_BATCH_MAX = 50

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
  #queue: Pending[] = []
  #lastId = 0

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
   * @throws NodeError `LEDGER_UNREACHABLE`, `LEDGER_RESPONSE_INVALID`, `LEDGER_RESPONSE_TOO_LARGE`, or
   *   `LEDGER_RPC_FAILED` with the {@link RpcFailure} as `details.failure`.
   * @example
   * await rpc.call('eth_chainId', [], signal) // '0x7a69'
   */
  call(method: string, params: readonly unknown[], signal: AbortSignal): Promise<unknown> {
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
    const text = await this.#post(body, batch)
    const answers = parseAnswers(text)
    for (const [index, { id, method }] of requests.entries()) {
      const pending = batch[index]
      const found =
        answers.find((one) => one['id'] === id) ?? (answers.length === 1 ? answers[0] : {})
      settle(pending, method, found)
    }
  }

  async #post(body: string, batch: readonly Pending[]): Promise<string> {
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
      return await readLimited(response, this.name)
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

function parseAnswers(text: string): Record<string, unknown>[] {
  try {
    const value: unknown = JSON.parse(text)
    const list: unknown[] = Array.isArray(value) ? value : [value]
    return list.filter(
      (one): one is Record<string, unknown> => typeof one === 'object' && one !== null,
    )
  } catch (cause) {
    throw new NodeError('LEDGER_RESPONSE_INVALID', 'the endpoint did not answer JSON', { cause })
  }
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
