/** A real process on a real disk is killed in the middle of writing, again and again: what it acknowledged is there. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { assert } from 'chai'
import { pattern, readFile } from '../../support/volume-world.ts'
import { lengthOf, openAlone } from './kill-writer.ts'

const KILLS = 8
const WRITER = join(import.meta.dirname, 'kill-writer.ts')

/** Runs the writer until it acknowledged some files, then kills it. @returns The last one acknowledged. */
async function writeAndKill(root: string, count: number): Promise<number> {
  const child: ChildProcess = spawn(process.execPath, [WRITER, root], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  assert(child.stdout)
  let last = -1
  let left = count
  const lines = createInterface(child.stdout)
  lines.on('line', (line) => {
    last = Number(line)
    if (--left === 0) child.kill('SIGKILL')
  })
  await once(child, 'close')
  return last
}

describe('A process that is killed while it writes', () => {
  it('loses no file that it acknowledged', async () => {
    const root = mkdtempSync(join(tmpdir(), 'varve-kill-'))
    try {
      for (let kill = 0; kill < KILLS; kill++) {
        const last = await writeAndKill(root, 5 + kill * 9)
        const volume = await openAlone(root)
        assert.deepEqual(volume.figures().aside, [])
        for (let n = 0; n <= last; n++) {
          assert.isTrue((await readFile(volume, `f${n}`)).equals(pattern(lengthOf(n), n)), `f${n}`)
        }
        await volume.close()
      }
    } finally {
      rmSync(root, { recursive: true })
    }
  })
})
