/** The roots of a stretch of a segment, some thousands of records at a time: the work that a thread does for the tree. */
import type { Disk } from '../../../base/disk.ts'
import type { RootBatch, RootHasher, RootJob } from '../ports.ts'
import { scanSegment } from '../scan-segment.ts'
import { RootBuilder } from './root-builder.ts'

/** Records of one job at most, and bytes of their segment, so that a job takes some milliseconds. */
const JOB_RECORDS_MAX = 8192
const JOB_BYTES_MAX = 4 * 1024 * 1024

/**
 * Hashes the records of a stretch of a segment, up to some thousands.
 *
 * @param disk - The store's disk.
 * @param job - Which stretch.
 * @returns Roots, and where to go on.
 * @throws NodeError `DISK_*`.
 */
export function computeRoots(disk: Disk, job: RootJob): RootBatch {
  const file = disk.open(job.path, 'read')
  try {
    const batch = new RootBuilder()
    let endOffset = job.fromOffset
    let next = job.firstSerial
    for (const found of scanSegment(file, job.fromOffset, { checkValues: true })) {
      if (found.offset >= job.toOffset) break
      endOffset = found.offset + found.bytes
      if (found.kind !== 'record' || found.header.serial < next) continue
      for (; next < found.header.serial; next++) batch.addMissing()
      if (found.isIntact)
        batch.add(found.header.kind, found.key, found.value, found.header.timeSeconds)
      else batch.addMissing()
      next++
      if (batch.count >= JOB_RECORDS_MAX || endOffset - job.fromOffset >= JOB_BYTES_MAX) break
    }
    return { roots: batch.finish(), endOffset: Math.min(endOffset, job.toOffset) }
  } finally {
    file.close()
  }
}

/**
 * Hashes on the thread that asks.
 *
 * @param disk - The store's disk.
 * @returns The port, for tests and where there is no second thread.
 */
export function inlineRootHasher(disk: Disk): RootHasher {
  return { roots: async (job) => computeRoots(disk, job) }
}
