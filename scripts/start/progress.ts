/** A progress bar for terminals, and a line now and then where the output is not one. */
import { formatBytes } from '../../agent/base/units.ts'

const REDRAW_MS = 100
const LINE_MS = 5_000
const WIDTH = 28

/** Shows how far a job of known size has come. */
export class Progress {
  readonly #title: string
  readonly #totalBytes: number
  readonly #isTerminal = process.stderr.isTTY === true
  readonly #started = performance.now()
  #doneBytes = 0
  #drawn = 0

  constructor(title: string, totalBytes: number) {
    this.#title = title
    this.#totalBytes = totalBytes
  }

  /** Counts bytes. @param bytes - Done since the last call. */
  add(bytes: number): void {
    this.#doneBytes += bytes
    const now = performance.now()
    if (now - this.#drawn < (this.#isTerminal ? REDRAW_MS : LINE_MS)) return
    this.#drawn = now
    this.#draw('')
  }

  /** Draws the last state and ends the line. @returns Bytes a second over the whole job. */
  end(): number {
    this.#draw('\n')
    return this.#doneBytes / Math.max((performance.now() - this.#started) / 1000, 0.001)
  }

  #draw(ending: string): void {
    const share = this.#totalBytes === 0 ? 1 : Math.min(this.#doneBytes / this.#totalBytes, 1)
    const filled = Math.round(share * WIDTH)
    const seconds = (performance.now() - this.#started) / 1000
    const rate = formatBytes(Math.round(this.#doneBytes / Math.max(seconds, 0.001)))
    const bar = `[${'#'.repeat(filled)}${'.'.repeat(WIDTH - filled)}]`
    const text = `  ${this.#title} ${bar} ${(share * 100).toFixed(0).padStart(3)} %  ${formatBytes(this.#doneBytes)}  ${rate}/s`
    process.stderr.write(this.#isTerminal ? `\r${text}\x1b[K${ending}` : `${text}\n`)
  }
}
