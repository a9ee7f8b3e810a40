/** What can go wrong when a volume speaks to a store on another node. */
import type { ErrorCatalogue } from '../../base/errors.ts'

/** Codes of the failures of a remote store. */
export type StoreErrorCode = 'STORE_UNREACHABLE' | 'STORE_REFUSED' | 'STORE_FULL' | 'STORE_IO'

/** The catalogue of {@link StoreErrorCode}. */
export const STORE_ERRORS: ErrorCatalogue<StoreErrorCode> = {
  STORE_UNREACHABLE: {
    means: 'A store did not answer: no link, a link that broke, or no reply in time.',
    hint: 'It is tried again; the volume is repaired if the node stays away.',
  },
  STORE_REFUSED: {
    means: 'A store answered that this node may not do this, or that it has no such namespace.',
    hint: 'Its node may not have seen the order yet; it is tried again.',
  },
  STORE_FULL: {
    means: 'The namespace has reached its quota, or the disk of the store is full.',
    hint: 'Order a larger volume, or let the slot be replaced.',
  },
  STORE_IO: {
    means: 'The store found its own bytes damaged, or its disk failed.',
    hint: 'Other shards serve the read; the slot is repaired.',
  },
}
