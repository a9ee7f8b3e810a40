/** Configuration: what wins, what is refused, and an example file that says what is so. */
import { readFileSync } from 'node:fs'
import { assert } from 'chai'
import { NodeError } from '../../../agent/base/errors.ts'
import { parseConfigFile, resolveConfig, SETTINGS } from '../../../agent/config/config.ts'
import { AGENT_ERRORS } from '../../../agent/error-hints.ts'
import { createLog } from '../../../agent/surfaces/log.ts'

const GRID = `0x${'a'.repeat(40)}`
const NEEDED = { ledger: ['http://127.0.0.1:8545'], grid: GRID }

function problem(file: Record<string, unknown>, flags = {}): string {
  try {
    resolveConfig(file, { ...NEEDED, ...flags })
    return 'fine'
  } catch (caught) {
    return caught instanceof NodeError ? `${caught.code} ${caught.message}` : String(caught)
  }
}

describe('the configuration', () => {
  it('takes flags before the file before the defaults, and says which', () => {
    const { config, origins } = resolveConfig(
      { pollMs: 200, stallSeconds: 9 },
      { ...NEEDED, pollMs: 100 },
    )
    assert.equal(config.pollMs, 100)
    assert.equal(config.stallSeconds, 9)
    assert.equal(config.logLevel, 'info')
    assert.deepEqual(
      [origins.pollMs.origin, origins.stallSeconds.origin, origins.logLevel.origin],
      ['flag', 'file', 'default'],
    )
  })

  it('announces where it listens unless told otherwise', () => {
    const listen = ['/ip4/10.0.0.1/tcp/4100']
    assert.deepEqual(resolveConfig({}, { ...NEEDED, listen }).config.announce, listen)
    const other = { ...NEEDED, listen, announce: ['/dns4/a.example/tcp/1'] }
    assert.deepEqual(resolveConfig({}, other).config.announce, ['/dns4/a.example/tcp/1'])
  })

  it('reads sizes and amounts as people write them', () => {
    const { config } = resolveConfig(
      { capacity: '2 GiB', cache: 1024, pricePerGibSecond: 7 },
      NEEDED,
    )
    assert.deepEqual(
      [config.capacityBytes, config.cacheBytes, config.pricePerGibSecond],
      [2 ** 31, 1024, 7n],
    )
  })

  // biome-ignore format: a table
  const BAD: [why: string, file: Record<string, unknown>, flags: Record<string, unknown>, what: RegExp][] = [
    ['an unknown setting',    { polMs: 1 },              {},                          /CONFIG_INVALID .*polMs/],
    ['no ledger',             {},                        { ledger: [] },              /CONFIG_INVALID ledger/],
    ['a ledger of no URL',    {},                        { ledger: ['ftp://x'] },     /CONFIG_INVALID ledger\.0/],
    ['a grid of no address',  {},                        { grid: '0x12' },            /CONFIG_INVALID grid/],
    ['no multiaddr',          { listen: ['127.0.0.1'] }, {},                          /CONFIG_INVALID listen\.0/],
    ['a number that is none', {},                        { pollMs: Number.NaN },      /CONFIG_INVALID pollMs/],
    ['a size that is none',   { capacity: 'much' },      {},                          /CONFIG_INVALID capacity/],
    ['a relative mount root', { mountRoot: 'mnt' },      {},                          /CONFIG_INVALID mountRoot/],
    ['two mistakes at once',  { pollMs: 1, cache: '?' }, {},                          /pollMs.*cache|cache.*pollMs/],
  ]
  for (const [why, file, flags, what] of BAD) {
    it(`refuses ${why}`, () => assert.match(problem(file, flags), what))
  }

  it('has an example file with every setting, its meaning and its default', () => {
    const path = new URL('../../../agent/config/example.jsonc', import.meta.url)
    const text = readFileSync(path, 'utf8')
    const values = parseConfigFile(text)
    assert.deepEqual(Object.keys(values), Object.keys(SETTINGS))
    for (const [name, { about, value }] of Object.entries(SETTINGS)) {
      assert.include(text, `// ${about}\n  "${name}":`)
      if (name !== 'ledger' && name !== 'grid') assert.deepEqual(values[name], value, name)
    }
    resolveConfig(values, {})
  })

  it('reads JSON with comments, and leaves what only looks like one', () => {
    assert.deepEqual(parseConfigFile('{ // a\n "u": "http://x//y", "l": [1, 2,], // b\n}'), {
      u: 'http://x//y',
      l: [1, 2],
    })
    for (const text of ['', '[]', '{', '{"a" 1}']) {
      assert.throws(() => parseConfigFile(text), NodeError)
    }
  })
})

describe('the log', () => {
  it('never writes a secret, however deep it lies', () => {
    let written = ''
    const log = createLog({
      level: 'debug',
      json: true,
      to: { write: (text) => (written += text) },
    })
    log.info({ privateKey: 'S1', config: { volumeKey: 'S2', inner: { password: 'S3' } } }, 'x')
    log.child({ unit: 'u' }).warn({ seed: 'S4' }, 'y')
    assert.notMatch(written, /S[1-4]/)
    assert.equal(written.trim().split('\n').length, 2)
  })

  it('writes lines for people', () => {
    let written = ''
    createLog({ level: 'info', json: false, to: { write: (text) => (written += text) } }).warn(
      { a: 1 },
      'hello',
    )
    assert.match(written, /^\d\d:\d\d:\d\d WARN {2}hello a=1\n$/)
  })
})

describe('the error catalogue of the agent', () => {
  it('explains every code in a sentence, and says what to do', () => {
    for (const [code, { means, hint }] of Object.entries(AGENT_ERRORS)) {
      assert.match(code, /^[A-Z][A-Z0-9_]+$/)
      assert.match(means, /\.$/, code)
      assert.match(hint, /\.$/, code)
    }
  })
})
