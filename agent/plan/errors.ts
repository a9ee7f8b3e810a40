/** Why an order or a registration is not served: values in plans, shown to tenants and farmers, never thrown. */
import type { ErrorCatalogue } from '../base/errors.ts'
import type { OrderRefusalCode } from '../ledger/types.ts'

/** Why a mount order is not served. */
export type MountRefusalCode =
  | 'MOUNT_NAME_INVALID'
  | 'MOUNT_DUPLICATE'
  | 'MOUNT_NESTED'
  | 'MOUNT_VOLUME_MISSING'
  | 'MOUNT_VOLUME_ENDED'
  | 'MOUNT_VOLUME_SUSPENDED'
  | 'MOUNT_KEY_UNREADABLE'
  | 'MOUNT_KEY_WRONG'
  | 'MOUNT_SLOT_UNKNOWN'

/** Why a node is not in the registry as configured. */
export type RegistrationCode =
  | 'REGISTRATION_LEDGER_UNREAD'
  | 'REGISTRATION_NOT_SPONSORED'
  | 'REGISTRATION_STAKE_TOO_LOW'
  | 'REGISTRATION_ADDRESS_INVALID'
  | 'REGISTRATION_EXITED'

/** Why this node does not say that it serves. */
export type HeartbeatCode =
  | 'HEARTBEAT_VIEW_STALE'
  | 'HEARTBEAT_STORE_NOT_SERVING'
  | 'HEARTBEAT_DISK_UNWRITABLE'

export const PLAN_REFUSALS: ErrorCatalogue<
  MountRefusalCode | RegistrationCode | OrderRefusalCode | HeartbeatCode
> = {
  HEARTBEAT_VIEW_STALE: {
    means:
      'The ledger has not been followed for too long, so the node does not say that it serves.',
    hint: 'See the ledger in the status; heartbeats go on once it is followed.',
  },
  HEARTBEAT_STORE_NOT_SERVING: {
    means: 'A slot that orders have here is not served, so the node does not say that it serves.',
    hint: 'See the units and their messages in the status; heartbeats go on once every slot is served.',
  },
  HEARTBEAT_DISK_UNWRITABLE: {
    means: 'The disk takes no writes, so the node does not say that it serves.',
    hint: 'Make room or replace the disk; heartbeats go on once it takes writes.',
  },
  ORDER_KIND_UNSUPPORTED: {
    means: 'This agent does not know orders of that kind.',
    hint: 'Cancel the order, or wait for a release that supports it.',
  },
  ORDER_SPEC_UNDECODABLE: {
    means: 'The spec of the order is not what its kind asks for.',
    hint: 'Cancel the order and place it anew with the client.',
  },
  ORDER_SPEC_VERSION_UNSUPPORTED: {
    means: 'The spec of the order has a version that this agent does not know.',
    hint: 'Place it with a client of the grid’s release.',
  },
  ORDER_SPEC_INVALID: {
    means: 'The spec of the order contradicts itself or its slots.',
    hint: 'See the message; cancel the order and place it anew.',
  },
  MOUNT_NAME_INVALID: {
    means: 'The name of the mount does not lead to a path below the mount root.',
    hint: 'Use segments of letters, digits, `.`, `_`, `-`, joined by `/`, none of them `.` or `..`.',
  },
  MOUNT_DUPLICATE: {
    means: 'Another order is mounted at the same path of this node.',
    hint: 'Cancel one of the two, or choose another name.',
  },
  MOUNT_NESTED: {
    means: 'Another order is mounted above or below that path of this node.',
    hint: 'Choose a name beside it.',
  },
  MOUNT_VOLUME_MISSING: {
    means: 'The volume of the mount is not on the ledger, or cannot be read.',
    hint: 'See the status of the volume’s order.',
  },
  MOUNT_VOLUME_ENDED: {
    means: 'The volume of the mount has ended.',
    hint: 'Cancel the mount; its data is gone or will be after the grace.',
  },
  MOUNT_VOLUME_SUSPENDED: {
    means: 'The volume of the mount is past its paid time.',
    hint: 'Extend the volume: it comes back by itself.',
  },
  MOUNT_KEY_UNREADABLE: {
    means: 'The volume key in the spec is not sealed to this node and volume.',
    hint: 'Place the mount anew with the client, which seals the key to the node.',
  },
  MOUNT_KEY_WRONG: {
    means: 'The key in the spec is not the one that the volume was made with.',
    hint: 'Place the mount with the wallet that placed the volume.',
  },
  MOUNT_SLOT_UNKNOWN: {
    means: 'A slot of the volume is on a node that is not in the registry as read.',
    hint: 'Nothing: the registry is read again within a heartbeat.',
  },
  REGISTRATION_LEDGER_UNREAD: {
    means: 'The ledger was not read once yet.',
    hint: 'See the ledger’s status.',
  },
  REGISTRATION_NOT_SPONSORED: {
    means: 'No farm vouches for the account of this node.',
    hint: 'The farm’s owner sponsors the account shown in the status, with stake and some gas money.',
  },
  REGISTRATION_STAKE_TOO_LOW: {
    means: 'The stake of the sponsorship covers no capacity.',
    hint: 'The farm sponsors the node with more stake.',
  },
  REGISTRATION_ADDRESS_INVALID: {
    means: 'An address to announce is one that others cannot dial.',
    hint: 'Give --announce an address with a reachable host and a fixed port.',
  },
  REGISTRATION_EXITED: {
    means: 'The node has left the grid for good.',
    hint: 'Start a new node with a new --data directory.',
  },
}
