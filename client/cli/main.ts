/**
 * `varve`, the command line of tenants, farmers and voters. Results go to standard output, everything else to standard
 * error; the exit code says what kind of end it was. It ends as soon as all is said, whatever was still under way.
 */
import { readFileSync } from 'node:fs'
import { printRemark } from '../../agent/adapters/process/standard-streams.ts'
import { EXIT } from '../../agent/base/exit-codes.ts'
import { runProgram } from './run-program.ts'

const manifest = new URL('../../package.json', import.meta.url)
const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }

// Written at once by `standard-streams`; what libraries print themselves must not end the process either.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
process.on('uncaughtException', (caught) => {
  printRemark(`varve: a bug: ${caught.stack}\n`)
  process.exit(EXIT.bug)
})
process.exit(await runProgram(version, process.argv))
