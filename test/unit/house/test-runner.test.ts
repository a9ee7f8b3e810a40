/** The runner of all tests: nothing is left out, nothing runs twice, and what it counts is what was said. */
import { globSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { assert } from 'chai'
import { root } from '../../../scripts/run/step.ts'
import { countTests } from '../../../scripts/test/count.ts'
import { readDurations, type TestItem, testItems } from '../../../scripts/test/items.ts'
import { runItems } from '../../../scripts/test/pool.ts'

const EVERYTHING = { isQuick: false, words: [], isBundled: true }

describe('the runner of all tests', () => {
  it('runs every test file once, and every seed of a seeded one', () => {
    const items = testItems(readDurations(), EVERYTHING)
    const whole = items.filter(({ env }) => env['SEED'] === undefined).flatMap(({ args }) => args)
    const files = whole.filter((arg) => arg.startsWith('test/'))
    const seeded = items.filter(({ env }) => env['SEED'] !== undefined)
    const found = globSync('test/**/*.{test,sim}.ts', { cwd: root })
    const ours = found.filter((file) => !file.startsWith('test/solidity/'))
    assert.sameMembers([...files, ...new Set(seeded.flatMap(({ args }) => args))], ours)

    const seeds = seeded
      .filter(({ args }) => args[0] === 'test/sim/grid.sim.ts')
      .flatMap(({ env }) =>
        Array.from({ length: Number(env['CAMPAIGN_SEEDS']) }, (_, i) => Number(env['SEED']) + i),
      )
    assert.sameMembers(
      seeds,
      Array.from({ length: 200 }, (_, i) => i + 1),
    )
    assert.lengthOf(
      items.filter(({ command }) => command === 'hardhat'),
      2,
    )
  })

  const outputs: readonly (readonly [
    why: string,
    output: string,
    exitCode: number,
    want: string,
  ])[] = [
    ['all went well', '  12 passing (3s)\n', 0, '12 0 0'],
    ['some were skipped', '  12 passing (3s)\n  2 pending\n', 0, '12 0 2'],
    ['some failed', '  12 passing (3s)\n  3 failing\n', 3, '12 3 0'],
    ['it died after it had begun', '    ✔ a test\n', 139, '0 1 0'],
    ['it died after its tests', '  12 passing (3s)\n', 1, '12 1 0'],
    ['nothing ran', '  0 passing (1ms)\n', 0, '0 1 0'],
    ['Hardhat sums up', '  5 passing (1s)\n\n7 passing (2 solidity, 5 mocha)\n', 0, '7 0 0'],
    ['a test speaks of numbers', 'there are 99 passing ships\n  1 passing (2ms)\n', 0, '1 0 0'],
  ]
  for (const [why, output, exitCode, want] of outputs) {
    it(`counts right when ${why}`, () => {
      const { passed, failed, skipped } = countTests({ output, exitCode, seconds: 1 })
      assert.equal(`${passed} ${failed} ${skipped}`, want)
    })
  }

  for (const [cores, gridsMax] of [
    [1, 1],
    [2, 1],
    [8, 4],
  ] as const) {
    it(`keeps ${cores} cores busy with at most ${gridsMax} grids at once`, async () => {
      const items = Array.from({ length: 40 }, (_, index) => item(index, index % 2 === 0))
      const running = new Set<TestItem>()
      let most = 0
      let mostGrids = 0
      const results = await runItems(
        items,
        () => undefined,
        cores,
        async (one) => {
          running.add(one)
          most = Math.max(most, running.size)
          mostGrids = Math.max(mostGrids, [...running].filter(({ isGrid }) => isGrid).length)
          for (let left = 1 + (Number(one.title) % 5); left > 0; left--) await turn()
          running.delete(one)
          return { exitCode: 0, output: '  1 passing', seconds: 1 }
        },
      )
      assert.sameMembers(
        results.map((result) => result.item),
        items,
      )
      assert.deepEqual([most, mostGrids], [cores, gridsMax])
    })
  }
})

function item(index: number, isGrid: boolean): TestItem {
  return {
    ...{ title: String(index), command: 'mocha', args: [], env: {}, files: [], isGrid },
    seconds: 100 - index,
  }
}
