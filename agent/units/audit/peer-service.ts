/** What peers may ask the audit unit, over a stream whose other end the link has proved: a slot's era, a countersignature, a transcript. */
import type { Duplex } from 'node:stream'
import { toHex } from '../../base/bytes.ts'
import { NodeError } from '../../base/errors.ts'
import { type Account, orderId } from '../../base/ids.ts'
import { fieldOf } from '../../base/json.ts'
import { KIB } from '../../base/units.ts'
import { answerLines } from '../json-lines.ts'
import { prefacedPeer } from '../peer-preface.ts'
import type { AuditKeeper } from './audit-keeper.ts'
import { signedFromJson } from './signed-json.ts'

/** A signed commitment takes 500 bytes. */
const REQUEST_BYTES_MAX = 4 * KIB
/** A writer asks for one slot at a time. */
const PENDING_MAX = 4

/**
 * Answers one peer.
 *
 * @param socket - Just accepted, paused; its first line says who the peer is, as the links unit wrote it.
 * @param keeper - What knows the answers.
 */
export function servePeer(socket: Duplex, keeper: AuditKeeper): void {
  let peer: Account | undefined
  answerLines(socket, {
    ...{ lineBytesMax: REQUEST_BYTES_MAX, pendingMax: PENDING_MAX },
    preface(message) {
      peer = prefacedPeer(message)
      return peer !== undefined
    },
    async handle(method, params) {
      if (!peer) throw new NodeError('AUDIT_REQUEST_INVALID', 'nobody said who asks')
      return answer(keeper, peer, method, params)
    },
  })
  socket.once('end', () => socket.end())
  socket.resume()
}

async function answer(
  keeper: AuditKeeper,
  peer: Account,
  method: string,
  params: unknown,
): Promise<unknown> {
  switch (method) {
    case 'era': {
      const [order, slot, generation] = ['order', 'slot', 'generation'].map((name) =>
        numberOf(params, name),
      )
      return keeper.era(
        { order: orderId(order ?? 0), slot: slot ?? 0, generation: generation ?? 0 },
        peer,
        fieldOf(params, 'isFresh') === true,
      )
    }
    case 'commit': {
      const countersignature = await keeper.countersign(signedFromJson(params), peer)
      return { countersignature: toHex(countersignature) }
    }
    case 'transcript': {
      const bytes = keeper.transcript(numberOf(params, 'epoch'))
      return { transcript: bytes ? Buffer.from(bytes).toString('base64') : null }
    }
    default:
      throw new NodeError('AUDIT_REQUEST_INVALID', `there is no request ${method.slice(0, 40)}`)
  }
}

function numberOf(params: unknown, name: string): number {
  const field = fieldOf(params, name)
  if (typeof field === 'number' && Number.isSafeInteger(field) && field >= 0) return field
  throw new NodeError('AUDIT_REQUEST_INVALID', `"${name}" is missing or no such value`)
}
