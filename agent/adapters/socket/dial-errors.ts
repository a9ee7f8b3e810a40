/** What can go wrong between a process and the links unit of its node. */
import type { ErrorCatalogue } from '../../base/errors.ts'

/** Failures of dialling through the links unit. */
export type DialErrorCode = 'DIAL_UNREACHABLE' | 'DIAL_PROTOCOL'

/** What each means and what to do. */
export const DIAL_ERRORS: ErrorCatalogue<DialErrorCode> = {
  DIAL_UNREACHABLE: {
    means: 'The links unit of this node does not answer on its dial socket.',
    hint: 'It is started again by the agent; see its log if it does not come up.',
  },
  DIAL_PROTOCOL: {
    means: 'The first line on a socket between two units is not what it must be.',
    hint: 'Both ends must be of one build: restart the agent.',
  },
}
