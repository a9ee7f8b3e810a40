/** What can go wrong on the planetary network. A datagram that is wrong is no failure: it is dropped and counted. */
import type { ErrorCatalogue } from '../../base/errors.ts'

/** Codes of the network engine. */
export type NetworkErrorCode = 'NETWORK_KEY_INVALID' | 'NETWORK_ADDRESS_INVALID'

/** What each code means and what to do. */
export const NETWORK_ERRORS: ErrorCatalogue<NetworkErrorCode> = {
  NETWORK_KEY_INVALID: {
    means: 'The bytes are no X25519 key, or one that leads to no secret.',
    hint: 'Check where the key comes from; a key is never typed by hand.',
  },
  NETWORK_ADDRESS_INVALID: {
    means: 'The text is no IP address or prefix.',
    hint: 'Write an address such as 10.0.0.1 or fd00::1, a prefix such as fd00::/8.',
  },
}
