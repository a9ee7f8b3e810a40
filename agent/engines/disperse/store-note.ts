/**
 * Notes that writers leave on a metadata store about the store itself, sealed like commits so that no store can make one.
 *
 * `filled`: the store in this slot and generation holds the whole history up to a commit. Only such a store counts for a quorum:
 * one that is empty, or stands in the place of another, knows nothing. `claim`: a writer of this epoch began; an older one that
 * finds it must not count on the store. `handover`: the writer of this epoch ended, all it had is on the stores.
 *
 * Plain bytes: 0x4e, version 1, kind, slot, generation, epoch, sequence; numbers LEB128. Sealed under sequence 0, which no commit has.
 */
import { ByteReader, ByteWriter } from '../../base/byte-codec.ts'
import { isNodeError } from '../../base/errors.ts'
import type { RecordSeal } from './ports.ts'

const MAGIC = 0x4e
const VERSION = 1
const KINDS = ['filled', 'claim', 'handover'] as const
const SEQUENCE = 0

/** See the file's comment. */
export interface StoreNote {
  readonly kind: (typeof KINDS)[number]
  readonly slot: number
  readonly generation: number
  /** Of the writer that left it. */
  readonly epoch: number
  /** Newest commit that the writer knew to be acknowledged. */
  readonly sequence: number
}

/** Seals a note. */
export function sealNote(seal: RecordSeal, note: StoreNote): Uint8Array {
  const plain = new ByteWriter()
    .byte(MAGIC)
    .byte(VERSION)
    .byte(KINDS.indexOf(note.kind))
    .integer(note.slot)
    .integer(note.generation)
    .integer(note.epoch)
    .integer(note.sequence)
    .finish()
  return seal.seal(SEQUENCE, plain)
}

/**
 * Opens a note.
 *
 * @returns Undefined unless it is an authentic note of that kind for that slot and generation.
 */
export function openNote(
  seal: RecordSeal,
  kind: StoreNote['kind'],
  place: { readonly index: number; readonly generation: number },
  sealed: Uint8Array | undefined,
): StoreNote | undefined {
  if (sealed === undefined) return undefined
  try {
    const reader = new ByteReader(seal.open(SEQUENCE, sealed), 'PACK_TABLE_INVALID')
    if (reader.byte() !== MAGIC || reader.byte() !== VERSION) return undefined
    if (KINDS[reader.byte()] !== kind) return undefined
    const slot = reader.integer(Number.MAX_SAFE_INTEGER)
    const generation = reader.integer(Number.MAX_SAFE_INTEGER)
    const epoch = reader.integer(Number.MAX_SAFE_INTEGER)
    const sequence = reader.integer(Number.MAX_SAFE_INTEGER)
    reader.end()
    if (slot !== place.index || generation !== place.generation) return undefined
    return { kind, slot, generation, epoch, sequence }
  } catch (caught) {
    if (isNodeError(caught)) return undefined
    throw caught
  }
}
