/** Deploying the real contracts on the real local ledger: once, again, after a kill, and on the wrong chain. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { assert } from 'chai'
import { Contract, JsonRpcProvider } from 'ethers'
import { codeOf } from '../../../agent/base/errors.ts'
import { devnetParameters } from '../../../ignition/modules/parameters.ts'
import { type DeployedGrid, deployGrid } from '../../../scripts/deploy.ts'
import { type Devnet, startDevnet } from '../../../scripts/devnet/devnet.ts'

const ROOT = join(import.meta.dirname, '../../..')

describe('deploying the grid', () => {
  let directory: string
  let devnet: Devnet
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'varve-deploy-'))
    devnet = await startDevnet({ dataDir: join(directory, 'ledger'), blockTimeSeconds: 0.3 })
  })
  afterEach(async () => {
    await devnet.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  const deployment = () => ({
    url: devnet.url,
    deployerKey: devnet.accounts[0]?.privateKey ?? '',
    parameters: devnetParameters(devnet.accounts[1]?.address ?? ''),
    deploymentDir: join(directory, 'deployment'),
  })

  const kills = [
    ['goes on after SIGKILL', () => undefined],
    ['goes on after SIGKILL between a transaction and the note of its hash', forgetLastHash],
  ] as const
  for (const [title, meanwhile] of kills) {
    it(`${title}, leaves the deployer no power, and does nothing the second time`, async () => {
      const provider = new JsonRpcProvider(devnet.url, undefined, { cacheTimeout: -1 })
      try {
        await beginAndKill(provider)
        meanwhile(deployment().deploymentDir)

        const first = await deployGrid(deployment())
        await checkPower(provider, first, devnet.accounts[0]?.address ?? '')
        const sent = await provider.getTransactionCount(devnet.accounts[0]?.address ?? '')
        assert.equal(sent, first.transactions, 'no transaction was sent twice')
        assert.isAbove(first.gasUsed, 1_000_000)
        assert.deepEqual(await deployGrid(deployment()), first)
        assert.equal(await provider.getTransactionCount(devnet.accounts[0]?.address ?? ''), sent)
      } finally {
        provider.destroy()
      }
    })
  }

  async function beginAndKill(provider: JsonRpcProvider): Promise<void> {
    const keyFile = join(directory, 'key')
    writeFileSync(keyFile, deployment().deployerKey, { mode: 0o600 })
    const child = spawn(
      process.execPath,
      [
        ...['scripts/deploy.ts', '--url', devnet.url, '--key-file', keyFile],
        ...['--dir', deployment().deploymentDir, '--holder', devnet.accounts[1]?.address ?? ''],
      ],
      { cwd: ROOT, stdio: 'ignore' },
    )
    const gone = once(child, 'exit')
    await untilSent(provider, devnet.accounts[0]?.address ?? '', 3, child)
    child.kill('SIGKILL')
    await gone
  }

  it('refuses a directory that belongs to another chain', async () => {
    const record = { grid: `0x${'11'.repeat(20)}`, chainId: devnet.chainId }
    const { deploymentDir, ...rest } = deployment()
    writeFileSync(join(directory, 'grid.json'), JSON.stringify(record))
    const code = await deployGrid({ ...rest, deploymentDir: directory }).then(() => '', codeOf)
    assert.equal(code, 'DEPLOY_LOST')
    assert.isString(deploymentDir)
  })
})

/** Puts the journal where it was before the last hash was noted. */
function forgetLastHash(deploymentDir: string): void {
  const path = join(deploymentDir, 'journal.jsonl')
  const lines = readFileSync(path, 'utf8').split('\n')
  const last = lines.findLastIndex((line) => line.includes('"TRANSACTION_SEND"'))
  assert.isAtLeast(last, 0)
  writeFileSync(
    path,
    lines
      .slice(0, last)
      .map((line) => `${line}\n`)
      .join(''),
  )
}

async function untilSent(
  provider: JsonRpcProvider,
  from: string,
  count: number,
  child: ChildProcess,
): Promise<void> {
  while ((await provider.getTransactionCount(from)) < count) {
    assert.isNull(child.exitCode, 'the deployment ended before it could be killed')
    await sleep(20)
  }
}

async function checkPower(
  provider: JsonRpcProvider,
  deployed: DeployedGrid,
  deployer: string,
): Promise<void> {
  const timelock = new Contract(
    deployed.contracts.timelock,
    ['function hasRole(bytes32, address) view returns (bool)'],
    provider,
  )
  const admin = `0x${'00'.repeat(32)}`
  assert.isFalse(await timelock.getFunction('hasRole')(admin, deployer))
  const policy = new Contract(
    deployed.contracts.policy,
    ['function owner() view returns (address)'],
    provider,
  )
  assert.equal(await policy.getFunction('owner')(), deployed.contracts.timelock)
}
