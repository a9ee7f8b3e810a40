/** What a forked ledger and its parent tell each other over the channel of the fork. */
import type { LedgerFigures } from './ledger.ts'

/** Asked by the parent; answered with the same `id`. */
export type DevnetRequest =
  | { readonly id: number; readonly method: 'figures' }
  | { readonly id: number; readonly method: 'advance'; readonly seconds: number }

/** Told by the ledger. */
export type DevnetMessage =
  | { readonly kind: 'ready'; readonly url: string; readonly chainId: number }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }
  | { readonly kind: 'answer'; readonly id: number; readonly figures: LedgerFigures }
  | { readonly kind: 'refusal'; readonly id: number; readonly message: string }
