/** A codec for each known format of headers: the one place to add another kind of chain. */
import { ethereumHeaderHash } from './ethereum-header.ts'

/** Hashes a header as an endpoint tells it; undefined if it is not of that format. */
type HeaderHash = (block: unknown) => string | undefined

/** How headers are held to their hash, by format; `unchecked` for chains whose format this program does not know. */
export const HEADER_FORMATS = {
  ethereum: ethereumHeaderHash,
  unchecked: undefined,
} as const satisfies Readonly<Record<string, HeaderHash | undefined>>

/** Name of a format. */
export type HeaderFormat = keyof typeof HEADER_FORMATS
