/**
 * A namespace as one stream that can be verified: to move it to another store, or to keep it.
 *
 * A header of 64 bytes with the length of the JSON of its properties after it, padded to 8; then the newest record of each
 * key in the store's own format; then a footer of 64 bytes with their count and the root of a tree over them. Whoever
 * imports checks every record and the root, so nothing can be missing, added or changed unseen.
 */

import { bytesEqual } from '../../base/bytes.ts'
import type { DiskFile } from '../../base/disk.ts'
import { NodeError } from '../../base/errors.ts'
import { crc32c } from './crc32c.ts'
import { walkForward } from './log-walk.ts'
import type { Namespace } from './namespace.ts'
import type { NamespaceProperties } from './namespace-properties.ts'
import { RECORD_MAGIC, word32 } from './record.ts'
import { type FoundRecord, scanSegment } from './scan-segment.ts'
import type { LogStore } from './store.ts'
import { recordRoot } from './tree/record-root.ts'
import { RootAccumulator } from './tree/root-accumulator.ts'

const HEADER_MAGIC = Buffer.from('VRVEXP1\n', 'latin1')
const FOOTER_MAGIC = Buffer.from('VRVEND1\n', 'latin1')
const FRAME_BYTES = 64
const JSON_BYTES_MAX = 1024 * 1024
/** Records are written in pieces of about this size. */
const PIECE_BYTES = 1024 * 1024

/** What was moved. */
export interface ArchiveSummary {
  readonly name: string
  readonly records: number
  /** Of the tree over the records, hexadecimal. */
  readonly root: string
}

/**
 * Writes a namespace to a file.
 *
 * @param namespace - The namespace; nobody writes to it meanwhile.
 * @param file - An empty file.
 * @returns What was written; the file is durable.
 * @throws NodeError `LOG_RECORD_CORRUPT`, `DISK_*`.
 */
export async function exportNamespace(
  namespace: Namespace,
  file: DiskFile,
): Promise<ArchiveSummary> {
  const { log } = namespace
  const json = Buffer.from(JSON.stringify(portableProperties(namespace.properties)))
  const header = Buffer.alloc(FRAME_BYTES)
  HEADER_MAGIC.copy(header)
  header.writeUInt32LE(json.byteLength, 8)
  header.writeUInt32LE(crc32c(json, 0, json.byteLength), 12)
  header.writeUInt32LE(crc32c(header, 0, 60), 60)
  const padding = Buffer.alloc((8 - (json.byteLength % 8)) % 8)
  let pieces: Uint8Array[] = [header, json, padding]
  let pieceBytes = 0
  let end = 0
  const flush = () => {
    file.write(pieces, end)
    for (const piece of pieces) end += piece.byteLength
    pieces = []
    pieceBytes = 0
  }
  const tree = new RootAccumulator()
  for (const place of walkForward(log, undefined)) {
    const raw = log.records.rawRecord(place.segment, place.offset)
    pieces.push(raw.bytes)
    pieceBytes += raw.bytes.byteLength
    const { kind, timeSeconds } = raw.header
    tree.add(recordRoot({ kind, key: raw.key, value: raw.value, timeSeconds }))
    if (pieceBytes >= PIECE_BYTES) flush()
  }
  const root = tree.root()
  const footer = Buffer.alloc(FRAME_BYTES)
  FOOTER_MAGIC.copy(footer)
  footer.writeBigUInt64LE(BigInt(tree.size), 8)
  footer.set(root, 16)
  footer.writeUInt32LE(crc32c(footer, 0, 60), 60)
  pieces.push(footer)
  flush()
  await file.sync()
  return { name: namespace.name, records: tree.size, root: Buffer.from(root).toString('hex') }
}

/**
 * Makes a namespace out of a file that {@link exportNamespace} wrote.
 *
 * @param store - Where to; it has no namespace of the name.
 * @param file - The file.
 * @param name - Another name, if it is to have one.
 * @returns What was read; all of it is durable. Killed before, it leaves nothing: the store removes what is there of it when
 *   it is opened next, and the import can be started again.
 * @throws NodeError `LOG_ARCHIVE_INVALID` and leaves nothing behind, `LOG_NAMESPACE_EXISTS`, `DISK_*`.
 */
export async function importNamespace(
  store: LogStore,
  file: DiskFile,
  name?: string,
): Promise<ArchiveSummary> {
  const { properties, recordsStart } = readArchiveHeader(file)
  const { records, root } = readArchiveFooter(file)
  const wanted = name ?? properties.name
  const namespace = await store.create(wanted, { ...properties, name: wanted, isPartial: true })
  const tree = new RootAccumulator()
  try {
    const end = file.sizeBytes - FRAME_BYTES
    for (const found of scanSegment(file, recordsStart, { checkValues: true })) {
      if (found.offset >= end) break
      if (found.kind !== 'record' || !found.isIntact) throw invalid(`damage at ${found.offset}`)
      addRecord(namespace, found, tree)
    }
    if (tree.size !== records) throw invalid(`${tree.size} records instead of ${records}`)
    if (!bytesEqual(tree.root(), root)) throw invalid('the root is another')
    namespace.log.flush()
    while (namespace.log.isDirty) await namespace.log.makeDurable()
    if (namespace.log.failure) throw namespace.log.failure
    await namespace.change({ isPartial: false })
  } catch (caught) {
    await store.remove(namespace.name)
    throw caught
  }
  return { name: namespace.name, records, root: Buffer.from(root).toString('hex') }
}

/** Properties without what belongs to one store: passwords, rights, and the place in a family of copies. */
function portableProperties(properties: NamespaceProperties): Partial<NamespaceProperties> {
  const {
    password,
    writers,
    readers,
    logId,
    ancestors,
    isReplica,
    isReplicated,
    isPartial,
    ...portable
  } = properties
  return portable
}

function addRecord(namespace: Namespace, found: FoundRecord, tree: RootAccumulator): void {
  const { header, key, value } = found
  const { kind, timeSeconds } = header
  tree.add(recordRoot({ kind, key, value, timeSeconds }))
  const keyBytes = Buffer.from(key)
  const valueBytes = Buffer.from(value)
  namespace.restore(keyBytes, valueBytes, timeSeconds)
}

function readArchiveHeader(file: DiskFile): {
  properties: Partial<NamespaceProperties> & { name: string }
  recordsStart: number
} {
  const header = Buffer.alloc(FRAME_BYTES)
  const read = file.read(header, 0)
  const isSound =
    read === FRAME_BYTES &&
    HEADER_MAGIC.compare(header, 0, 8) === 0 &&
    crc32c(header, 0, 60) === word32(header, 60)
  const jsonBytes = header.readUInt32LE(8)
  if (!isSound || jsonBytes > JSON_BYTES_MAX) throw invalid('not an export of this store')
  const json = Buffer.alloc(jsonBytes)
  file.read(json, FRAME_BYTES)
  if (crc32c(json, 0, jsonBytes) !== header.readUInt32LE(12)) throw invalid('damaged properties')
  const properties = JSON.parse(json.toString('utf8')) as Partial<NamespaceProperties> & {
    name: string
  }
  return { properties, recordsStart: FRAME_BYTES + jsonBytes + ((8 - (jsonBytes % 8)) % 8) }
}

function readArchiveFooter(file: DiskFile): { records: number; root: Uint8Array } {
  const footer = Buffer.alloc(FRAME_BYTES)
  file.read(footer, Math.max(0, file.sizeBytes - FRAME_BYTES))
  const isSound =
    FOOTER_MAGIC.compare(footer, 0, 8) === 0 && crc32c(footer, 0, 60) === word32(footer, 60)
  if (!isSound || word32(footer, 0) === RECORD_MAGIC) throw invalid('the end is missing')
  return { records: Number(footer.readBigUInt64LE(8)), root: footer.subarray(16, 48) }
}

function invalid(problem: string): NodeError {
  return new NodeError('LOG_ARCHIVE_INVALID', problem)
}
