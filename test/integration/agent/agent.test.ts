/** The agent as processes against the real contracts, through an endpoint that lies; it dies, comes back, and drains. */
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { assert } from 'chai'
import { Wallet } from 'ethers'
import type { StatusDocument } from '../../../agent/surfaces/status.ts'
import { Grid } from '../../../client/sdk/index.ts'
import { devnetParameters } from '../../../scripts/deploy/parameters.ts'
import { deployGrid } from '../../../scripts/deploy.ts'
import { type Devnet, startDevnet } from '../../../scripts/devnet/devnet.ts'
import { AgentProcess } from '../../../scripts/grid/agent-process.ts'
import { type Lie, type LyingRpc, lyingRpc } from '../../support/lying-rpc.ts'

const WAIT_MS_MAX = 30_000
const MIB = 2 ** 20

describe('the agent on a real ledger', () => {
  let folder: string
  let devnet: Devnet
  let rpc: LyingRpc
  let farmer: Grid
  let agent: AgentProcess
  let farm: number

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'va-'))
    // Crossed by the users that units have.
    chmodSync(folder, 0o711)
    devnet = await startDevnet({ dataDir: join(folder, 'ledger'), blockTimeSeconds: 0.25 })
    rpc = await lyingRpc(devnet.url)
    const [deployer, holder] = devnet.accounts
    assert.isDefined(holder)
    const usual = devnetParameters(holder!.address)
    const { grid } = await deployGrid({
      url: devnet.url,
      deployerKey: deployer!.privateKey,
      // Blocks come four times faster than the chain's clock counts, so times are longer.
      parameters: {
        ...usual,
        policy: { ...usual.policy, HeartbeatSeconds: 20n, LostSeconds: 60n, GraceSeconds: 5n },
      },
      deploymentDir: join(folder, 'deployment'),
    })
    farmer = await Grid.connect({
      url: devnet.url,
      address: grid,
      signer: new Wallet(holder!.privateKey),
    })
    farm = (await farmer.createFarm('farm', { until: 'mined' })).farm ?? 0
    agent = new AgentProcess({
      name: 'a',
      dataDir: join(folder, 'a'),
      ledgerUrls: [rpc.url],
      grid,
      listen: `/ip4/127.0.0.1/tcp/${await freePort()}`,
      extra: ['--capacity', '64 MiB', '--poll', '100', '--ledger-time', 'warped'],
    })
    agent.start()
  })
  after(async () => {
    await agent?.stop()
    farmer?.close()
    await rpc?.close()
    await devnet?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  async function until(
    what: string,
    holds: (status: StatusDocument) => boolean,
  ): Promise<StatusDocument> {
    const deadline = Date.now() + WAIT_MS_MAX
    for (;;) {
      const status = (await agent.status()) as unknown as StatusDocument | undefined
      if (status && holds(status)) return status
      if (Date.now() > deadline) {
        const log = readFileSync(agent.logPath, 'utf8').split('\n').slice(-15).join('\n')
        assert.fail(`waited in vain: ${what}\n${JSON.stringify(status?.ledger)}\n${log}`)
      }
      await sleep(50)
    }
  }
  const slots = (status: StatusDocument) =>
    status.slots.map(({ namespace, state }) => `${namespace} ${state}`).join(', ')
  const namespacesOf = (status: StatusDocument) => {
    const store = status.units.find(({ name }) => name === 'store')
    const list = (store?.status?.['namespaces'] ?? []) as { name: string }[]
    return list.map(({ name }) => name).sort()
  }
  const order = async () =>
    (await farmer.orderStore({ sizeBytes: MIB, seconds: 3600 }, { until: 'mined' })).order

  it('waits for a farm and says for which account', async () => {
    const status = await until(
      'a clear wait',
      ({ registration }) =>
        registration?.code !== undefined && registration.code !== 'REGISTRATION_LEDGER_UNREAD',
    )
    assert.equal(status.registration?.code, 'REGISTRATION_NOT_SPONSORED')
    assert.include(status.registration?.hint, status.account)
    assert.equal(JSON.stringify(status).includes('privateKey'), false)
  })

  it('registers once it is sponsored, and beats', async () => {
    const { account } = await until('an account', () => true)
    const stake = await farmer.stakeFor(64 * MIB)
    await farmer.sponsor({ farm, account, stake, gasWei: 10n ** 18n }, { until: 'mined' })
    const first = await until('a registration', ({ node }) => node !== undefined)
    assert.equal(first.own?.capacityBytes, 64 * MIB)
    const before = first.own?.lastHeartbeat ?? 0
    await until('a heartbeat', ({ own }) => (own?.lastHeartbeat ?? 0) > before)
  })

  it('provisions a store order at finality', async () => {
    const id = await order()
    const status = await until('the namespace', (now) => namespacesOf(now).includes(`o${id}.0`))
    assert.equal(slots(status), `o${id}.0 live`)
  })

  // Each lie, told while an order is placed and another cancelled: neither is obeyed before the truth is back.
  const frozen = new Map<string, unknown>()
  const LIES: [why: string, lie: Lie | 'down', want: string][] = [
    ['is down', 'down', 'LEDGER_UNREACHABLE'],
    [
      'says another chain id',
      (call, result) => (call.method === 'eth_chainId' ? '0x1' : result),
      'LEDGER_WRONG_CHAIN',
    ],
    [
      'goes back to an older head',
      (call, result) =>
        call.method === 'eth_getBlockByNumber' &&
        typeof call.params[0] === 'string' &&
        /^[lf]/.test(call.params[0])
          ? { ...(result as object), number: '0x1' }
          : result,
      'LEDGER_HEADER_FORGED',
    ],
    [
      'tells a time that is ten days ahead',
      (call, result) =>
        call.method === 'eth_getBlockByNumber' ? later(result as TimedBlock) : result,
      'LEDGER_HEADER_FORGED',
    ],
    [
      'withholds logs',
      (call, result) => (call.method === 'eth_getLogs' ? [] : result),
      'LEDGER_LOGS_WITHHELD',
    ],
    [
      'gives final blocks other hashes',
      (call, result) =>
        call.method === 'eth_getBlockByNumber' && /^0x/.test(String(call.params[0]))
          ? { ...(result as object), hash: `0x${'ab'.repeat(32)}` }
          : result,
      'LEDGER_HEADER_FORGED',
    ],
    [
      'answers nonsense',
      (call, result) => (call.method === 'eth_call' ? '0x00' : result),
      'LEDGER_RESPONSE_INVALID',
    ],
    [
      'stands still',
      (call, result) => {
        if (call.method !== 'eth_getBlockByNumber' || !/^[lf]/.test(String(call.params[0])))
          return result
        const key = String(call.params[0])
        if (!frozen.has(key)) frozen.set(key, result)
        return frozen.get(key)
      },
      '',
    ],
  ]
  for (const [why, lie, want] of LIES) {
    it(`does nothing of what it is told while the endpoint ${why}`, async () => {
      const start = await until('following', ({ ledger }) => ledger.state === 'following')
      const [held] = start.orders.filter(({ state }) => state === 'provisioned')
      const before = { slots: slots(start), namespaces: namespacesOf(start) }
      rpc.lie = lie
      const placed = await order()
      await farmer.cancel(held!.order, { until: 'mined' })
      if (want !== '') {
        await until(`the code ${want}`, ({ ledger }) => ledger.code?.startsWith(want) === true)
      }
      const from = rpc.asked
      while (lie !== 'down' && rpc.asked < from + 20) await sleep(20)
      const during = await until('a status', () => true)
      assert.equal(slots(during), before.slots)
      assert.deepEqual(namespacesOf(during), before.namespaces)
      rpc.lie = undefined
      await until('both to be obeyed', (now) => {
        const names = namespacesOf(now)
        return names.includes(`o${placed}.0`) && !names.includes(`o${held!.order}.0`)
      })
    })
  }

  it('comes back after a crash with what it knew, before the ledger answers, and adopts its units', async () => {
    const before = await until('following', ({ ledger }) => ledger.state === 'following')
    rpc.lie = 'down'
    agent.killAgent()
    const after = await until(
      'the agent to be back',
      (now) =>
        now.pid !== before.pid &&
        now.units.length === 2 &&
        now.units.every(({ state }) => state === 'running'),
    )
    assert.equal(slots(after), slots(before))
    assert.deepEqual(
      after.units.map(({ name, pid, adopted }) => [name, pid, adopted]),
      before.units.map(({ name, pid }) => [name, pid, true]),
      'the units of before were adopted (needs sources that nobody edits meanwhile)',
    )
    assert.equal(after.node, before.node)
    await until('the reason', ({ ledger }) => ledger.code === 'LEDGER_UNREACHABLE')
    rpc.lie = undefined
    await until('following', ({ ledger }) => ledger.state === 'following')
  })

  it('answers people: status, metrics, and a second agent that must not start', async () => {
    const status = await until('metrics', ({ metricsUrl }) => metricsUrl !== undefined)
    const metrics = await (await fetch(status.metricsUrl!)).text()
    assert.match(metrics, /^varve_ledger_following 1$/m)
    assert.match(metrics, /^varve_unit_up\{unit="store",kind="store"\} 1$/m)
    const said = await runMain('status', '--data', agent.options.dataDir)
    assert.match(said.out, /^registration +registered/m)
    assert.match(said.out, /^unit store +running/m)
    const { grid, dataDir } = agent.options
    const second = await runMain('run', '--ledger', rpc.url, '--grid', grid, '--data', dataDir)
    assert.equal(second.code, 1)
    assert.match(second.out, /AGENT_ALREADY_RUNNING/)
  })

  it('drains its units on SIGTERM and leaves no socket behind', async () => {
    await agent.stop()
    for (const name of ['status', 'store/control', 'links/control', 'store/peer', 'links/dial']) {
      assert.isFalse(existsSync(join(agent.options.dataDir, 'run', `${name}.sock`)), name)
    }
    assert.match(readFileSync(agent.logPath, 'utf8'), /agent ends/)
  })
})

interface TimedBlock {
  readonly timestamp: string
}

function later(block: TimedBlock): TimedBlock {
  return { ...block, timestamp: `0x${(Number(block.timestamp) + 864_000).toString(16)}` }
}

/** A port that nobody listens on now. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function runMain(...args: string[]): Promise<{ code: number; out: string }> {
  const main = new URL('../../../agent/main.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      out += data.toString('utf8')
    })
  }
  const code = await new Promise<number>((resolve) => child.once('close', (c) => resolve(c ?? 1)))
  return { code, out }
}
