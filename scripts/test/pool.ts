/** Runs test items on all cores: whoever is free takes the longest that may run now. */
import { availableParallelism } from 'node:os'
import { type StepResult, step } from '../run/step.ts'
import type { TestItem } from './items.ts'

/** An item that hangs is ended; the longest takes some minutes, and ten times that on a busy machine. */
const ITEM_SECONDS_MAX = 2_400

/** What one item came to. */
export interface ItemResult {
  readonly item: TestItem
  readonly result: StepResult
}

/**
 * Runs items until all are done.
 *
 * @param items - Longest first.
 * @param onDone - Told of each when it ends.
 * @param cores - Items at once, `>= 1`; as many as the machine has cores unless given. Grids take at most half of them, for
 *   each has a dozen processes of its own.
 * @param run - Runs one item; in a process of its own unless given.
 * @returns Their results, in the order in which they ended.
 */
export async function runItems(
  items: readonly TestItem[],
  onDone: (done: ItemResult) => void,
  cores = availableParallelism(),
  run = runItem,
): Promise<readonly ItemResult[]> {
  const waiting = [...items]
  const done: ItemResult[] = []
  const gridsMax = Math.max(1, Math.floor(cores / 2))
  let grids = 0
  const take = (): TestItem | undefined => {
    const at = waiting.findIndex((item) => !item.isGrid || grids < gridsMax)
    return at < 0 ? undefined : waiting.splice(at, 1)[0]
  }
  const work = async (): Promise<void> => {
    for (let item = take(); item !== undefined; item = take()) {
      grids += Number(item.isGrid)
      const result = await run(item)
      grids -= Number(item.isGrid)
      done.push({ item, result })
      onDone({ item, result })
    }
  }
  // Whoever finds nothing that may run stops: what is left is grids, and those who run grids take them.
  await Promise.all(Array.from({ length: cores }, work))
  return done
}

function runItem({ title, command, args, env }: TestItem): Promise<StepResult> {
  return step(title, command, args, { ...{ isShown: false, env, secondsMax: ITEM_SECONDS_MAX } })
}
