/**
 * Plans this node's entry in the registry: registers once a farm sponsors it, and keeps offer and addresses as configured.
 *
 * Pure.
 */
import { toHex } from '../base/bytes.ts'
import type { Identity } from '../base/identity.ts'
import { GIB } from '../base/units.ts'
import type {
  LedgerNode,
  NodeOffer,
  Policy,
  Registration,
  WantedTransaction,
} from '../ledger/types.ts'
import type { RegistrationStatus } from '../state/kinds.ts'
import type { RegistrationCode } from './errors.ts'

/** The contract takes no more, and no longer ones. */
const ADDRESSES_MAX = 8
const ADDRESS_BYTES_MAX = 256

/** What the planner looks at. */
export interface RegistrationWorld {
  /** Undefined until the ledger was read once. */
  readonly registration: Registration | undefined
  readonly own: LedgerNode | undefined
  readonly policy: Pick<Policy, 'values'> | undefined
  readonly identity: Pick<Identity, 'account' | 'publicKey' | 'sealingKey'>
  readonly offer: NodeOffer
  /** Multiaddrs under which others reach this node; may be empty if it only dials. */
  readonly addresses: readonly string[]
}

/** The plan. */
export interface RegistrationPlan {
  readonly transactions: readonly WantedTransaction[]
  readonly status: RegistrationStatus
}

/**
 * Computes what is to be said to the registry.
 *
 * @param world - What the ledger says, and what is configured.
 * @returns At most two transactions, and the standing for people.
 * @example
 * planRegistration(world).status.code // 'REGISTRATION_NOT_SPONSORED'
 */
export function planRegistration(world: RegistrationWorld): RegistrationPlan {
  const { registration, own, policy } = world
  if (!registration || !policy) {
    return waiting(
      'REGISTRATION_LEDGER_UNREAD',
      'the ledger was not read yet',
      'See the ledger status.',
    )
  }
  const wrong = world.addresses.find((address) => !isReachable(address))
  if (wrong !== undefined || world.addresses.length > ADDRESSES_MAX) {
    return waiting(
      'REGISTRATION_ADDRESS_INVALID',
      wrong === undefined
        ? `more than ${ADDRESSES_MAX} addresses`
        : `others cannot reach this node at "${wrong}"`,
      'Give --announce an address with a reachable host and a fixed port.',
    )
  }
  if (registration.node === undefined) return registering(world, registration, policy)
  if (own?.state === 'exited') {
    return {
      transactions: [],
      status: status('exited', 'REGISTRATION_EXITED', 'the node has left'),
    }
  }
  return { transactions: own ? changes(world, own, policy) : [], status: status('registered') }
}

function registering(
  world: RegistrationWorld,
  registration: Registration,
  policy: Pick<Policy, 'values'>,
): RegistrationPlan {
  const { identity, addresses } = world
  if (registration.sponsor === undefined) {
    return waiting(
      'REGISTRATION_NOT_SPONSORED',
      `no farm sponsors the account ${identity.account}`,
      `The farm's owner calls Nodes.sponsor for ${identity.account}, with stake and some gas money.`,
    )
  }
  const offer = offered(world.offer, registration.sponsoredStake, policy)
  if (offer.capacityBytes === 0) {
    return waiting(
      'REGISTRATION_STAKE_TOO_LOW',
      `the stake of ${registration.sponsoredStake} covers no byte`,
      'The farm sponsors the node with more stake.',
    )
  }
  const call = {
    method: 'register',
    publicKey: `0x${toHex(identity.publicKey)}`,
    sealingKey: `0x${toHex(identity.sealingKey)}`,
    offer,
    addresses,
  } as const
  const id = `register/${registration.sponsor}/${registration.sponsoredStake}`
  return {
    transactions: [{ id, call, why: `registers with farm ${registration.sponsor}` }],
    status: status('registering'),
  }
}

/** What the configured offer comes to: no more bytes than the stake covers, no higher price than policy allows. */
function offered(wanted: NodeOffer, stake: bigint, policy: Pick<Policy, 'values'>): NodeOffer {
  const { stakePerGib, stakeSeconds, minNodeStake, maxPricePerGibSecond } = policy.values
  const pricePerGibSecond =
    wanted.pricePerGibSecond < maxPricePerGibSecond
      ? wanted.pricePerGibSecond
      : maxPricePerGibSecond
  // A stake is for the bytes, and for what they could earn.
  const revenue = pricePerGibSecond * BigInt(stakeSeconds)
  const perGib = stakePerGib > revenue ? stakePerGib : revenue
  const coveredBytes = perGib === 0n ? BigInt(wanted.capacityBytes) : (stake * BigInt(GIB)) / perGib
  const isCovered = coveredBytes >= BigInt(wanted.capacityBytes)
  const capacityBytes = isCovered ? wanted.capacityBytes : Number(coveredBytes)
  return { capacityBytes: stake < minNodeStake ? 0 : capacityBytes, pricePerGibSecond }
}

function changes(
  world: RegistrationWorld,
  own: LedgerNode,
  policy: Pick<Policy, 'values'>,
): WantedTransaction[] {
  const transactions: WantedTransaction[] = []
  if (world.addresses.join(' ') !== own.addresses.join(' ')) {
    const { addresses } = world
    transactions.push({
      id: `addresses/${own.addresses.join(' ')}/${addresses.join(' ')}`,
      call: { method: 'setAddresses', addresses },
      why: 'the node is reached elsewhere',
    })
  }
  const allowed = offered(world.offer, own.stake, policy)
  // Running orders keep their bytes: the offer never goes below what they use.
  const capacityBytes = Math.max(allowed.capacityBytes, own.usedBytes)
  const { pricePerGibSecond } = allowed
  if (capacityBytes !== own.capacityBytes || pricePerGibSecond !== own.pricePerGibSecond) {
    const before = `${own.capacityBytes}/${own.pricePerGibSecond}`
    transactions.push({
      id: `offer/${before}/${capacityBytes}/${pricePerGibSecond}`,
      call: { method: 'setOffer', offer: { capacityBytes, pricePerGibSecond } },
      why: 'the node offers something else',
    })
  }
  return transactions
}

/** An address that says "any" leads nowhere. */
function isReachable(address: string): boolean {
  const isShort = Buffer.byteLength(address) <= ADDRESS_BYTES_MAX
  return isShort && address !== '' && !/\/(0\.0\.0\.0|::)\/|\/tcp\/0(\/|$)/.test(address)
}

function waiting(code: RegistrationCode, message: string, hint: string): RegistrationPlan {
  return { transactions: [], status: { state: 'waiting', code, message, hint } }
}

function status(
  state: RegistrationStatus['state'],
  code?: RegistrationCode,
  message?: string,
): RegistrationStatus {
  return { state, code, message, hint: undefined }
}
