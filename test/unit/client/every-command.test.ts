/**
 * What holds for every command of `varve`, walked over the program's tree, so that a new command cannot break it:
 *
 * 1. `--json` gives one document and nothing else, on standard output if the command succeeds and else on standard error;
 * 2. wrong usage ends with exit code 2 and is said once;
 * 3. an account that is mistyped (EIP-55) is wrong usage, wherever one is taken;
 * 4. a number that the ledger cannot hold is wrong usage, wherever one is taken.
 */
import { assert } from 'chai'
import type { Argument, Command, Option } from 'commander'
import { EXIT } from '../../../agent/base/exit-codes.ts'
import { varveProgram } from '../../../client/cli/program.ts'
import { runProgram } from '../../../client/cli/run-program.ts'

const GOOD = '0x69923A0c30e1Fe8a35Fd8db446e8214663c4C926'.toLowerCase()
const MISTYPED = '0x69923A0C30e1fe8a35fd8db446e8214663c4c926'
const HUGE = '99999999999999999999999999'

function leaves(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves)
}

function pathOf(command: Command): string[] {
  const names: string[] = []
  for (let at: Command | null = command; at?.parent; at = at.parent) names.unshift(at.name())
  return names
}

async function ran(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' }
  const code = await runProgram('1.2.3', ['node', 'varve', ...args], {
    printResult(text) {
      said.out += text
    },
    printRemark(text) {
      said.err += text
    },
  })
  return { code, ...said }
}

function errorIn(text: string): { code: string; message: string; hint: string } {
  assert.equal(text.trimEnd().split('\n').length, 1, text)
  return (JSON.parse(text) as { error: { code: string; message: string; hint: string } }).error
}

const commands = leaves(varveProgram('1'))
type Taken = { readonly where: string; readonly parse: (text: string) => unknown }

/** Everything that a command takes and checks, arguments and options alike. */
const taken: Taken[] = [varveProgram('1'), ...commands].flatMap((command) =>
  [...command.registeredArguments, ...command.options].map((one: Argument | Option) => ({
    where: `${pathOf(command).join(' ')} ${'flags' in one ? one.flags : one.name()}`,
    parse: (text: string) =>
      (one.parseArg as ((t: string, b: unknown) => unknown) | undefined)?.(text, undefined),
  })),
)

function isRefused({ parse }: Taken, text: string): boolean {
  try {
    parse(text)
    return false
  } catch {
    return true
  }
}

describe('every command of varve', () => {
  for (const command of commands) {
    const path = pathOf(command)
    it(`"varve ${path.join(' ')}" fails with one document, and says wrong usage once to people`, async () => {
      const asProgram = await ran(...path, '--json', '--no-such-option')
      assert.deepEqual([asProgram.code, asProgram.out], [EXIT.usage, ''])
      const error = errorIn(asProgram.err)
      assert.equal(error.code, 'USAGE_INVALID')
      // Commander says what is missing before it says what is too much.
      assert.match(error.message, /unknown option '--no-such-option'|required option/)
      assert.isNotEmpty(error.hint)

      const asPerson = await ran(...path, '--no-such-option')
      assert.equal(asPerson.code, EXIT.usage)
      assert.equal(asPerson.err.split(error.message).length, 2, asPerson.err)
    })

    it(`"varve ${path.join(' ')} --help" is one document with --json`, async () => {
      const { code, out, err } = await ran('--json', ...path, '--help')
      assert.deepEqual([code, err], [EXIT.done, ''])
      assert.include((JSON.parse(out) as { help: string }).help, 'Usage: varve')
    })
  }

  it('takes accounts that are mistyped nowhere', () => {
    const ofAccounts = taken.filter((one) => isRefused(one, '0x12') && !isRefused(one, GOOD))
    const named = taken.filter(({ where }) => /account|--grid|--writers|--readers/.test(where))
    assert.deepEqual(
      named.filter((one) => !ofAccounts.includes(one)).map(({ where }) => where),
      [],
      'what is named for an account checks it',
    )
    assert.isAtLeast(ofAccounts.length, 7)
    for (const one of ofAccounts) assert.isTrue(isRefused(one, MISTYPED), one.where)
  })

  it('takes numbers that nothing can hold nowhere', () => {
    const ofNumbers = taken.filter((one) => isRefused(one, 'x') && !isRefused(one, '1'))
    assert.isAtLeast(ofNumbers.length, 20)
    for (const one of ofNumbers) {
      for (const text of ['-1', '1e3', '0x10', '', ' ', 'NaN', 'Infinity']) {
        assert.isTrue(isRefused(one, text), `${one.where} takes "${text}"`)
      }
      // A proposal's number has 256 bits, and its beginning is enough.
      if (!/proposal/.test(one.where)) {
        assert.isTrue(isRefused(one, HUGE.repeat(3)), `${one.where} takes a huge number`)
      }
    }
  })

  it('shows its version, also as a document', async () => {
    assert.deepEqual(await ran('--version'), { code: 0, out: '1.2.3\n', err: '' })
    assert.deepEqual(await ran('--version', '--json'), {
      code: 0,
      out: '{"version":"1.2.3"}\n',
      err: '',
    })
  })

  it('says which subcommand is missing', async () => {
    const { code, out, err } = await ran('farm', '--json')
    assert.deepEqual([code, out], [EXIT.usage, ''])
    assert.equal(errorIn(err).message, 'a subcommand is missing')
  })
})
