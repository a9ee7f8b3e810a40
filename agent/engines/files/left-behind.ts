/**
 * What a mount that once wrote still has on its disk and never got to the stores: shown by the read-only mount that took its
 * place, until the journal is put aside or the order's data goes.
 */
import { bytesEqual } from '../../base/bytes.ts'
import { isNodeError } from '../../base/errors.ts'
import { openVersion } from './history.ts'
import { JOURNAL_DIRECTORY, Journal, RECORD_HEADER_BYTES } from './journal.ts'
import { LocalArchive, putAside } from './local-archive.ts'
import type { VolumePorts } from './volume-options.ts'

/**
 * Bytes of records in the local journal that no commit on the stores covers.
 *
 * @returns 0 if this disk never wrote, or all of it reached a store; what stores cannot be asked about now counts.
 * @throws NodeError `DISK_*`.
 */
export async function leftBehind(ports: VolumePorts, signal: AbortSignal): Promise<number> {
  const { disk, log, clock } = ports
  if (!disk.exists(JOURNAL_DIRECTORY)) return 0
  const { journal } = Journal.open(disk, log, (paths) => {
    putAside(disk, `damaged-${clock.now()}`, paths)
  })
  const archive = LocalArchive.open(disk)
  try {
    const cut = await dispersedTo(ports, journal, archive, signal)
    let bytes = 0
    journal.replay(cut, (payload) => {
      bytes += RECORD_HEADER_BYTES + payload.byteLength
    })
    if (bytes > 0) log.error({ bytes, path: JOURNAL_DIRECTORY }, 'bytes never reached the stores')
    return bytes
  } finally {
    journal.close()
    archive.close()
  }
}

/** Where the newest commit of this journal that reached a store ends; one is saved here before it is sent. */
async function dispersedTo(
  { commits, sealer }: VolumePorts,
  journal: Journal,
  archive: LocalArchive,
  signal: AbortSignal,
): Promise<number> {
  const { base } = journal
  for (let sequence = archive.lastSequence; base && sequence > base.sequence; sequence--) {
    const sealed = archive.commit(sequence)
    if (!sealed) break
    const link = openVersion(sequence, sealed, sealer)
    if (!link || !bytesEqual(link.commit.journalId, base.id)) continue
    const remote = await commits.read(sequence, signal).catch((caught: unknown) => {
      signal.throwIfAborted()
      if (isNodeError(caught)) return []
      throw caught
    })
    // Commits before the newest were acknowledged, or the newest would not be; old ones are pruned.
    const isNewest = sequence === archive.lastSequence
    if (!isNewest || remote.some((other) => bytesEqual(other, sealed))) return link.commit.cut
  }
  return 0
}
