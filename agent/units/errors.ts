/** What can go wrong between the agent and its units. */
import type { ErrorCatalogue } from '../base/errors.ts'

export type UnitErrorCode =
  | 'CONTROL_PATH_TOO_LONG'
  | 'CONTROL_ALREADY_RUNNING'
  | 'CONTROL_UNREACHABLE'
  | 'CONTROL_CLOSED'
  | 'CONTROL_TIMEOUT'
  | 'CONTROL_MESSAGE_INVALID'
  | 'CONTROL_METHOD_UNKNOWN'
  | 'CONTROL_BUSY'
  | 'UNIT_STOPPING'
  | 'UNIT_FAILED'
  | 'STORE_USAGE'
  | 'STORE_HASHER_FAILED'
  | 'STORE_HOOK_REFUSED'

export const UNIT_ERRORS: ErrorCatalogue<UnitErrorCode> = {
  CONTROL_PATH_TOO_LONG: {
    means: 'The path of a unix socket is longer than the kernel takes (107 bytes).',
    hint: 'Use a shorter --data directory.',
  },
  CONTROL_ALREADY_RUNNING: {
    means: 'Another process answers on the socket that this unit was told to listen on.',
    hint: 'Stop the other process, or let the agent adopt it.',
  },
  CONTROL_UNREACHABLE: {
    means: 'No unit answers on the control socket.',
    hint: 'The supervisor starts it again; see the log of the unit if it does not come up.',
  },
  CONTROL_CLOSED: {
    means: 'The unit or the agent closed the control connection before it answered.',
    hint: 'The agent connects again; see the log of the unit for why it ended.',
  },
  CONTROL_TIMEOUT: {
    means: 'A unit did not answer in time.',
    hint: 'The supervisor restarts a unit that stays silent; look for disk or memory pressure.',
  },
  CONTROL_MESSAGE_INVALID: {
    means:
      'A line on the control socket is not a request or an answer of the protocol, or too long.',
    hint: 'Only the agent should speak to control sockets.',
  },
  CONTROL_METHOD_UNKNOWN: {
    means: 'The unit has no such method.',
    hint: 'Agent and unit are of different builds: restart the agent.',
  },
  CONTROL_BUSY: {
    means: 'Too many requests wait for an answer on one control connection.',
    hint: 'Wait for answers before asking more.',
  },
  UNIT_FAILED: {
    means: 'A unit failed at what it was asked, without a code of its own.',
    hint: 'See the log of the unit.',
  },
  STORE_USAGE: {
    means: 'The command line of `varve-agent store` is not one that it understands.',
    hint: '`varve-agent store --help` shows all options, with examples.',
  },
  STORE_HASHER_FAILED: {
    means: 'The thread that hashes the records of provable namespaces failed.',
    hint: 'It is started again with the next record; see the cause, most often the disk.',
  },
  STORE_HOOK_REFUSED: {
    means:
      'The program given to --hook did not end with 0 when it was told that the store is ready.',
    hint: 'Let it answer `ready` with 0, or start the store without --hook.',
  },
  UNIT_STOPPING: {
    means: 'The unit is draining and takes no new configuration.',
    hint: 'Wait until it has exited; the supervisor starts a new one if it is still wanted.',
  },
}
