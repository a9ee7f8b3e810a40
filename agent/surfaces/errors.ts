/** What can go wrong when an agent is asked how it is. */
import type { ErrorCatalogue } from '../base/errors.ts'

export type SurfaceErrorCode = 'STATUS_UNREACHABLE' | 'REPAIR_NO_CANDIDATE'

export const SURFACE_ERRORS: ErrorCatalogue<SurfaceErrorCode> = {
  STATUS_UNREACHABLE: {
    means: 'No agent answers on the status socket of the data directory.',
    hint: 'Start it with `varve-agent run`, or check --data.',
  },
  REPAIR_NO_CANDIDATE: {
    means: 'A slot of a volume whose node went silent has no other node that may take it.',
    hint: 'It moves by itself once a node of another farm has room at an allowed price; see `varve nodes`.',
  },
}
