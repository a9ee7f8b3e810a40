/** Brings what planners want onto the chain, the most urgent first. */
import type { GridPin, SentTransaction, WantedTransaction } from '../ledger/types.ts'
import type { Controller } from './controller.ts'

/** Sends transactions. Satisfied by `ledger/sender.ts`. */
export interface TransactionSending {
  /** Does the next thing that is to be done. @returns The records to persist before the next call. */
  step(
    wanted: readonly WantedTransaction[],
    sent: readonly SentTransaction[],
    ledger: { readonly pin: GridPin; readonly finalNumber: number },
    signal: AbortSignal,
  ): Promise<readonly SentTransaction[]>
}

/** Should a block go by unseen. */
const PERIOD_MS = 10_000

type In =
  | 'ledger.cursor'
  | 'ledger.status'
  | 'transaction.registration'
  | 'transaction.heartbeat'
  | 'transaction.audit'
  | 'transaction.repair'
  | 'transaction.sent'

/**
 * Makes the controller of transactions.
 *
 * @param ports.sender - What sends them.
 * @returns A controller that looks at one that is not mined yet once a block.
 */
export function transactionsController(ports: {
  readonly sender: TransactionSending
}): Controller<In, 'transaction.sent'> {
  return {
    name: 'transactions',
    inputs: [
      'ledger.cursor',
      'ledger.status',
      'transaction.registration',
      'transaction.heartbeat',
      'transaction.audit',
      'transaction.repair',
      'transaction.sent',
    ],
    // Its own records wake it: what was persisted is sent at once.
    quietInputs: ['ledger.cursor'],
    outputs: ['transaction.sent'],
    periodMs: PERIOD_MS,
    async reconcile(view, signal) {
      const [cursor] = view.list('ledger.cursor')
      if (!cursor) return
      const wanted = [
        ...view.list('transaction.registration'),
        ...view.list('transaction.heartbeat'),
        ...view.list('transaction.audit'),
        ...view.list('transaction.repair'),
      ]
      const ledger = { pin: cursor.pin, finalNumber: cursor.block.number }
      const sent = view.list('transaction.sent')
      view.replace('transaction.sent', await ports.sender.step(wanted, sent, ledger, signal))
    },
  }
}
