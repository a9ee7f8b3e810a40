/**
 * What of the state outlives the process, and what a program makes of what another version of it wrote.
 *
 * A record is written as its kind's version, a space, and the resource. The key `format` holds the kinds and versions of the program that
 * wrote last. Failure cases:
 *
 * 1. A newer program wrote kinds that this one does not know (a roll-back). They are moved aside; the cursor is not believed, so that the
 *    whole ledger is read again in this program's words.
 * 2. A newer or older program wrote a known kind in another version: the same.
 * 3. A record is damaged, or is not what its key says: the same.
 * 4. The kinds are the same and all records pass: everything is believed, and the agent goes on where it was.
 *
 * So nothing that the ledger has is ever lost, and nothing that a program does not understand is ever taken for an order, or for its
 * absence.
 */
import { decodeResource } from './codec.ts'
import { IDENTIFY, type Kind, PERSISTED } from './kinds.ts'

/** How one kind is kept. */
export interface RecordFormat {
  /** From 1; another one means another shape. */
  readonly version: number
  /** Whether a value that was read back is one of the kind. */
  readonly check: (value: unknown) => boolean
}

/** A kind that outlives the process. */
export type PersistedKind = (typeof PERSISTED)[number]

/** A format for every kind that outlives the process: leaving one out does not compile. */
export type RecordFormats = Readonly<Record<PersistedKind, RecordFormat>>

/** Where the kinds and versions of the last writer are kept. */
export const FORMAT_KEY = 'format'
/** Before the key of what could not be read. */
export const ASIDE_PREFIX = 'aside/'
/** With it gone, the whole ledger is read again. */
const CURSOR_KIND: Kind = 'ledger.cursor'

/** What was read of a journal. */
export interface ReadRecords {
  readonly entries: readonly {
    readonly kind: Kind
    readonly id: string
    readonly resource: unknown
    readonly text: string
  }[]
  /** Keys that were not believed, with what is wrong. */
  readonly aside: readonly { readonly key: string; readonly why: string }[]
  /** Changes that put the journal in order: none if all was believed. */
  readonly changes: readonly { readonly key: string; readonly text: string | undefined }[]
}

/**
 * Reads what a journal holds.
 *
 * @param pairs - All of it, any order.
 * @param formats - Of this program.
 * @returns What may be believed; see the cases at the head of the file.
 */
export function readRecords(
  pairs: readonly { readonly key: string; readonly text: string }[],
  formats: RecordFormats,
): ReadRecords {
  const own = stampOf(formats)
  const isSame = pairs.some(({ key, text }) => key === FORMAT_KEY && text === own)
  const records = pairs.filter(({ key }) => key !== FORMAT_KEY && !key.startsWith(ASIDE_PREFIX))
  const read = records.map((pair) => ({ ...pair, ...readRecord(pair.key, pair.text, formats) }))
  const aside = read.flatMap(({ key, why }) => (why === undefined ? [] : [{ key, why }]))
  const isWhole = isSame && aside.length === 0
  const entries = read.flatMap(({ kind, id, resource, resourceText, why }) =>
    why !== undefined || kind === undefined || (kind === CURSOR_KIND && !isWhole)
      ? []
      : [{ kind, id, resource, text: resourceText }],
  )
  const changes = isWhole
    ? []
    : [
        { key: FORMAT_KEY, text: own },
        ...read.flatMap(({ key, text, kind, why }) => {
          if (why === undefined) return kind === CURSOR_KIND ? [{ key, text: undefined }] : []
          return [
            { key, text: undefined },
            { key: `${ASIDE_PREFIX}${key}`, text },
          ]
        }),
      ]
  return {
    entries,
    aside,
    changes: pairs.length === 0 ? [{ key: FORMAT_KEY, text: own }] : changes,
  }
}

/**
 * Writes a resource as a record.
 *
 * @param text - As `encodeResource` wrote it.
 */
export function recordText(kind: PersistedKind, text: string, formats: RecordFormats): string {
  return `${formats[kind].version} ${text}`
}

/**
 * Takes a record apart.
 *
 * @param text - As {@link recordText} wrote it, or anything else.
 * @returns The version as it was written, empty if there is none, and the resource as text.
 */
export function splitRecord(text: string): { version: string; resourceText: string } {
  const [, version = '', resourceText = ''] = /^(\d+) (.*)$/s.exec(text) ?? []
  return { version, resourceText }
}

/** Whether a kind outlives the process. */
export function isPersisted(kind: Kind): kind is PersistedKind {
  return PERSISTED.some((one) => one === kind)
}

function readRecord(key: string, text: string, formats: RecordFormats) {
  const at = key.indexOf('/')
  const name = at < 0 ? key : key.slice(0, at)
  const id = key.slice(at + 1)
  const kind = PERSISTED.find((one) => one === name)
  const nothing = { kind, id, resource: undefined, resourceText: '' }
  if (!kind || at < 0) return { ...nothing, why: 'no kind of this program' }
  const { version, check } = formats[kind]
  const { version: written, resourceText } = splitRecord(text)
  if (written !== String(version)) return { ...nothing, why: `version ${written || 'unknown'}` }
  const resource = parse(resourceText)
  if (!check(resource)) return { ...nothing, why: 'damaged' }
  const identify = IDENTIFY[kind] as (resource: unknown) => string
  if (identify(resource) !== id) return { ...nothing, why: 'under the key of another' }
  return { kind, id, resource, resourceText, why: undefined }
}

/** Kinds and versions, as text that is the same for the same. */
function stampOf(formats: RecordFormats): string {
  return [...PERSISTED]
    .sort()
    .map((kind) => `${kind} ${formats[kind].version}`)
    .join('\n')
}

function parse(text: string): unknown {
  try {
    return decodeResource(text)
  } catch {
    return undefined
  }
}
