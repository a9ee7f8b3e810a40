/** What can go wrong when an agent is asked how it is. */
import type { ErrorCatalogue } from '../base/errors.ts'

export type SurfaceErrorCode = 'STATUS_UNREACHABLE'

export const SURFACE_ERRORS: ErrorCatalogue<SurfaceErrorCode> = {
  STATUS_UNREACHABLE: {
    means: 'No agent answers on the status socket of the data directory.',
    hint: 'Start it with `varve-agent run`, or check --data.',
  },
}
