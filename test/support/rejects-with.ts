/** Expects a failure by its code, as tests match codes and never texts. */
import { assert } from 'chai'
import { isNodeError } from '../../agent/base/errors.ts'

/**
 * Fails unless the act fails with the code.
 *
 * @param code - Of the NodeError.
 * @param act - What must fail.
 */
export async function rejectsWith(code: string, act: () => unknown): Promise<void> {
  let caught: unknown
  try {
    await act()
  } catch (error) {
    caught = error
  }
  if (caught === undefined) assert.fail(`expected ${code}, but nothing failed`)
  if (!isNodeError(caught, code)) throw caught
}
