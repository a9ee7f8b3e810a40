/** Requests to a ledger that end in time, also where it sends its answer byte by byte and never the last one. */
import { FetchRequest, makeError } from 'ethers'
import { wait } from './node/wait.ts'

/**
 * Makes a request.
 *
 * @param url - RPC of the ledger.
 * @param answerMsMax - Milliseconds after which a whole answer must be there; ethers itself only limits its pauses.
 * @returns The request, and its copies, throw ethers' `TIMEOUT` after that.
 */
export function ledgerRequest(url: string, answerMsMax: number): FetchRequest {
  const request = new FetchRequest(url)
  request.timeout = answerMsMax
  const getUrl = FetchRequest.createGetUrlFunc()
  request.getUrlFunc = async (asked, signal) => {
    const answered = new AbortController()
    const late = wait(answerMsMax, answered.signal).then(() => {
      throw makeError('request timeout', 'TIMEOUT', {
        ...{ operation: 'request.send', reason: 'timeout', request: asked },
      })
    })
    // Aborted once the answer is there, which nobody waits for then.
    late.catch(() => undefined)
    return await Promise.race([getUrl(asked, signal), late]).finally(() => answered.abort())
  }
  return request
}
