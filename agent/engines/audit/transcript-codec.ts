/** Transcripts as bytes, to be kept and sent. What comes from others is checked for its form before anything is made of it. */

import { ByteReader, ByteWriter } from '../../base/byte-codec.ts'
import { NODE_BYTES } from '../../base/hash-blocks.ts'
import { nodeId, orderId } from '../../base/ids.ts'
import {
  SAMPLES_MAX,
  SIGNATURE_BYTES,
  SUM_LEVEL_BYTES,
  SUM_LEVELS_MAX,
  TRANSCRIPT_BYTES_MAX,
  UNIT_BYTES,
  UNITS_MAX,
} from './constants.ts'
import type { Entry } from './entry.ts'
import type { ShownSample, Transcript } from './transcript.ts'

const VERSION = 1
/** Openings are a head, a path of at most 20 levels through a shard, and a sum path. */
const OPENING_BYTES_MAX = 44 + 20 * NODE_BYTES + SUM_LEVELS_MAX * SUM_LEVEL_BYTES
/** A contract's signature (ERC-1271) may be longer than a key's. */
const SIGNATURE_BYTES_MAX = 1024
const SAMPLE_BYTES_MIN = 2 * UNIT_BYTES + 2
const ENTRY_BYTES_MIN = NODE_BYTES + SIGNATURE_BYTES
const U16_MAX = 0xffff
const U32_MAX = 0xffffffff

/**
 * Writes a transcript.
 *
 * @param transcript - As many states as samples.
 * @returns At most {@link TRANSCRIPT_BYTES_MAX} bytes.
 * @example
 * await stream.write(encodeTranscript(transcript))
 */
export function encodeTranscript(transcript: Transcript): Uint8Array {
  const writer = new ByteWriter().byte(VERSION).integer(transcript.node).integer(transcript.epoch)
  writer.integer(transcript.entries.length)
  for (const entry of transcript.entries) writeEntry(writer, entry)
  writer.integer(transcript.samples.length)
  transcript.samples.forEach((sample, at) => {
    writer.bytes(transcript.states[at] ?? new Uint8Array(NODE_BYTES))
    writer.bytes(sample.earlier).bytes(sample.unit).integer(sample.entry)
    writer.integer(sample.opening.byteLength).bytes(sample.opening)
  })
  return writer.finish()
}

/**
 * Reads a transcript.
 *
 * @param bytes - Not trusted.
 * @returns The transcript, well formed; nothing in it was checked.
 * @throws NodeError `AUDIT_TRANSCRIPT_MALFORMED`.
 * @example
 * const doubts = await verifyTranscript({ ...claim, transcript: decodeTranscript(bytes) })
 */
export function decodeTranscript(bytes: Uint8Array): Transcript {
  const reader = new ByteReader(bytes, 'AUDIT_TRANSCRIPT_MALFORMED')
  if (bytes.byteLength > TRANSCRIPT_BYTES_MAX) throw reader.fault('it is too long')
  if (reader.byte() !== VERSION) throw reader.fault('another version')
  const node = nodeId(atLeastOne(reader))
  const epoch = reader.integer(U32_MAX)
  const entries = Array.from({ length: reader.count(ENTRY_BYTES_MIN) }, () => readEntry(reader))
  const count = reader.count(SAMPLE_BYTES_MIN)
  if (count < 1 || count > SAMPLES_MAX) throw reader.fault(`${count} samples`)
  const states: Uint8Array[] = []
  const samples: ShownSample[] = []
  for (let at = 0; at < count; at++) {
    states.push(reader.bytes(NODE_BYTES).slice())
    samples.push({
      earlier: reader.bytes(NODE_BYTES).slice(),
      unit: reader.bytes(UNIT_BYTES).slice(),
      entry: reader.integer(Math.max(0, entries.length - 1)),
      opening: reader.bytes(reader.integer(OPENING_BYTES_MAX)).slice(),
    })
  }
  if (entries.length === 0) throw reader.fault('samples without slots')
  reader.end()
  return { node, epoch, states, samples, entries }
}

function writeEntry(writer: ByteWriter, entry: Entry): void {
  const { node, order, slot, generation, units, root, epoch } = entry.commitment
  writer.integer(node).integer(order).integer(slot).integer(generation)
  writer.integer(units).bytes(root).integer(epoch).integer(entry.mount)
  writer.integer(entry.signature.byteLength).bytes(entry.signature)
  writer.integer(entry.path.byteLength).bytes(entry.path)
}

function readEntry(reader: ByteReader): Entry {
  return {
    commitment: {
      node: nodeId(atLeastOne(reader)),
      order: orderId(atLeastOne(reader, Number.MAX_SAFE_INTEGER)),
      slot: reader.integer(U16_MAX),
      generation: reader.integer(U16_MAX),
      units: reader.integer(UNITS_MAX),
      root: reader.bytes(NODE_BYTES).slice(),
      epoch: reader.integer(U32_MAX),
    },
    mount: reader.integer(Number.MAX_SAFE_INTEGER),
    signature: reader.bytes(reader.integer(SIGNATURE_BYTES_MAX)).slice(),
    path: reader.bytes(reader.integer(SUM_LEVELS_MAX * SUM_LEVEL_BYTES)).slice(),
  }
}

function atLeastOne(reader: ByteReader, max = U32_MAX): number {
  const value = reader.integer(max)
  if (value < 1) throw reader.fault('a number from 1 is 0')
  return value
}
