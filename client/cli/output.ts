/** What a command prints: a table for people, or one JSON document for programs. */

/** A column of a table. */
export interface Column<Row> {
  readonly title: string
  readonly of: (row: Row) => string
  /** Numbers stand at the right. */
  readonly isRight?: boolean
}

/**
 * Writes rows as a table.
 *
 * @param columns - `[n]` columns.
 * @param rows - `[m]` rows.
 * @returns Lines without a last line end.
 */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ of }) => of(row))),
  ]
  const widths = columns.map((_, at) => Math.max(...cells.map((line) => (line[at] ?? '').length)))
  return cells
    .map((line) =>
      line
        .map((cell, at) => {
          const width = widths[at] ?? 0
          return columns[at]?.isRight ? cell.padStart(width) : cell.padEnd(width)
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/**
 * Writes names and values, one a line.
 *
 * @param fields - `[n]` pairs; undefined values are left out.
 */
export function facts(
  fields: readonly (readonly [name: string, value: string | undefined])[],
): string {
  const shown = fields.filter((field): field is readonly [string, string] => field[1] !== undefined)
  const width = Math.max(0, ...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')
}

/**
 * Writes a value as JSON.
 *
 * @param value - Anything; whole numbers beyond 2^53 become decimal strings, bytes hexadecimal.
 */
export function json(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) => {
    if (typeof one === 'bigint') return one.toString()
    if (one instanceof Uint8Array) return `0x${Buffer.from(one).toString('hex')}`
    return one
  })
}

/**
 * Writes a moment for people.
 *
 * @param seconds - Seconds since 1970, 0 for none.
 * @returns `2026-11-21 06:15:19`, UTC; `-` for none.
 */
export function moment(seconds: number): string {
  if (seconds === 0) return '-'
  return new Date(seconds * 1000).toISOString().replace('T', ' ').slice(0, 19)
}

/**
 * Writes a duration for people.
 *
 * @param seconds - `>= 0`.
 * @returns Its two largest units: `3d 4h`.
 */
export function duration(seconds: number): string {
  const units: readonly (readonly [string, number])[] = [
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
    ['s', 1],
  ]
  const parts: string[] = []
  let rest = Math.max(0, Math.round(seconds))
  for (const [unit, size] of units) {
    if (rest >= size && parts.length < 2) {
      parts.push(`${Math.floor(rest / size)}${unit}`)
      rest %= size
    }
  }
  return parts.join(' ') || '0s'
}
