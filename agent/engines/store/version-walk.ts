/**
 * Values by the serial under which they were written, whether their key still has them or not: what an audit needs, which asks
 * for what a namespace held some hours ago.
 *
 * Serials never change, also not when compaction moves a record, and the log alone says which value a key had at which serial.
 * So whoever remembers one number, the serial at which it began, gets the same list for ever: what was live then, and all
 * that was written since. That holds while compaction keeps what died since (`keptSince`).
 */
import { previousVersion } from './log-walk.ts'
import type { NamespaceLog } from './namespace-log.ts'
import { KIND_SET } from './record.ts'
import type { StoredRecord } from './record-reader.ts'
import type { FoundRecord } from './scan-segment.ts'
import { scanSegment } from './scan-segment.ts'
import { SEGMENT_HEADER_BYTES, type Segment } from './segment.ts'

/** A value that was written once. */
export interface WrittenVersion {
  readonly serial: number
  /** A copy. */
  readonly key: Uint8Array
  readonly valueBytes: number
}

/**
 * Walks what was live at a serial and all that was written from there on, in the order of writing, as far as it is durable.
 *
 * @param log - The log.
 * @param since - The serial at which the list begins: what was dead before it is left out.
 * @param from - Serial of the first value wanted.
 * @returns Values by ascending serial.
 * @throws NodeError `DISK_IO`, `LOG_RECORD_CORRUPT`.
 * @example
 * for (const { serial, key } of walkVersions(log, since, 0)) ...
 */
export function* walkVersions(
  log: NamespaceLog,
  since: number,
  from: number,
): Generator<WrittenVersion> {
  if (from >= log.durable) return
  log.flush()
  const { segments } = log
  for (const [at, segment] of segments.entries()) {
    const end = segments[at + 1]?.firstSerial ?? Number.POSITIVE_INFINITY
    if (end <= from) continue
    for (const found of scanSegment(segment.file, SEGMENT_HEADER_BYTES, { checkValues: false })) {
      if (found.kind !== 'record' || found.header.kind !== KIND_SET) continue
      const { serial, valueBytes } = found.header
      if (serial >= log.durable) return
      if (serial < from || (serial < since && !wasLiveAt(log, since, segment, found))) continue
      yield { serial, key: found.key.slice(), valueBytes }
    }
  }
}

/**
 * Finds a value by its serial.
 *
 * @param log - The log.
 * @param key - Its key.
 * @param serial - Under which it was written.
 * @returns The record, verified; undefined if the key had no such value, or compaction took it.
 * @throws NodeError `LOG_RECORD_CORRUPT`, `DISK_IO`.
 */
export function readVersion(
  log: NamespaceLog,
  key: Uint8Array,
  serial: number,
): StoredRecord | undefined {
  const entry = log.index.find(key, 0, key.byteLength)
  let place = entry < 0 ? undefined : log.placeOf(entry)
  while (place) {
    const header = log.records.headerAt(place.segment, place.offset)
    if (header.serial < serial) return undefined
    if (header.serial === serial) {
      return header.kind === KIND_SET
        ? log.records.rawRecord(place.segment, place.offset)
        : undefined
    }
    place = previousVersion(log, header, key)
  }
  return undefined
}

/** Whether a record, older than `since`, was the value of its key at `since`. */
function wasLiveAt(
  log: NamespaceLog,
  since: number,
  segment: Segment,
  { key, header, offset }: FoundRecord,
): boolean {
  const entry = log.index.find(key, 0, key.byteLength)
  // A key that the index forgot was deleted before anybody wanted to know.
  if (entry < 0) return false
  let place = log.placeOf(entry)
  if (place.segment === segment.number && place.offset === offset) return true
  const own = key.slice()
  for (;;) {
    const version = log.records.headerAt(place.segment, place.offset)
    if (version.serial < since) return version.serial === header.serial
    const earlier = previousVersion(log, version, own)
    if (!earlier) return false
    place = earlier
  }
}
