/** `varve` as people run it: a process, against the real contracts on the real local ledger. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { assert } from 'chai'
import { type GridFixture, gridFixture, VOTING_SECONDS } from './grid-fixture.ts'

const MAIN = join(import.meta.dirname, '../../../client/cli/main.ts')

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

describe('varve on a grid of seven nodes', () => {
  let fixture: GridFixture
  let environment: Record<string, string>

  before(async () => {
    fixture = await gridFixture(7)
    const path = (name: string) => join(fixture.directory, name)
    writeFileSync(path('password'), 'a password', { mode: 0o600 })
    writeFileSync(path('tenant.hex'), fixture.tenant, { mode: 0o600 })
    environment = {
      VARVE_CONFIG: path('config.json'),
      VARVE_KEYSTORE: path('tenant.json'),
      VARVE_PASSWORD_FILE: path('password'),
    }
  })
  after(() => fixture?.close())

  function varve(args: readonly string[], extra: Record<string, string> = {}): Promise<Ran> {
    const child = spawn(process.execPath, [MAIN, ...args], {
      env: { PATH: process.env['PATH'] ?? '', ...environment, ...extra },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const parts = { out: '', err: '' }
    child.stdout.on('data', (part: Buffer) => (parts.out += part.toString()))
    child.stderr.on('data', (part: Buffer) => (parts.err += part.toString()))
    return new Promise((resolve) =>
      child.once('close', (code) => resolve({ code: code ?? -1, ...parts })),
    )
  }

  /** Runs with `--json`, expects success, and returns the document. */
  async function asked<T>(args: readonly string[], extra?: Record<string, string>): Promise<T> {
    const ran = await varve([...args, '--json'], extra)
    assert.equal(ran.code, 0, `varve ${args.join(' ')}: ${ran.err}`)
    return JSON.parse(ran.out) as T
  }

  const asHolder = () => ({ VARVE_PRIVATE_KEY: fixture.holder })

  it('is set up with a ledger, a grid and a key', async () => {
    assert.equal((await varve(['config', 'set', 'ledger', fixture.devnet.url])).code, 0)
    assert.equal((await varve(['config', 'set', 'grid', fixture.deployed.grid])).code, 0)
    const made = await asked<{ address: string }>([
      'keys',
      'import',
      join(fixture.directory, 'tenant.hex'),
    ])
    assert.equal(made.address, fixture.devnet.accounts[2]?.address)
    const { settings } = await asked<{ settings: Record<string, { from: string }> }>(['config'])
    assert.equal(settings['keystore']?.from, 'VARVE_KEYSTORE')
    const given = ['transfer', made.address, '1000', '--yes', '--until', 'mined']
    assert.equal((await varve(given, asHolder())).code, 0)
    const balance = await asked<{ tokens: string }>(['balance'])
    assert.equal(balance.tokens, (1000n * 10n ** 18n).toString())
  })

  it('lists nodes as a table and as JSON', async () => {
    const { out } = await varve(['nodes'])
    assert.match(out, /^NODE {2}FARM {2}STATE/)
    assert.equal(out.trim().split('\n').length, 8)
    assert.equal((await asked<unknown[]>(['nodes'])).length, 7)
    assert.equal((await asked<unknown[]>(['farms'])).length, 7)
  })

  it('shows audits, also while policy has them off', async () => {
    const shown = await asked<{ isOn: boolean; nodes: { newest: string }[]; disputes: unknown[] }>([
      'audits',
    ])
    assert.isFalse(shown.isOn)
    assert.deepEqual(
      shown.nodes.map(({ newest }) => newest),
      Array(7).fill('nothing'),
    )
    assert.deepEqual(shown.disputes, [])
    assert.include((await varve(['audits'])).out, 'off')
  })

  it('orders a volume and a mount, and follows them until they are final', async () => {
    const dry = await asked<{ price: string; slots: unknown[] }>([
      ...['order', 'volume', '--size', '1GiB', '--time', '1d', '--dry-run'],
    ])
    assert.equal(dry.slots.length, 9)
    const refused = await varve(['order', 'volume', '--size', '1GiB', '--time', '1d'])
    assert.equal(refused.code, 2)
    assert.include(refused.err, 'CONFIRMATION_MISSING')

    const ordered = await varve(['order', 'volume', '--size', '1GiB', '--time', '1d', '--yes'])
    assert.equal(ordered.code, 0, ordered.err)
    assert.equal(ordered.out, 'order 1\n')
    for (const stage of ['sent', 'mined', 'final']) assert.include(ordered.err, `${stage} `)

    const mount = await asked<{ order: number; gasUsed: string }>([
      ...['order', 'mount', '--volume', '1', '--node', '7', '--name', 'geth/ancient'],
      ...['--time', '1d', '--yes'],
    ])
    assert.equal(mount.order, 2)
    assert.isAbove(Number(mount.gasUsed), 100_000)
    const orders = await varve(['orders'])
    assert.match(orders.out, /volume of 1\.00 GiB, 4\+2 shards, 3 metadata stores/)
    assert.match(orders.out, /mount geth\/ancient/)
    const status = await varve(['status', '1'])
    for (const said of ['state', 'live', 'parity', 'metadata']) assert.include(status.out, said)
    assert.equal((await asked<{ mounts: number[] }>(['status', '1'])).mounts[0], 2)
  })

  it('shows what a local agent makes of an order', async () => {
    const socket = join(fixture.directory, 's.sock')
    const view = {
      ledger: { state: 'following' },
      orders: [
        { order: 2, state: 'refused', code: 'MOUNT_PATH_TAKEN', message: 'taken' },
        { order: 9 },
      ],
      mounts: [{ order: 2, path: '/mnt/geth/ancient', state: 'mounting' }],
    }
    const server = createServer((_, response) => response.end(JSON.stringify(view))).listen(socket)
    try {
      const { out } = await varve(['status', '2', '--agent', socket])
      assert.match(out, /order +refused, code MOUNT_PATH_TAKEN, message taken/)
      assert.match(out, /mount +mounting, \/mnt\/geth\/ancient/)
      const { agent } = await asked<{ agent: { orders: unknown[] } }>([
        'status',
        '2',
        '--agent',
        socket,
      ])
      assert.equal(agent.orders.length, 1)
    } finally {
      server.close()
      server.closeAllConnections()
    }
    const gone = await varve(['status', '2', '--agent', join(fixture.directory, 'none.sock')])
    assert.equal(gone.code, 3)
    assert.include(gone.err, 'STATUS_UNREACHABLE')
  })

  it('orders a store, extends and cancels it', async () => {
    const yes = ['--yes', '--until', 'mined']
    const { order } = await asked<{ order: number }>([
      ...['order', 'store', '--size', '1GiB', '--time', '1d', '--mode', 'seq', '--worm', ...yes],
    ])
    const more = await asked<{ paidUntil: number }>([
      'extend',
      String(order),
      '--time',
      '1h',
      ...yes,
    ])
    const before = await asked<{ paidUntil: number; state: string }>(['status', String(order)])
    assert.equal(before.paidUntil, more.paidUntil)
    assert.equal((await varve(['settle', String(order), '--until', 'mined'])).code, 0)
    const { refund } = await asked<{ refund: string }>(['cancel', String(order), ...yes])
    assert.isTrue(BigInt(refund) > 0n)
    assert.equal((await asked<{ state: string }>(['status', String(order)])).state, 'ended')
    assert.equal((await varve(['withdraw', '0.0000000001', '--until', 'mined'])).code, 0)
  })

  it('makes a farm, sponsors a node, drains one', async () => {
    const yes = ['--yes', '--until', 'mined']
    const { farm } = await asked<{ farm: number }>(['farm', 'create', 'eighth', ...yes])
    assert.equal(farm, 8)
    const account = `0x${'8'.repeat(40)}`
    const sponsor = ['farm', 'sponsor', '8', account, '--capacity', '1GiB', '--gas', '0.5', ...yes]
    const { stake } = await asked<{ stake: string }>(sponsor)
    assert.isTrue(BigInt(stake) > 0n)
    assert.equal((await varve(['farm', 'drain', '6', ...yes], asHolder())).code, 0)
    assert.match((await varve(['nodes'])).out, /6 +6 +draining/)
    assert.equal((await varve(['farm', 'drain', '6', '--open', ...yes], asHolder())).code, 0)
  })

  it('changes policy by a vote', async () => {
    const mined = ['--until', 'mined']
    assert.equal((await varve(['delegate', ...mined], asHolder())).code, 0)
    const { id } = await asked<{ id: string }>(
      ['propose', 'set', 'scrub-seconds', '2h', ...mined],
      asHolder(),
    )
    const short = id.slice(0, 12)
    for (;;) {
      const { state } = await asked<{ state: string }>(['proposals', short])
      if (state === 'active') break
      assert.equal(state, 'pending')
    }
    assert.equal((await varve(['vote', short, 'for', ...mined], asHolder())).code, 0)
    const queueing = varve(['queue', short, '--wait', ...mined], asHolder())
    await fixture.devnet.advance(VOTING_SECONDS)
    const queued = await queueing
    await fixture.beat()
    assert.equal(queued.code, 0, queued.err)
    assert.include(queued.err, 'proposal is succeeded')
    assert.equal((await varve(['execute', short, '--wait', ...mined], asHolder())).code, 0)
    assert.match((await varve(['policy'])).out, /scrubSeconds +7200 \(2h\)/)
    assert.match((await varve(['proposals'])).out, /executed +set scrubSeconds to 7200/)
  })

  it('ends with a code, a hint and an exit code when it is refused', async () => {
    const url = { VARVE_LEDGER: 'http://127.0.0.1:9' }
    const token = { VARVE_GRID: fixture.deployed.contracts.token }
    const wrong = { VARVE_PASSWORD_FILE: join(fixture.directory, 'tenant.hex') }
    const none = { VARVE_KEYSTORE: join(fixture.directory, 'none.json') }
    const store = ['order', 'store', '--size', '1GiB', '--yes']
    // biome-ignore format: a table to read down
    const cases: [args: string[], extra: Record<string, string>, code: number, said: string][] = [
      [['nodes'], url, 3, 'LEDGER_UNREACHABLE'],
      [['nodes'], token, 3, 'GRID_MISSING'],
      [['nodes', '--nope'], {}, 2, "unknown option '--nope'"],
      [['nopes'], {}, 2, "unknown command 'nopes'"],
      [[...store, '--time', '1s'], {}, 1, 'ORDER_DURATION_OUT_OF_RANGE'],
      [[...store, '--time', '1d', '--node', '99'], {}, 1, 'NODE_NOT_FOUND'],
      [['cancel', '1', '--yes'], asHolder(), 1, 'ORDER_NOT_TENANT'],
      [['status', '999'], {}, 1, 'ORDER_NOT_FOUND'],
      [['cancel', '1', '--yes'], wrong, 4, 'PASSWORD_WRONG'],
      [['balance'], none, 4, 'SIGNER_MISSING'],
      [['propose', 'set', 'taste', '1'], {}, 2, 'PARAMETER_UNKNOWN'],
    ]
    for (const [args, extra, code, said] of cases) {
      const ran = await varve(args, extra)
      assert.equal(ran.code, code, `varve ${args.join(' ')}: ${ran.err}`)
      assert.include(ran.err, said)
      assert.equal(ran.out, '')
      assert.notInclude(ran.err, fixture.tenant.slice(2))
    }
    const { err } = await varve(['status', '999', '--json'])
    assert.equal((JSON.parse(err) as { error: { code: string } }).error.code, 'ORDER_NOT_FOUND')
  })
})
