/** The table at the end of the main job, and the same figures as data. */
import { writeFileSync } from 'node:fs'
import { formatBytes } from '../../agent/base/units.ts'

/** One figure: for people as text, for machines as a number. */
export interface Figure {
  readonly name: string
  readonly value: number | string | boolean
  readonly unit: 'bytes' | 'seconds' | 'ratio' | 'gas' | 'tokens' | 'count' | 'text'
  /** What it has to be, where something was promised. */
  readonly goal?: {
    readonly text: string
    readonly met: boolean
    /** A time, which a busy machine may miss: told, but the run holds all the same. */
    readonly isOfTime?: boolean
  }
}

/** Figures of a run, in the order in which they were taken. */
export class Report {
  readonly #figures: Figure[] = []

  /** Adds a figure. @param figure - Measured in this run. */
  add(figure: Figure): void {
    this.#figures.push(figure)
  }

  /** True if every promised figure was reached, times apart. */
  get held(): boolean {
    return this.#figures.every(({ goal }) => !goal || goal.met || goal.isOfTime === true)
  }

  /** @returns The table, one figure a line. */
  table(): string {
    const rows = this.#figures.map(
      (figure) => [figure.name, show(figure), goalText(figure)] as const,
    )
    const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
    return rows
      .map(([name, value, goal]) =>
        `  ${name.padEnd(widths[0] ?? 0)}  ${value.padStart(widths[1] ?? 0)}  ${goal}`.trimEnd(),
      )
      .join('\n')
  }

  /** Writes all figures as JSON. @param path - The file. */
  write(path: string): void {
    const figures = Object.fromEntries(
      this.#figures.map(({ name, value, unit, goal }) => [
        name
          .replaceAll(/[^a-z0-9]+/gi, '_')
          .replaceAll(/^_|_$/g, '')
          .toLowerCase(),
        { value, unit, ...(goal && { goal: goal.text, met: goal.met }) },
      ]),
    )
    writeFileSync(path, `${JSON.stringify({ held: this.held, figures }, null, 2)}\n`)
  }
}

function show({ value, unit }: Figure): string {
  if (typeof value !== 'number') return String(value)
  switch (unit) {
    case 'bytes':
      return formatBytes(Math.round(value))
    case 'seconds':
      return `${value.toFixed(2)} s`
    case 'ratio':
      return `${value.toFixed(3)} x`
    case 'gas':
      return `${value.toLocaleString('en')} gas`
    case 'tokens':
      return `${value} VARVE`
    case 'count':
    case 'text':
      return value.toLocaleString('en')
  }
}

function goalText({ goal }: Figure): string {
  if (!goal) return ''
  const how = goal.met ? 'ok' : goal.isOfTime === true ? 'late' : 'MISSED'
  return `${how} (${goal.text})`
}
