/** Deploying the real contracts on the real local ledger: once, again, after a kill, and on the wrong chain. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { assert } from 'chai'
import { Contract, JsonRpcProvider } from 'ethers'
import { codeOf } from '../../../agent/base/errors.ts'
import { devnetParameters } from '../../../ignition/modules/parameters.ts'
import { type DeployedGrid, deployGrid } from '../../../scripts/deploy.ts'
import { type Devnet, startDevnet } from '../../../scripts/devnet/devnet.ts'
import { type LyingRpc, lyingRpc } from '../../support/lying-rpc.ts'

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

  /** Plays its part on the way to the ledger; resolves when the deployment is to be killed. */
  type Moment = (rpc: LyingRpc) => Promise<void>
  const kills: readonly (readonly [title: string, moment: Moment, after?: () => void])[] = [
    ['between two transactions', untilSent(3)],
    ['before its first transaction is sent', untilHeld('question', 1)],
    ['before a transaction that it noted is sent', untilHeld('question', 4)],
    ['between a transaction and the note of its hash', untilHeld('answer', 4)],
    ['when all of a batch but its first transaction are noted to be done', untilUnordered],
    ['in the middle of a line of its journal', untilSent(3), beginLine],
    ['after it noted that it begins with a contract', untilHeld('question', 4), forgetRequest],
  ]
  for (const [title, moment, after] of kills) {
    it(`goes on after SIGKILL ${title}, and does nothing the second time`, async () => {
      const provider = new JsonRpcProvider(devnet.url, undefined, { cacheTimeout: -1 })
      try {
        await beginAndKill(moment)
        after?.()

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

  async function beginAndKill(moment: Moment): Promise<void> {
    const keyFile = join(directory, 'key')
    writeFileSync(keyFile, deployment().deployerKey, { mode: 0o600 })
    const rpc = await lyingRpc(devnet.url)
    const come = moment(rpc)
    const child = spawn(
      process.execPath,
      [
        ...['scripts/deploy.ts', '--url', rpc.url, '--key-file', keyFile],
        ...['--dir', deployment().deploymentDir, '--holder', devnet.accounts[1]?.address ?? ''],
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

  function untilSent(count: number): Moment {
    return (rpc) =>
      new Promise((resolve) => {
        let sent = 0
        rpc.lie = ({ method }, result) => {
          if (method === 'eth_sendRawTransaction' && ++sent === count) resolve()
          return result
        }
      })
  }

  function untilHeld(which: 'question' | 'answer', count: number): Moment {
    return (rpc) =>
      new Promise((resolve) => {
        let asked = 0
        rpc.hold = ({ method }) => {
          if (method !== 'eth_sendRawTransaction' || ++asked !== count) return undefined
          if (which === 'question') resolve()
          else untilReached(count).then(resolve)
          return which
        }
      })
  }

  /** The first transaction is never said to be done, so that only the others of its batch are noted to be. */
  async function untilUnordered(rpc: LyingRpc): Promise<void> {
    let first: unknown
    rpc.lie = ({ method, params }, result) => {
      if (method === 'eth_sendRawTransaction') first ??= result
      return method === 'eth_getTransactionReceipt' && params[0] === first ? null : result
    }
    const journal = join(deployment().deploymentDir, 'journal.jsonl')
    const others = () =>
      existsSync(journal)
        ? readFileSync(journal, 'utf8').split('"TRANSACTION_CONFIRM"').length - 1
        : 0
    while (others() < 3) await sleep(20)
  }

  function beginLine(): void {
    appendFileSync(join(deployment().deploymentDir, 'journal.jsonl'), '\n{"futureId":"Grid#Ti')
  }

  /** A contract that was not sent: what is asked for it, and its nonce. */
  function forgetRequest(): void {
    const journal = join(deployment().deploymentDir, 'journal.jsonl')
    const lines = readFileSync(journal, 'utf8').split('\n').slice(0, -2)
    assert.include(lines.at(-1), 'EXECUTION_STATE_INITIALIZE')
    writeFileSync(journal, lines.join('\n'))
  }

  async function untilReached(count: number): Promise<void> {
    const provider = new JsonRpcProvider(devnet.url, undefined, { cacheTimeout: -1 })
    try {
      const sender = devnet.accounts[0]?.address ?? ''
      while ((await provider.getTransactionCount(sender, 'pending')) < count) await sleep(20)
    } finally {
      provider.destroy()
    }
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
