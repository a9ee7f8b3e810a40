/**
 * Plans a keeper's acts: marking who missed an epoch, ending disputes that nobody answered, and crediting the bonds of those
 * that this node did answer.
 *
 * Pure. Everything was looked at in a final block just before, so whom another keeper marked is not marked again; what two send at
 * once costs the later one its gas and does no harm.
 */
import type { AuditFacts, WantedTransaction } from '../ledger/types.ts'

/** Nodes marked in one call: 170k gas each at most, a sixth of a block. */
const MARKED_PER_CALL = 32
/** Whoever opened a dispute earns by ending it; others do it only if it was left lying. */
const LEFT_LYING_SECONDS = 300

/** An act of a keeper, before it is encoded. */
export type KeeperAct =
  | { readonly method: 'markMissed'; readonly args: readonly [number, readonly number[]] }
  | { readonly method: 'expire' | 'collect'; readonly args: readonly [number] }

/** What the planner looks at. */
export interface KeepersWorld {
  readonly facts: AuditFacts
  /** The ledger's time at the newest head, seconds. */
  readonly now: number
  /** Encodes an act for the contract. */
  readonly encode: (act: KeeperAct) => string
}

/**
 * Computes a keeper's acts.
 *
 * @param world - The ledger.
 * @returns Transactions; each names what it is about in its id.
 * @example
 * planKeeping({ facts, now, encode }).map(({ why }) => why)
 */
export function planKeeping({ facts, now, encode }: KeepersWorld): readonly WantedTransaction[] {
  const { audits, others, answered, epoch } = facts
  const want = (what: string, why: string, act: KeeperAct): WantedTransaction => ({
    id: `audit/4/${what}`,
    call: { method: 'audit', audits, act: encode(act) },
    why,
  })
  const suspects = others && others.epoch + 1 === epoch?.number ? others.suspects : []
  const marks = suspects.slice(0, MARKED_PER_CALL)
  const marking =
    others && marks.length > 0
      ? [
          want(`mark/${others.epoch}/${marks.join('.')}`, `they missed epoch ${others.epoch}`, {
            method: 'markMissed',
            args: [others.epoch, marks],
          }),
        ]
      : []
  const lying = (others?.waiting ?? []).filter(
    ({ deadline }) => now > deadline + LEFT_LYING_SECONDS,
  )
  return [
    ...marking,
    ...lying.map(({ id }) =>
      want(`expire/${id}`, `nobody answered dispute ${id}`, { method: 'expire', args: [id] }),
    ),
    ...answered.map((id) =>
      want(`collect/${id}`, `dispute ${id} was answered`, { method: 'collect', args: [id] }),
    ),
  ]
}
