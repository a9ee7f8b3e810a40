/** The command line without a ledger: help, settings, arguments, tables, keystores. */
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from 'chai'
import { type Command, InvalidArgumentError } from 'commander'
import { Wallet } from 'ethers'
import { codeOf } from '../../../agent/base/errors.ts'
import { EXIT, exitCodeOf } from '../../../agent/base/exit-codes.ts'
import { CLI_ERRORS } from '../../../client/cli/errors.ts'
import { makeKeystore, openWallet, showKeystore } from '../../../client/cli/keystore.ts'
import { duration, facts, json, moment, table } from '../../../client/cli/output.ts'
import {
  amountArgument,
  durationArgument,
  numberArgument,
  shardsArgument,
  sizeArgument,
} from '../../../client/cli/parse.ts'
import { varveProgram } from '../../../client/cli/program.ts'
import { resolveSettings, writeSetting } from '../../../client/cli/settings.ts'
import { terminal } from '../../../client/cli/terminal.ts'
import { CLIENT_ERRORS } from '../../../client/sdk/index.ts'

const silent = terminal({ isQuiet: true, isYes: false })

async function codeThrownBy(act: () => unknown): Promise<string | undefined> {
  try {
    await act()
    return undefined
  } catch (caught) {
    return codeOf(caught) ?? String(caught)
  }
}

function leaves(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves)
}

function helpOf(command: Command): string {
  let text = ''
  command.configureOutput({ writeOut: (part) => (text += part) }).outputHelp()
  return text
}

describe('varve', () => {
  it('explains every command with a description and an example that names it', () => {
    const commands = leaves(varveProgram('1')).filter((one) => one.name() !== 'help')
    assert.isAbove(commands.length, 25)
    for (const command of commands) {
      const names = [command.name()]
      for (let at = command.parent; at?.parent; at = at.parent) names.unshift(at.name())
      const path = names.join(' ')
      assert.include(helpOf(command), `$ varve ${path}`, path)
      assert.isAbove(command.description().length, 10, path)
    }
  })

  it('takes no secret as an argument', () => {
    for (const command of leaves(varveProgram('1'))) {
      const flags = command.options.map(({ flags: text }) => text).join(' ')
      assert.notMatch(flags, /--(password|key|private-key|mnemonic|secret)[ =<]/, command.name())
    }
  })

  it('gives every failure an exit code, and documents it', () => {
    const help = helpOf(varveProgram('1'))
    for (const code of [...Object.keys(CLI_ERRORS), ...Object.keys(CLIENT_ERRORS)]) {
      assert.include(help, `\n  ${String(exitCodeOf(code)).padStart(2)}  `, code)
    }
    assert.equal(exitCodeOf('NODE_FULL'), EXIT.refused)
    assert.equal(exitCodeOf('LEDGER_UNREACHABLE'), EXIT.unreachable)
  })
})

describe('arguments', () => {
  // biome-ignore format: a table to read down
  const cases: [parse: (text: string) => unknown, text: string, want: unknown][] = [
    [sizeArgument, '64MiB', 64 * 2 ** 20],
    [sizeArgument, '0', undefined],
    [sizeArgument, 'big', undefined],
    [durationArgument, '90', 90],
    [durationArgument, '2h', 7200],
    [durationArgument, '1w', 604_800],
    [durationArgument, '0s', undefined],
    [durationArgument, '1y', undefined],
    [amountArgument, '1.5', 15n * 10n ** 17n],
    [amountArgument, '0', undefined],
    [amountArgument, '-1', undefined],
    [numberArgument, '7', 7],
    [numberArgument, '0', undefined],
    [numberArgument, '1e3', undefined],
    [shardsArgument, '4+2', { dataShards: 4, parityShards: 2 }],
    [shardsArgument, '0+2', undefined],
    [shardsArgument, '200+56', undefined],
    [shardsArgument, '4', undefined],
  ]
  for (const [parse, text, want] of cases) {
    it(`${parse.name} of "${text}" is ${want === undefined ? 'refused' : json(want)}`, () => {
      if (want === undefined) return assert.throws(() => parse(text), InvalidArgumentError)
      assert.deepEqual(parse(text), want)
    })
  }
})

describe('output', () => {
  it('aligns tables, numbers at the right', () => {
    const columns = [
      { title: 'N', of: (row: [number, string]) => String(row[0]), isRight: true },
      { title: 'NAME', of: (row: [number, string]) => row[1] },
    ]
    const rows: [number, string][] = [
      [1, 'a'],
      [100, 'bcd'],
    ]
    assert.equal(table(columns, rows), '  N  NAME\n  1  a\n100  bcd')
    assert.equal(
      facts([
        ['a', 'x'],
        ['long', 'y'],
        ['none', undefined],
      ]),
      'a     x\nlong  y',
    )
  })

  it('writes moments, durations, bytes and large numbers', () => {
    assert.deepEqual([moment(0), moment(1_700_000_000)], ['-', '2023-11-14 22:13:20'])
    assert.deepEqual([0, 59, 3661, 90_000].map(duration), ['0s', '59s', '1h 1m', '1d 1h'])
    assert.equal(
      json({ a: 2n ** 70n, b: Uint8Array.of(1, 255) }),
      `{"a":"${2n ** 70n}","b":"0x01ff"}`,
    )
  })
})

describe('settings and keystores', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'varve-cli-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  const path = (name: string) => join(directory, name)
  const settingsOf = (values: Record<string, string>) =>
    resolveSettings({ config: path('none.json'), ...values }, {})

  it('come from options, else the environment, else the file, and say so', () => {
    const file = path('config.json')
    writeSetting(file, 'ledger', 'http://file')
    writeSetting(file, 'grid', `0x${'11'.repeat(20)}`)
    writeSetting(file, 'passwordFile', 'file-passwordFile')
    const environment = { VARVE_CONFIG: file, VARVE_GRID: 'env-grid', VARVE_LEDGER: 'env-ledger' }
    const { values } = resolveSettings({ ledger: 'option-ledger' }, environment)
    assert.deepInclude(values, {
      ledger: { value: 'option-ledger', from: '--ledger' },
      grid: { value: 'env-grid', from: 'VARVE_GRID' },
      passwordFile: { value: 'file-passwordFile', from: file },
    })
    assert.equal(statSync(file).mode & 0o077, 0)
    writeSetting(file, 'grid', undefined)
    assert.notProperty(JSON.parse(readFileSync(file, 'utf8')), 'grid')
  })

  it('refuse a file with names that mean nothing', async () => {
    writeFileSync(path('config.json'), '{"ledgr":"x"}')
    const config = path('config.json')
    assert.equal(await codeThrownBy(() => resolveSettings({ config }, {})), 'CONFIG_INVALID')
  })

  it('keep a key encrypted, open it with the password alone, and never overwrite it', async () => {
    writeFileSync(path('password'), 'correct horse\n', { mode: 0o600 })
    const settings = settingsOf({ keystore: path('key.json'), passwordFile: path('password') })
    const made = await makeKeystore(settings, {}, silent)
    assert.equal(statSync(made.path).mode & 0o077, 0)
    assert.equal(showKeystore(settings).address.toLowerCase(), made.address.toLowerCase())
    const wallet = await openWallet(settings, {}, silent)
    assert.equal(wallet.address, made.address)
    assert.notInclude(readFileSync(made.path, 'utf8'), wallet.privateKey.slice(2))
    assert.equal(await codeThrownBy(() => makeKeystore(settings, {}, silent)), 'KEYSTORE_EXISTS')
    assert.isFalse(existsSync(`${made.path}.new`))

    writeFileSync(path('password'), 'wrong')
    assert.equal(await codeThrownBy(() => openWallet(settings, {}, silent)), 'PASSWORD_WRONG')
    chmodSync(path('password'), 0o644)
    assert.equal(await codeThrownBy(() => openWallet(settings, {}, silent)), 'KEYSTORE_OPEN')
    const bare = settingsOf({ keystore: path('key.json') })
    assert.equal(await codeThrownBy(() => openWallet(bare, {}, silent)), 'PASSWORD_MISSING')
    const opened = await openWallet(bare, { VARVE_PASSWORD: 'correct horse' }, silent)
    assert.equal(opened.address, made.address)
  })

  it('import a bare key only from a file that is its owner’s alone, and say nothing of a bad one', async () => {
    const key = `0x${'42'.repeat(32)}`
    writeFileSync(path('bare'), `${key}\n`, { mode: 0o644 })
    const settings = settingsOf({ keystore: path('key.json') })
    const environment = { VARVE_PASSWORD: 'x' }
    const importing = () => makeKeystore(settings, environment, silent, path('bare'))
    assert.equal(await codeThrownBy(importing), 'KEYSTORE_OPEN')
    chmodSync(path('bare'), 0o600)
    assert.equal((await importing()).address, new Wallet(key).address)

    writeFileSync(path('bad'), '0xdeadbeef-secret', { mode: 0o600 })
    const other = settingsOf({ keystore: path('other.json') })
    const caught = await makeKeystore(other, environment, silent, path('bad')).catch((one) => one)
    assert.equal(caught.code, 'KEY_UNREADABLE')
    assert.notInclude(`${caught.stack}${caught.cause}`, 'deadbeef')
  })

  it('use the environment’s key for machines, and say when there is none', async () => {
    const settings = settingsOf({ keystore: path('none.json') })
    const key = `0x${'42'.repeat(32)}`
    const wallet = await openWallet(settings, { VARVE_PRIVATE_KEY: key }, silent)
    assert.equal(wallet.address, new Wallet(key).address)
    assert.equal(await codeThrownBy(() => openWallet(settings, {}, silent)), 'SIGNER_MISSING')
    assert.equal(await codeThrownBy(() => showKeystore(settings)), 'KEYSTORE_MISSING')
  })

  it('ask nobody where there is no terminal', async () => {
    if (silent.isInteractive) return
    assert.equal(await codeThrownBy(() => silent.confirm('sure?')), 'CONFIRMATION_MISSING')
    assert.isUndefined(
      await codeThrownBy(() => terminal({ isQuiet: true, isYes: true }).confirm('sure?')),
    )
  })
})
