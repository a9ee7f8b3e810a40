/** The door of the dispersal engine: packs over k + m stores, commits over the metadata stores, repair of both. */
import { Dispersal, type DispersalInit } from './dispersal.ts'

export type { Dispersal, DispersalInit, DispersalStatus } from './dispersal.ts'
export { DISPERSE_ERRORS, type DisperseErrorCode } from './errors.ts'
export { PACK_BYTES_MAX } from './pack-format.ts'
export type { OwnHistory, RecordPlace, RecordSeal, ShardStore, Slot } from './ports.ts'
export type { RepairProgress, ScrubResult } from './repairer.ts'
export { COMMIT_BYTES_MAX } from './replicated-log.ts'
export { SNAPSHOT_BYTES_MAX } from './snapshot-parts.ts'
export { shardBytesOf } from './stripe.ts'

/**
 * Joins the slots of a volume, with empty tables: those come with `section.restore` and `section.applyChanges`.
 *
 * @param init - The code, the slots, time, chance and a log.
 * @returns The dispersal: itself a pack store; `section` and `commits` are for the file system.
 * @example
 * const dispersal = openDispersal({ dataShards: 4, parityShards: 2, slots, clock, chance, log, isWriter: true })
 * const pack = await dispersal.write(bytes, signal)
 * dispersal.setSlots(slotsAfterReplace)
 * await dispersal.repair(signal)
 */
export function openDispersal(init: DispersalInit): Dispersal {
  return new Dispersal(init)
}
