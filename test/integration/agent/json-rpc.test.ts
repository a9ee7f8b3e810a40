/** The JSON-RPC client against endpoints that misbehave on the wire. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { assert } from 'chai'
import { JsonRpc, RPC_RESPONSE_BYTES_MAX } from '../../../agent/adapters/chain/json-rpc.ts'
import { rpcLedger } from '../../../agent/adapters/chain/rpc-ledger.ts'
import { codeOf } from '../../../agent/base/errors.ts'

const signal = new AbortController().signal
const HASH = `0x${'ab'.repeat(32)}`

describe('the JSON-RPC client', () => {
  let server: Server
  let url: string
  let bodies: string[]
  let authorizations: (string | undefined)[]
  let reply: (body: string) => string | undefined
  let status: number
  let headers: Record<string, string>

  beforeEach(async () => {
    bodies = []
    authorizations = []
    status = 200
    headers = {}
    server = createServer(async (request, response) => {
      const parts: Buffer[] = []
      for await (const part of request) parts.push(part as Buffer)
      const body = Buffer.concat(parts).toString('utf8')
      bodies.push(body)
      authorizations.push(request.headers.authorization)
      const text = reply(body)
      if (text === undefined) request.socket.destroy()
      else response.writeHead(status, headers).end(text)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterEach(() => {
    server.closeAllConnections()
    server.close()
  })

  const echo = (body: string) => {
    const calls = JSON.parse(body)
    const answer = ({ id, method }: { id: number; method: string }) => ({ id, result: method })
    return JSON.stringify(Array.isArray(calls) ? calls.map(answer).reverse() : answer(calls))
  }
  const codeOfCall = (promise: Promise<unknown>) => promise.then(() => 'answered', codeOf)

  it('sends calls of one moment as one batch, and matches answers in any order', async () => {
    reply = echo
    const rpc = new JsonRpc(url)
    const names = ['a', 'b', 'c']
    assert.deepEqual(await Promise.all(names.map((name) => rpc.call(name, [], signal))), names)
    assert.lengthOf(bodies, 1)
    assert.equal(await rpc.call('d', [], signal), 'd')
    assert.isFalse(bodies[1]?.startsWith('['))
  })

  it('sends credentials as a header, and names the endpoint without them', async () => {
    reply = echo
    const rpc = new JsonRpc(url.replace('//', '//me:pass@'))
    await rpc.call('a', [], signal)
    assert.equal(authorizations[0], `Basic ${Buffer.from('me:pass').toString('base64')}`)
    assert.notInclude(rpc.name, 'pass')
  })

  // biome-ignore format: a table
  const BAD: [why: string, answer: string | undefined, want: string][] = [
    ['hangs up',                  undefined,                                                   'LEDGER_UNREACHABLE'],
    ['answers no JSON',           '<html>',                                                    'LEDGER_RESPONSE_INVALID'],
    ['answers without a result',  '{"id":1}',                                                  'LEDGER_RESPONSE_INVALID'],
    ['answers an error',          '{"id":1,"error":{"code":-32000,"message":"busy"}}',         'LEDGER_RPC_FAILED'],
    ['answers too much',          `{"id":1,"result":"${'x'.repeat(RPC_RESPONSE_BYTES_MAX)}"}`, 'LEDGER_RESPONSE_TOO_LARGE'],
  ]
  for (const [why, answer, want] of BAD) {
    it(`says ${want} when the endpoint ${why}`, async () => {
      reply = () => answer
      assert.equal(await codeOfCall(new JsonRpc(url).call('a', [], signal)), want)
    })
  }

  // biome-ignore format: a table
  const QUIET: [why: string, status: number, header: string | undefined, answer: string, fromMs: number, toMs: number][] = [
    ['429 and a number of seconds', 429, '7',                             'slow down',                                               6_500, 7_000],
    ['429 and a date long past',    429, 'Thu, 01 Jan 1970 00:00:00 GMT', '<html>',                                                      0,    10],
    ['429 and nothing',             429, undefined,                       '',                                                          500, 1_000],
    ['429 and years',               429, '999999',                        '',                                                      290_000, 300_000],
    ['503 and nonsense',            503, 'soon',                          '',                                                          500, 1_000],
    ['EIP-1474 "limit exceeded"',   200, undefined, '{"id":1,"error":{"code":-32005,"message":"limit exceeded"}}',                     500, 1_000],
  ]
  for (const [why, code, header, answer, fromMs, toMs] of QUIET) {
    it(`is quiet for as long as it was asked with ${why}`, async () => {
      status = code
      headers = header === undefined ? {} : { 'retry-after': header }
      reply = () => answer
      const rpc = new JsonRpc(url)
      const failure = await rpc.call('a', [], signal).catch((caught: unknown) => caught)
      assert.equal(codeOf(failure), 'LEDGER_RATE_LIMITED')
      const waitMs = (failure as { retryAfterMs: number }).retryAfterMs
      assert.isAtLeast(waitMs, fromMs)
      assert.isAtMost(waitMs, toMs)
      status = 200
      reply = echo
      if (toMs < 100) return
      // Nothing is sent meanwhile.
      assert.equal(await codeOfCall(rpc.call('b', [], signal)), 'LEDGER_RATE_LIMITED')
      assert.lengthOf(bodies, 1)
    })
  }

  it('says that an endpoint failed which answers with an HTTP error and no JSON', async () => {
    status = 502
    reply = () => '<html>'
    assert.equal(await codeOfCall(new JsonRpc(url).call('a', [], signal)), 'LEDGER_RPC_FAILED')
  })

  it('takes a transaction that is mined or known already for handed over', async () => {
    for (const message of ['nonce too low: next nonce 8, tx nonce 7', 'already known']) {
      reply = () => JSON.stringify({ id: 1, error: { code: -32_000, message } })
      assert.equal(await codeOfCall(rpcLedger(url, 'unchecked').send('0x02', signal)), 'answered')
    }
    reply = () => JSON.stringify({ id: 1, error: { code: -32_000, message: 'underpriced' } })
    assert.equal(
      await codeOfCall(rpcLedger(url, 'unchecked').send('0x02', signal)),
      'TRANSACTION_REFUSED',
    )
  })

  it('believes only answers of the asked form', async () => {
    const ledger = rpcLedger(url, 'unchecked')
    const answered = (result: unknown) => {
      reply = () => JSON.stringify({ id: 1, result })
    }
    const block = { number: '0x1', hash: HASH, parentHash: HASH, timestamp: '0x2' }
    answered(block)
    assert.deepEqual(await ledger.block('latest', signal), {
      ...{ number: 1, hash: HASH, parentHash: HASH, timestamp: 2 },
    })
    answered(null)
    assert.isUndefined(await ledger.block(7, signal))
    for (const wrong of [
      { ...block, hash: '0x12' },
      { ...block, number: 1 },
      'x',
      { ...block, number: `0x${'f'.repeat(20)}` },
    ]) {
      answered(wrong)
      assert.equal(await codeOfCall(ledger.block('latest', signal)), 'LEDGER_RESPONSE_INVALID')
    }
    const address = `0x${'1'.repeat(40)}`
    const log = { address, blockNumber: '0x5', blockHash: HASH, topics: [HASH], data: '0x' }
    const filter = { address, fromBlock: 5, toBlock: 6 }
    answered([log])
    assert.lengthOf(await ledger.logs(filter, signal), 1)
    for (const wrong of [
      { ...log, address: `0x${'2'.repeat(40)}` },
      { ...log, blockNumber: '0x7' },
    ]) {
      answered([wrong])
      assert.equal(await codeOfCall(ledger.logs(filter, signal)), 'LEDGER_RESPONSE_INVALID')
    }
  })

  it('tells a refusal of the contract from an empty purse', async () => {
    const ledger = rpcLedger(url, 'unchecked')
    const call = { from: HASH.slice(0, 42), to: HASH.slice(0, 42), data: '0x' }
    const refuse = (message: string, data?: unknown) => {
      reply = () => JSON.stringify({ id: 1, error: { code: 3, message, data } })
      return codeOfCall(ledger.estimateGas(call, signal))
    }
    assert.equal(await refuse('execution reverted', '0x12345678'), 'TRANSACTION_REVERTED')
    assert.equal(await refuse('failed', { data: '0x12345678' }), 'TRANSACTION_REVERTED')
    assert.equal(await refuse('insufficient funds for gas'), 'TRANSACTION_UNFUNDED')
    assert.equal(await refuse('header not found'), 'LEDGER_RPC_FAILED')
  })

  it('ends when it is aborted', async () => {
    reply = echo
    const end = new AbortController()
    end.abort()
    const caught = await new JsonRpc(url).call('a', [], end.signal).catch((one: unknown) => one)
    assert.equal(caught, end.signal.reason)
  })
})
