/** `varve` and `varve-agent` as a newcomer starts them: on the machine's own Node, which may be too old to run them. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { assert } from 'chai'
import {
  dialStoreProgram,
  freePort,
  type StoreProgram,
  startStoreProgram,
} from '../../support/store-program.ts'

const BIN = join(import.meta.dirname, '../../../bin')
const runFile = promisify(execFile)

/** npm runs on the machine's Node; where that is not known, or new enough, only the direct way is tried. */
const nodes = new Set([process.env['npm_node_execpath'] ?? process.execPath, process.execPath])

for (const node of nodes) {
  describe(`the programs on ${node === process.execPath ? 'the pinned Node' : "npm's Node"}`, () => {
    let directory: string
    const started: StoreProgram[] = []
    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'varve-bin-'))
    })
    afterEach(async () => {
      for (const program of started.splice(0)) await program.kill()
      rmSync(directory, { recursive: true, force: true })
    })

    async function start(): Promise<StoreProgram> {
      const command = [node, join(BIN, 'varve-agent.mjs')] as const
      const options = ['--sync', 'always']
      const program = await startStoreProgram(directory, await freePort(), options, command)
      started.push(program)
      return program
    }

    it('serve until a signal to the process that was started, and lose nothing by SIGKILL', async () => {
      const first = await start()
      const connection = await dialStoreProgram(first.port)
      await connection.request(['SET', 'key', 'value'])
      connection.close()
      await first.kill()

      const second = await start()
      const again = await dialStoreProgram(second.port)
      assert.equal(String(await again.request(['GET', 'key'])), 'value')
      again.close()
      assert.equal(await second.stop(), 0)
    })

    it('pass on arguments and what is printed, and say how they ended', async () => {
      const { stdout } = await runFile(node, [join(BIN, 'varve.mjs'), '--version'])
      assert.match(stdout, /^\d+\.\d+\.\d+\n$/)
      const wrong = await runFile(node, [join(BIN, 'varve-agent.mjs'), 'stor']).catch(
        (refused: unknown) => refused,
      )
      // Wrong usage, in both programs.
      assert.include(wrong, { code: 2, stdout: '' })
      assert.match(String(Reflect.get(Object(wrong), 'stderr')), /Did you mean store/)
    })

    it('end quietly when whoever reads has seen enough', async () => {
      for (const name of ['varve.mjs', 'varve-agent.mjs']) {
        const child = spawn(node, [join(BIN, name), '--help'], {
          stdio: ['ignore', 'pipe', 'pipe'],
        })
        child.stdout.destroy()
        let said = ''
        child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()))
        const [code] = await once(child, 'close')
        assert.deepEqual([name, code, said], [name, 0, ''])
      }
    })
  })
}
