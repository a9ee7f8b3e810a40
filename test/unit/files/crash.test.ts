/** Power is lost at every single operation on the disk, in turn, and at every one of the recovery that follows. */
import type { FileOperation } from '../../support/file-operations.ts'
import { type RunStep, VolumeRun } from '../../support/volume-run.ts'

const act = (operation: FileOperation): RunStep => ({ kind: 'do', operation })
const write = (file: number, offset: number, length: number) =>
  act({ kind: 'write', file, offset, length })
const step = (kind: 'sync' | 'disperse' | 'begin-dispersal' | 'restart'): RunStep => ({ kind })
const wait = (ms: number): RunStep => ({ kind: 'advance', ms })

/** Everything that touches the disk: small and large writes, new segments, commits, checkpoints, freed segments, a restart. */
const WORKLOAD: readonly RunStep[] = [
  act({ kind: 'mkdir', directory: 0, name: 0, mode: 0o755 }),
  act({ kind: 'create', directory: 0, name: 1, mode: 0o644 }),
  write(0, 0, 12_000),
  step('sync'),
  act({ kind: 'create', directory: 1, name: 2, mode: 0o600 }),
  write(1, 100, 9000),
  write(0, 5000, 300),
  step('begin-dispersal'),
  wait(10),
  write(0, 0, 40),
  wait(10),
  act({ kind: 'rename', directory: 0, name: 1, toDirectory: 1, toName: 2, flags: 0 }),
  step('sync'),
  wait(40),
  step('disperse'),
  write(0, 12_000, 15_000),
  act({ kind: 'set', file: 0, name: 1 }),
  step('sync'),
  act({ kind: 'truncate', file: 0, length: 700 }),
  step('disperse'),
  act({ kind: 'create', directory: 0, name: 3, mode: 0o644 }),
  write(1, 0, 19_000),
  write(1, 30_000, 19_000),
  act({ kind: 'punch', file: 1, offset: 100, length: 5000 }),
  step('disperse'),
  step('restart'),
  act({ kind: 'unlink', directory: 1, name: 2 }),
  write(0, 9, 900),
  step('sync'),
  step('disperse'),
  wait(100),
  act({ kind: 'symlink', directory: 0, name: 4, mode: 0 }),
  step('sync'),
]

/** Runs the workload until the disk dies, then what comes after. */
async function runAndDie(diesAfter: number, recoveryDiesAfter: number): Promise<boolean> {
  const run = new VolumeRun(diesAfter * 31 + recoveryDiesAfter)
  await run.start()
  run.diesAfter(diesAfter)
  const hasDied = await untilDead(run, async () => {
    for (const [index, one] of WORKLOAD.entries()) await run.step(one, index)
  })
  // The local disk alone must do, wherever it happened.
  await run.step({ kind: 'metadata-away' }, 0)
  await run.step({ kind: 'crash' }, 0)
  run.diesAfter(recoveryDiesAfter)
  await untilDead(run, async () => await run.step({ kind: 'restart' }, 0))
  await run.step({ kind: 'crash' }, 0)
  await run.step({ kind: 'metadata-back' }, 0)
  await run.check()
  await run.step(write(0, 3, 4000), 77)
  await run.step({ kind: 'disperse' }, 0)
  await run.check()
  await run.step({ kind: 'move' }, 0)
  await run.check()
  return hasDied
}

/** @returns Whether the disk died; what the program then said does not matter. */
async function untilDead(run: VolumeRun, work: () => Promise<void>): Promise<boolean> {
  try {
    await work()
  } catch (caught) {
    if (!run.isDead) throw caught
  }
  return run.isDead
}

describe('A volume whose machine loses power', () => {
  it('loses nothing acknowledged, wherever it happens', async () => {
    let boundary = 0
    while (await runAndDie(boundary, boundary % 23)) boundary++
    if (boundary < 60) throw new Error(`only ${boundary} boundaries: the workload shrank`)
  })
})
