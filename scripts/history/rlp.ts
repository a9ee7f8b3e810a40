/**
 * Recursive length prefix, Ethereum's encoding, over byte ranges: items are found without being copied, because a history
 * file holds millions. Lengths are checked against the bytes that are there.
 */
import { NodeError } from '../../agent/base/errors.ts'

/** One item inside a larger encoding. */
export interface RlpItem {
  readonly isList: boolean
  /** The item with its prefix. */
  readonly raw: Uint8Array
  /** Bytes of a string, or the encoded items of a list. */
  readonly payload: Uint8Array
}

/**
 * Reads one item that takes all of the bytes.
 *
 * @param bytes - The encoding.
 * @throws NodeError `HISTORY_FRAMING` if it is malformed or followed by something.
 */
export function decodeRlp(bytes: Uint8Array): RlpItem {
  const item = itemAt(bytes, 0)
  if (item.raw.byteLength !== bytes.byteLength) {
    throw new NodeError('HISTORY_FRAMING', 'bytes behind an RLP item')
  }
  return item
}

/**
 * Reads the items of a list.
 *
 * @param list - An item that is a list.
 * @param countMax - Most items allowed.
 * @throws NodeError `HISTORY_FRAMING` if it is no list, malformed, or longer than allowed.
 */
export function rlpItems(list: RlpItem, countMax: number): RlpItem[] {
  if (!list.isList) throw new NodeError('HISTORY_FRAMING', 'expected an RLP list')
  const items: RlpItem[] = []
  for (let at = 0; at < list.payload.byteLength; ) {
    if (items.length === countMax) {
      throw new NodeError('HISTORY_FRAMING', `more than ${countMax} items in an RLP list`)
    }
    const item = itemAt(list.payload, at)
    items.push(item)
    at += item.raw.byteLength
  }
  return items
}

function itemAt(bytes: Uint8Array, at: number): RlpItem {
  const prefix = bytes[at]
  if (prefix === undefined) throw new NodeError('HISTORY_FRAMING', 'RLP ends too early')
  if (prefix < 0x80) return item(bytes, at, at, 1, false)
  if (prefix < 0xb8) return item(bytes, at, at + 1, prefix - 0x80, false)
  if (prefix < 0xc0) return longItem(bytes, at, prefix - 0xb7, false)
  if (prefix < 0xf8) return item(bytes, at, at + 1, prefix - 0xc0, true)
  return longItem(bytes, at, prefix - 0xf7, true)
}

function longItem(bytes: Uint8Array, at: number, lengthBytes: number, isList: boolean): RlpItem {
  const LENGTH_BYTES_MAX = 4
  if (lengthBytes > LENGTH_BYTES_MAX) throw new NodeError('HISTORY_FRAMING', 'an RLP item too long')
  let length = 0
  for (let byte = 1; byte <= lengthBytes; byte++) length = length * 256 + (bytes[at + byte] ?? 0)
  return item(bytes, at, at + 1 + lengthBytes, length, isList)
}

function item(
  bytes: Uint8Array,
  start: number,
  from: number,
  length: number,
  isList: boolean,
): RlpItem {
  const end = from + length
  if (end > bytes.byteLength) throw new NodeError('HISTORY_FRAMING', 'RLP ends too early')
  return { isList, raw: bytes.subarray(start, end), payload: bytes.subarray(from, end) }
}

/** Encodes a byte string. */
export function encodeRlpString(bytes: Uint8Array): Uint8Array {
  if (bytes.byteLength === 1 && (bytes[0] ?? 0) < 0x80) return bytes
  return Buffer.concat([prefixOf(0x80, bytes.byteLength), bytes])
}

/** Encodes a list of items that are encoded already. */
export function encodeRlpList(items: readonly Uint8Array[]): Uint8Array {
  const payload = Buffer.concat(items)
  return Buffer.concat([prefixOf(0xc0, payload.byteLength), payload])
}

/** Encodes a whole number without leading zeros. */
export function encodeRlpNumber(value: number | bigint): Uint8Array {
  const digits = value.toString(16)
  return encodeRlpString(
    value === 0 || value === 0n
      ? new Uint8Array()
      : Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex'),
  )
}

function prefixOf(base: number, length: number): Uint8Array {
  const SHORT_MAX = 55
  if (length <= SHORT_MAX) return Uint8Array.of(base + length)
  const digits = length.toString(16)
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex')
  return Buffer.concat([Uint8Array.of(base + SHORT_MAX + bytes.byteLength), bytes])
}
