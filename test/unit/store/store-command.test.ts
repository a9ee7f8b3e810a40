/** The command line of the stand-alone store, as far as it refuses. */
import { expect } from 'chai'
import { runStoreCommand } from '../../../agent/units/store/store-command.ts'
import { silentLog } from '../../support/log-store.ts'

describe('varve-agent store', () => {
  const refused: readonly (readonly [says: RegExp, ...argv: string[]])[] = [
    [/--data DIR is needed/],
    [/Unknown option '--bogus'/, '--bogus'],
    [/--port/, '--data', 'd', '--port'],
    [/--port is a number/, '--data', 'd', '--port', 'ninety'],
    [/--port is a number/, '--data', 'd', '--port', '65536'],
    [/--sync is one of always, group, never/, '--data', 'd', '--sync', 'often'],
    [/--mode is one of user, seq, mixed/, '--data', 'd', '--mode', 'both'],
    [/--segment-bytes is a size/, '--data', 'd', '--segment-bytes', 'large'],
    [/Unexpected argument 'serve'/, 'serve'],
  ]
  for (const [says, ...argv] of refused) {
    it(`refuses "${argv.join(' ')}" in one line with a code`, async () => {
      const lines: string[] = []
      const exitCode = await runStoreCommand(argv, (line) => lines.push(line), silentLog)
      expect(exitCode).to.equal(1)
      expect(lines).to.have.length(1)
      expect(lines[0]).to.match(/^STORE_USAGE: .*; see --help$/)
      expect(lines[0]).to.match(says)
    })
  }
})
