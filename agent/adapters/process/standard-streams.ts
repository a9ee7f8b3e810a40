/**
 * What a program prints: results on standard output, of which nothing may be lost unnoticed, and remarks on standard error, whose
 * loss ends nothing. Written at once and whole, so that a program may exit right afterwards.
 */
import { writeSync } from 'node:fs'
import { codeOf, type ErrorCatalogue, NodeError } from '../../base/errors.ts'

export type OutputErrorCode = 'OUTPUT_LOST'

export const OUTPUT_ERRORS: ErrorCatalogue<OutputErrorCode> = {
  OUTPUT_LOST: {
    means: 'What was to be printed could not be written, or not all of it.',
    hint: 'Make room where the output goes, then ask again; what the command changed is changed.',
  },
}

const STANDARD_OUTPUT = 1
const STANDARD_ERROR = 2
/** Pause before a pipe that is full is tried again. */
const FULL_PIPE_MS = 5

/**
 * Prints a result. A reader that saw enough, as `head` does, is no failure.
 *
 * @param text - Its last newline included.
 * @throws NodeError `OUTPUT_LOST` if not all of it could be written.
 */
export function printResult(text: string): void {
  try {
    writeWhole(STANDARD_OUTPUT, text)
  } catch (cause) {
    if (codeOf(cause) === 'EPIPE') return
    throw new NodeError('OUTPUT_LOST', `cannot write: ${systemText(cause)}`, { cause })
  }
}

/**
 * Prints a remark; one that cannot be written is dropped, for there is nowhere to say so.
 *
 * @param text - Its last newline included.
 */
export function printRemark(text: string): void {
  try {
    writeWhole(STANDARD_ERROR, text)
  } catch {
    // Nobody listens.
  }
}

function writeWhole(descriptor: number, text: string): void {
  let rest: Uint8Array = Buffer.from(text)
  while (rest.byteLength > 0) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest))
    } catch (caught) {
      // Whoever shares the pipe may have made it non-blocking.
      if (codeOf(caught) !== 'EAGAIN') throw caught
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_MS)
    }
  }
}

/** `no space left on device` out of `ENOSPC: no space left on device, write`. */
function systemText(caught: unknown): string {
  const text = caught instanceof Error ? caught.message : String(caught)
  return /^[A-Z0-9]+: (.*), \w+$/.exec(text)?.[1] ?? text
}
