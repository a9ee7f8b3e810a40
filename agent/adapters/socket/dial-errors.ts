/** What can go wrong on sockets between the processes of a node. */
import type { ErrorCatalogue } from '../../base/errors.ts'

/** Failures of dialling through the links unit, and of listening. */
export type DialErrorCode = 'DIAL_UNREACHABLE' | 'DIAL_PROTOCOL' | 'SOCKET_PATH_TAKEN'

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
  SOCKET_PATH_TAKEN: {
    means: 'Something that must not be replaced is where a unix socket was to be.',
    hint: 'Name another path, or stop the process that listens there.',
  },
}
