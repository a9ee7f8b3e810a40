/** What can go wrong with the agent's state. */
import type { ErrorCatalogue } from '../base/errors.ts'

export type StateErrorCode =
  | 'STATE_UNAVAILABLE'
  | 'STATE_TWO_WRITERS'
  | 'STATE_UNDECLARED'
  | 'STATE_TOO_MANY_WATCHERS'

export const STATE_ERRORS: ErrorCatalogue<StateErrorCode> = {
  STATE_UNAVAILABLE: {
    means: 'The state directory cannot be opened or written.',
    hint: 'Check the disk and the owner of the data directory.',
  },
  STATE_TWO_WRITERS: {
    means: 'Two controllers declare that they write the same kind of resource.',
    hint: 'This is a fault of the program: give each kind one writer.',
  },
  STATE_UNDECLARED: {
    means: 'A controller touched a kind of resource that it did not declare.',
    hint: 'This is a fault of the program: declare the kind in inputs or outputs.',
  },
  STATE_TOO_MANY_WATCHERS: {
    means: 'More parts watch the state than it is made for.',
    hint: 'This is a fault of the program: a watch was not closed.',
  },
}
