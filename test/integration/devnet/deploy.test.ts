/** Deploying the real contracts on the real local ledger: once, again, after a kill at any request, and on the wrong chain. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { assert } from 'chai'
import { Contract, Interface, JsonRpcProvider, NonceManager, Wallet, ZeroHash } from 'ethers'
import { codeOf } from '../../../agent/base/errors.ts'
import { artifactsIn } from '../../../scripts/deploy/artifacts.ts'
import { callInput, makeInput } from '../../../scripts/deploy/factory.ts'
import { devnetParameters } from '../../../scripts/deploy/parameters.ts'
import { placeFactory } from '../../../scripts/deploy/place-factory.ts'
import { type DeployedGrid, deployGrid, placeGrid } from '../../../scripts/deploy.ts'
import { type Devnet, startDevnet } from '../../../scripts/devnet/devnet.ts'
import { type LyingRpc, lyingRpc } from '../../support/lying-rpc.ts'

const ROOT = join(import.meta.dirname, '../../..')
const ARTIFACTS = join(ROOT, 'artifacts')
/** One to pay for the factory, one for each of 13 contracts, and 7 calls. */
const TRANSACTIONS = 21
const SECRET = `0x${'5e'.repeat(32)}`

describe('deploying the grid', () => {
  let directory: string
  let devnet: Devnet
  let provider: JsonRpcProvider
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'varve-deploy-'))
    devnet = await startDevnet({ dataDir: join(directory, 'ledger'), blockTimeSeconds: 0.3 })
    provider = new JsonRpcProvider(devnet.url, undefined, { cacheTimeout: -1 })
  })
  afterEach(async () => {
    provider.destroy()
    await devnet.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  const account = (index: number) => devnet.accounts[index] ?? assert.fail('the ledger has it')
  const sentByDeployer = () => provider.getTransactionCount(account(0).address)
  const deployment = () => ({
    url: devnet.url,
    deployerKey: account(0).privateKey,
    parameters: devnetParameters(account(1).address),
    deploymentDir: join(directory, 'deployment'),
  })

  /** Plays its part on the way to the ledger; resolves when the deployment is to be killed. */
  type Moment = (rpc: LyingRpc) => Promise<void>
  const kills: readonly (readonly [title: string, moment: Moment])[] = [
    ['before its first transaction is sent', untilHeld('question', 1)],
    ['before the factory is sent', untilHeld('question', 2)],
    ['when the factory is sent and it does not know', untilHeld('answer', 2)],
    ['before one of many contracts is sent', untilHeld('question', 7)],
    ['when one of many contracts is sent and it does not know', untilHeld('answer', 7)],
    ['when the contracts are there and one is wired', untilHeld('answer', 17)],
  ]
  for (const [title, moment] of kills) {
    it(`goes on after SIGKILL ${title}, and does nothing the second time`, async () => {
      await beginAndKill(moment)

      const first = await deployGrid(deployment())
      await checkPower(provider, first, account(0).address)
      assert.equal(await sentByDeployer(), TRANSACTIONS, 'no transaction was sent twice')
      assert.deepEqual(await deployGrid(deployment()), first)
      rmSync(deployment().deploymentDir, { recursive: true })
      assert.deepEqual(await deployGrid(deployment()), first, 'the chain alone knows it too')
      assert.equal(await sentByDeployer(), TRANSACTIONS)
    })
  }

  async function beginAndKill(moment: Moment): Promise<void> {
    const keyFile = join(directory, 'key')
    writeFileSync(keyFile, deployment().deployerKey, { mode: 0o600 })
    const rpc = await lyingRpc(devnet.url)
    const come = moment(rpc)
    const child = spawn(
      process.execPath,
      [
        ...['scripts/deploy.ts', '--url', rpc.url, '--key-file', keyFile],
        ...['--dir', deployment().deploymentDir, '--holder', account(1).address],
      ],
      { cwd: ROOT, stdio: 'ignore' },
    )
    const gone = once(child, 'exit').then(() => 'gone')
    try {
      const ended = await Promise.race([come, gone])
      assert.isUndefined(ended, 'the deployment ended before it could be killed')
    } finally {
      child.kill('SIGKILL')
      await gone
      await rpc.close()
    }
  }

  function untilHeld(which: 'question' | 'answer', count: number): Moment {
    return (rpc) =>
      new Promise((resolve) => {
        let asked = 0
        rpc.hold = ({ method }) => {
          if (method !== 'eth_sendRawTransaction' || ++asked !== count) return undefined
          if (which === 'question') resolve()
          else setTimeout(resolve, 100)
          return which
        }
      })
  }

  it('comes to the same grid when it dies at one request after another', async () => {
    let deaths = 0
    for (;;) {
      // Each life is a little longer; every second one sends its last request and does not hear of it.
      const mortal = new MortalProvider(devnet.url, 1 + 2 * deaths, deaths % 2 === 1)
      const end = await place(mortal).catch((caught: unknown) => {
        if (mortal.lives) throw caught
        return undefined
      })
      mortal.destroy()
      if (end !== undefined) break
      deaths++
    }
    assert.isAbove(deaths, 8)
    assert.equal(await sentByDeployer(), TRANSACTIONS, 'no transaction was sent twice')
  })

  function place(through: JsonRpcProvider) {
    return placeGrid({
      artifacts: artifactsIn(ARTIFACTS),
      parameters: deployment().parameters,
      signer: new Wallet(account(0).privateKey, through) as never,
      ...{ secret: SECRET, say: () => undefined },
    })
  }

  it('makes another grid for other parameters, beside the first', async () => {
    const first = await deployGrid(deployment())
    const { parameters, ...rest } = deployment()
    const second = await deployGrid({
      ...rest,
      parameters: { ...parameters, quorumPercent: 5 },
      deploymentDir: join(directory, 'other'),
    })
    const both = [...Object.values(first.contracts), ...Object.values(second.contracts)]
    assert.equal(new Set(both).size, both.length, 'they share no contract')
    await checkPower(provider, second, account(0).address)
  })

  it('says which step the chain refuses, and why', async () => {
    const { parameters, ...rest } = deployment()
    const wrong = { ...parameters, quorumPercent: 101 }
    const refused = await deployGrid({ ...rest, parameters: wrong }).catch((caught) => caught)
    assert.equal(codeOf(refused), 'DEPLOY_FAILED')
    assert.match(String(refused), /make GridGovernor/)
  })

  it('has a factory that obeys its owner alone and passes reasons on', async () => {
    const owner = new NonceManager(new Wallet(account(0).privateKey, provider))
    const factory = await placeFactory(owner as never, SECRET, ZeroHash)
    // A contract whose one byte of code stops.
    const init = '0x600180600a5f395ff300'
    const stranger = new Wallet(account(2).privateKey, provider)
    for (const data of [makeInput(init), callInput(account(1).address, '0x')]) {
      const refused = await stranger.estimateGas({ to: factory, data }).catch((caught) => caught)
      assert.equal(refused.code, 'CALL_EXCEPTION', 'a stranger is refused')
      await owner.estimateGas({ to: factory, data })
    }
    const { contracts } = await deployGrid(deployment())
    const token = new Interface(artifactsIn(ARTIFACTS)('GridToken').abi)
    const transfer = token.encodeFunctionData('transfer', [stranger.address, 1])
    for (const data of [
      callInput(contracts.token, transfer),
      // Its constructor reverts with four bytes.
      makeInput('0x63e450d38c5f526004601cfd'),
    ]) {
      const refused = await owner.call({ to: factory, data }).catch((caught) => caught)
      assert.match(String(refused.data), /^0xe450d38c/, 'ERC20InsufficientBalance')
    }
  })

  it('refuses a directory that belongs to another chain', async () => {
    const record = { grid: `0x${'11'.repeat(20)}`, chainId: devnet.chainId }
    writeFileSync(join(directory, 'grid.json'), JSON.stringify(record))
    const code = await deployGrid({ ...deployment(), deploymentDir: directory }).then(
      () => '',
      codeOf,
    )
    assert.equal(code, 'DEPLOY_LOST')
  })
})

/** Dies with everything that it would still do after some requests. */
class MortalProvider extends JsonRpcProvider {
  #left: number
  readonly #diesUnheard: boolean

  constructor(url: string, requests: number, diesUnheard: boolean) {
    super(url, 31_337, { staticNetwork: true, cacheTimeout: -1, batchMaxCount: 1 })
    this.#left = requests
    this.#diesUnheard = diesUnheard
  }

  get lives(): boolean {
    return this.#left > 0
  }

  override async send(method: string, params: unknown[]): Promise<unknown> {
    this.#left--
    if (this.#left < 0) throw new Error('dead')
    if (this.#left > 0) return await super.send(method, params)
    if (this.#diesUnheard) await super.send(method, params)
    // Whoever is dead does nothing more, not even in vain.
    await sleep(0)
    throw new Error('dead')
  }
}

async function checkPower(
  provider: JsonRpcProvider,
  deployed: DeployedGrid,
  deployer: string,
): Promise<void> {
  const { contracts } = deployed
  const timelock = new Contract(
    contracts.timelock,
    artifactsIn(ARTIFACTS)('TimelockController').abi,
    provider,
  )
  const hasAdmin = timelock.getFunction('hasRole')
  assert.isFalse(await hasAdmin(ZeroHash, deployer))
  const granted = await timelock.queryFilter(timelock.getEvent('RoleGranted')(ZeroHash))
  for (const log of granted) {
    const holder = 'args' in log ? String(log.args[1]) : ''
    assert.equal(await hasAdmin(ZeroHash, holder), holder === contracts.timelock, holder)
  }
  const policy = new Contract(contracts.policy, artifactsIn(ARTIFACTS)('Policy').abi, provider)
  assert.equal(await policy.getFunction('owner')(), contracts.timelock)
  assert.equal(Number(await policy.getFunction('deployedAtBlock')()), deployed.deployedAtBlock)
}
