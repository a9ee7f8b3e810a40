/** The command line of the stand-alone store, as far as it refuses. */
import { expect } from 'chai'
import { describeError } from '../../../agent/base/errors.ts'
import { EXIT, exitCodeOf } from '../../../agent/base/exit-codes.ts'
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
    it(`refuses "${argv.join(' ')}" with a code that ends the program as wrong usage`, async () => {
      const lines: string[] = []
      const caught: unknown = await runStoreCommand(
        argv,
        (line) => lines.push(line),
        silentLog,
      ).catch((refusal: unknown) => refusal)
      expect(lines).to.deep.equal([])
      expect(describeError(caught)).to.match(/^STORE_USAGE: .*; see --help$/)
      expect(describeError(caught)).to.match(says)
      expect(exitCodeOf('STORE_USAGE')).to.equal(EXIT.usage)
    })
  }
})
