/** Signed commitments as JSON, for files and for peers: bytes are hexadecimal strings. */
import { fromHex, toHex } from '../../base/bytes.ts'
import { NodeError } from '../../base/errors.ts'
import { nodeId, orderId } from '../../base/ids.ts'
import { fieldOf } from '../../base/json.ts'
import type { SignedCommitment } from '../../engines/audit/index.ts'

/** A {@link SignedCommitment} as JSON. */
export interface SignedJson {
  readonly node: number
  readonly order: number
  readonly slot: number
  readonly generation: number
  readonly units: number
  readonly root: string
  readonly epoch: number
  readonly mount: number
  readonly signature: string
}

/** Writes a commitment. */
export function signedToJson({ commitment, mount, signature }: SignedCommitment): SignedJson {
  const { root, ...rest } = commitment
  return { ...rest, root: toHex(root), mount, signature: toHex(signature) }
}

/**
 * Reads a commitment.
 *
 * @param value - From a peer, so not trusted, or from a file.
 * @returns It; what its numbers mean is for others to check.
 * @throws NodeError `AUDIT_REQUEST_INVALID` if it has not the form.
 */
export function signedFromJson(value: unknown): SignedCommitment {
  const number = (name: string) => {
    const field = fieldOf(value, name)
    if (typeof field === 'number' && Number.isSafeInteger(field) && field >= 0) return field
    throw invalid(name)
  }
  const bytes = (name: string, count: number) => {
    const field = fieldOf(value, name)
    if (typeof field !== 'string' || field.length > 2 * count + 2) throw invalid(name)
    return fromHex(field)
  }
  try {
    const commitment = {
      node: nodeId(number('node')),
      order: orderId(number('order')),
      slot: number('slot'),
      generation: number('generation'),
      units: number('units'),
      root: bytes('root', ROOT_BYTES),
      epoch: number('epoch'),
    }
    return { commitment, mount: number('mount'), signature: bytes('signature', SIGNATURE_BYTES) }
  } catch (caught) {
    if (caught instanceof NodeError && caught.code === 'AUDIT_REQUEST_INVALID') throw caught
    throw new NodeError('AUDIT_REQUEST_INVALID', 'a commitment is malformed', { cause: caught })
  }
}

const ROOT_BYTES = 32
const SIGNATURE_BYTES = 65

function invalid(name: string): NodeError {
  return new NodeError('AUDIT_REQUEST_INVALID', `"${name}" is missing or no such value`)
}
