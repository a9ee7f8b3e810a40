/**
 * Whether a thread is about to end.
 *
 * The kernel turns every signal that ends a program without a core file into SIGKILL for each of its threads, which waits in
 * the thread's own set until the call that it is in returns. So one bit tells death from the tick of a timer.
 */
import { readFileSync } from 'node:fs'
import { codeOf } from '../../base/errors.ts'

/** SIGKILL in the sets of proc(5): bit 8 of the last hexadecimal digits. */
const KILL_PENDING = /^SigPnd:\s*[0-9a-f]*[13579bdf][0-9a-f]{2}$/m

/**
 * Asks proc(5) about a thread.
 *
 * @param task - Its number; 0 is one of another namespace, of which nothing is known.
 * @returns True if it is being killed, or gone.
 * @example
 * isTaskEnding(process.pid) // false
 */
export function isTaskEnding(task: number): boolean {
  if (task === 0) return false
  try {
    return KILL_PENDING.test(readFileSync(`/proc/${task}/status`, 'utf8'))
  } catch (caught) {
    return codeOf(caught) === 'ENOENT' || codeOf(caught) === 'ESRCH'
  }
}
