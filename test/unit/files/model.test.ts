/** A volume held against a plain file system in memory, in random runs (see `test/support/volume-run.ts`). */
import fc from 'fast-check'
import { anyFileOperation } from '../../support/file-operations.ts'
import { type RunStep, VolumeRun } from '../../support/volume-run.ts'

const anyStep: fc.Arbitrary<RunStep> = fc.oneof(
  {
    weight: 20,
    arbitrary: anyFileOperation.map((operation): RunStep => ({ kind: 'do', operation })),
  },
  { weight: 3, arbitrary: fc.nat({ max: 3000 }).map((ms): RunStep => ({ kind: 'advance', ms })) },
  {
    weight: 6,
    arbitrary: fc
      .constantFrom(
        ...(['sync', 'sync', 'disperse', 'begin-dispersal', 'crash', 'restart'] as const),
        ...(['move', 'drop-cache', 'stores-away', 'stores-back'] as const),
        ...(['metadata-away', 'metadata-back', 'disk-full', 'disk-room'] as const),
      )
      .map((kind): RunStep => ({ kind })),
  },
)

describe('A volume against a plain file system', () => {
  it('answers alike, and comes back from crashes with all that was acknowledged', async function () {
    this.timeout(600_000)
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.array(anyStep, { minLength: 10, maxLength: 80, size: 'max' }),
        async (seed, steps) => {
          const run = new VolumeRun(seed)
          await run.start()
          for (const [index, step] of steps.entries()) await run.step(step, index)
          await run.check()
          await run.checkNothingLeft()
        },
      ),
      {
        numRuns: Number(process.env['VARVE_RUNS'] ?? 300),
        ...(process.env['SEED'] ? { seed: Number(process.env['SEED']) } : {}),
      },
    )
  })
})
