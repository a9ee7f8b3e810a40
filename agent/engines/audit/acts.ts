/** What can be asked of the contract, with the arguments as it takes them; nothing else comes out of this engine. */
import type { Account, NodeId } from '../../base/ids.ts'
import type { Entry } from './entry.ts'
import type { Location } from './transcript.ts'

/** One act: a method of `IAudits` and its arguments. */
export type AuditAct =
  | { readonly method: 'draw'; readonly args: readonly [] }
  | { readonly method: 'commit'; readonly args: readonly [root: Uint8Array, units: number] }
  | { readonly method: 'setAggregator'; readonly args: readonly [aggregator: Account] }
  | {
      readonly method: 'postDigest'
      readonly args: readonly [epoch: number, digest: Uint8Array]
    }
  | {
      readonly method: 'postDigests'
      readonly args: readonly [epoch: number, group: number, root: Uint8Array, members: bigint]
    }
  | {
      readonly method: 'openSample'
      readonly args: readonly [epoch: number, node: NodeId, entry: Entry, opening: Uint8Array]
    }
  | {
      readonly method: 'markMissed'
      readonly args: readonly [epoch: number, nodes: readonly NodeId[]]
    }
  | {
      readonly method: 'challenge'
      readonly args: readonly [node: NodeId, epoch: number, sample: number]
    }
  | {
      readonly method: 'challengeLocated'
      readonly args: readonly [node: NodeId, epoch: number, sample: number, location: Location]
    }
  | {
      readonly method: 'proveBroken'
      readonly args: readonly [
        node: NodeId,
        epoch: number,
        sample: number,
        location: Location,
        prior: Uint8Array,
        priorPath: readonly Uint8Array[],
      ]
    }
  | {
      readonly method: 'demand'
      readonly args: readonly [entry: Entry, countersignature: Uint8Array]
    }
  | {
      readonly method: 'locate'
      readonly args: readonly [dispute: number, location: Location]
    }
  | {
      readonly method: 'answer'
      readonly args: readonly [dispute: number, opening: Uint8Array]
    }
  | { readonly method: 'show'; readonly args: readonly [dispute: number, entry: Entry] }
  | { readonly method: 'expire'; readonly args: readonly [dispute: number] }
  | { readonly method: 'collect'; readonly args: readonly [dispute: number] }
