/**
 * A whole grid on one machine, everything real: a ledger in a process, the contracts on it, farms, and an agent process
 * group for each node. The main job and the end-to-end tests stand on it.
 */
import { spawn } from 'node:child_process'
import { lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Wallet } from 'ethers'
import { describeError, isNodeError, NodeError } from '../../agent/base/errors.ts'
import { GIB } from '../../agent/base/units.ts'
import { Grid } from '../../client/sdk/index.ts'
import { devnetParameters, type GridParameters } from '../deploy/parameters.ts'
import { type DeployedGrid, deployGrid } from '../deploy.ts'
import { type DevnetProcess, spawnDevnet } from '../devnet/spawn-devnet.ts'
import { root } from '../run/step.ts'
import { AgentProcess, type AgentStatus } from './agent-process.ts'
import { endLeftovers, machineDir } from './leftovers.ts'
import { FIRST_FARMER, ROLES } from './roles.ts'

/** What the local grid is made of. */
export interface LocalGridOptions {
  readonly dataDir: string
  /** Nodes, each with a farm of its own, `1..17`. */
  readonly agents: number
  /** Bytes a node offers, by its number from 0; 64 GiB unless given. */
  readonly capacityBytesOf?: (agent: number) => number
  /** Changes to the parameters that the contracts are deployed with. */
  readonly parameters?: (usual: GridParameters) => GridParameters
  /** Told what is being done. */
  readonly say?: (what: string) => void
  /** URLs that the agents are given instead of the ledger's own; for lying ledgers. */
  readonly ledgerUrlsFor?: (agent: number, url: string) => readonly string[]
}

const TOKEN = 10n ** 18n
/** What each farmer and the tenant get to work with. */
const TOKENS_EACH = 1_000_000n * TOKEN
/** Gas of a node for weeks on a local ledger. */
const GAS_WEI = 50n * TOKEN

const POLL_MS = 100
/** A ledger whose starter was killed notices it and ends within this time. */
const LEDGER_FREE_MS_MAX = 20_000
/** On a busy machine an agent takes a while to see that it is vouched for, and to register. */
const REGISTERED_MS_MAX = 180_000
/** Commands that change the ledger and so would ask. */
const CHANGES: ReadonlySet<string> = new Set([
  ...['order', 'cancel', 'extend', 'replace', 'propose', 'vote', 'queue', 'execute', 'delegate'],
])

/** See the file's comment. */
export class LocalGrid {
  readonly options: LocalGridOptions
  readonly ledger: DevnetProcess
  readonly deployed: DeployedGrid
  readonly agents: readonly AgentProcess[]

  private constructor(
    options: LocalGridOptions,
    ledger: DevnetProcess,
    deployed: DeployedGrid,
    agents: readonly AgentProcess[],
  ) {
    this.options = options
    this.ledger = ledger
    this.deployed = deployed
    this.agents = agents
  }

  /**
   * Starts everything and waits until every node is registered and lives. Started again on the same directory, the same
   * ledger, nodes and orders come back.
   *
   * @param options - See {@link LocalGridOptions}.
   * @returns The grid.
   */
  static async start(options: LocalGridOptions): Promise<LocalGrid> {
    const say = options.say ?? (() => undefined)
    say('starting the ledger')
    const ledger = await ledgerOf(options.dataDir)
    const agents: AgentProcess[] = []
    try {
      await endLeftovers(options.dataDir)
      say('deploying the contracts')
      const usual = devnetParameters(accountOf(ledger, ROLES.holder).address)
      const deployed = await deployGrid({
        url: ledger.url,
        deployerKey: accountOf(ledger, ROLES.deployer).privateKey,
        parameters: options.parameters?.(usual) ?? usual,
        deploymentDir: join(options.dataDir, 'deployment'),
        say,
      })
      say(`starting ${options.agents} agents`)
      for (let index = 0; index < options.agents; index++) {
        agents.push(await agentFor(options, ledger, deployed, index))
      }
      const grid = new LocalGrid(options, ledger, deployed, agents)
      for (const agent of agents) agent.start()
      await grid.#sponsorAll(say)
      return grid
    } catch (caught) {
      await Promise.all(agents.map((agent) => agent.stop()))
      await ledger.stop()
      throw caught
    }
  }

  /** Private key of the account with all votes. */
  get holderKey(): string {
    return accountOf(this.ledger, ROLES.holder).privateKey
  }

  /** Private key of the tenant. */
  get tenantKey(): string {
    return accountOf(this.ledger, ROLES.tenant).privateKey
  }

  /** An agent by its number, from 0. */
  agent(index: number): AgentProcess {
    const agent = this.agents[index]
    if (!agent) throw new NodeError('AGENT_UNKNOWN', `there is no agent ${index}`)
    return agent
  }

  /** The SDK, signing with a key. The caller closes it. */
  async connect(privateKey: string): Promise<Grid> {
    const signer = new Wallet(privateKey)
    return await Grid.connect({ url: this.ledger.url, address: this.deployed.grid, signer })
  }

  /**
   * Runs the command line as a person would, asking for JSON.
   *
   * @param privateKey - Who acts.
   * @param args - Arguments after `varve`.
   * @returns What it printed, parsed.
   * @throws NodeError `CLI_FAILED` with what it said.
   */
  async varve(privateKey: string, ...args: readonly string[]): Promise<Record<string, unknown>> {
    const child = spawn(
      process.execPath,
      [
        join(root, 'client/cli/main.ts'),
        '--json',
        ...args,
        ...(CHANGES.has(args[0] ?? '') ? ['--yes'] : []),
      ],
      {
        env: {
          ...process.env,
          VARVE_LEDGER: this.ledger.url,
          VARVE_GRID: this.deployed.grid,
          VARVE_PRIVATE_KEY: privateKey,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    let output = ''
    let errors = ''
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString('utf8')
    })
    child.stderr.on('data', (data: Buffer) => {
      errors += data.toString('utf8')
    })
    const exitCode = await new Promise<number>((resolve) =>
      child.once('close', (code) => resolve(code ?? 1)),
    )
    if (exitCode !== 0) {
      throw new NodeError(
        'CLI_FAILED',
        `varve ${args.join(' ')}: ${errors.trim() || output.trim()}`,
        {
          details: { exitCode, errors },
        },
      )
    }
    return JSON.parse(output)
  }

  /** Stops agents, then the ledger; takes away mounts that killed processes left. */
  async stop(): Promise<void> {
    await Promise.all(this.agents.map((agent) => agent.stop()))
    await this.ledger.stop()
    await endLeftovers(this.options.dataDir)
  }

  /** Farms are made and nodes vouched for in parallel; each farmer is an account of its own. */
  async #sponsorAll(say: (what: string) => void): Promise<void> {
    await this.#shareTokens()
    let registered = 0
    say('waiting until every node is registered')
    await Promise.all(
      this.agents.map(async (agent, index) => {
        nameByNumber(this.options.dataDir, await this.#sponsor(agent, index), agent)
        say(`${++registered} of ${this.agents.length} nodes are registered`)
      }),
    )
  }

  async #shareTokens(): Promise<void> {
    const holder = await this.connect(this.holderKey)
    try {
      for (let index: number = ROLES.tenant; index < FIRST_FARMER + this.agents.length; index++) {
        const { address } = accountOf(this.ledger, index)
        const { tokens } = await holder.balance(address)
        if (tokens < TOKENS_EACH / 2n)
          await holder.transfer(address, TOKENS_EACH, { until: 'sent' })
      }
      await holder.delegate(undefined, { until: 'mined' })
    } finally {
      holder.close()
    }
  }

  /** Vouches for an agent unless that was done. @returns Its number on the ledger. */
  async #sponsor(agent: AgentProcess, index: number): Promise<number> {
    const status = await until(
      `agent ${index} to say who it is`,
      async () => {
        const found = await agent.status()
        return found && typeof found['account'] === 'string' ? found : undefined
      },
      { timeoutMs: REGISTERED_MS_MAX },
    )
    const account = String(status['account'])
    // A start that was killed may have vouched already, and its transaction may be mined only now.
    let refused: unknown
    if (nodeNumber(status) === undefined) {
      refused = await this.#vouch(account, index).catch((caught: unknown) => caught)
    }
    try {
      return await until(
        `agent ${index} to be registered`,
        async () => {
          const found = await agent.status()
          return found && nodeNumber(found)
        },
        { timeoutMs: REGISTERED_MS_MAX },
      )
    } catch (late) {
      throw refused ?? late
    }
  }

  async #vouch(account: string, index: number): Promise<void> {
    const farmer = await this.connect(accountOf(this.ledger, FIRST_FARMER + index).privateKey)
    try {
      if ((await farmer.nodes()).some((node) => node.account === account)) return
      const { farm } = await farmer.createFarm(`farm-${index}`, { until: 'mined' })
      if (farm === undefined) throw new NodeError('FARM_UNKNOWN', 'the farm has no number')
      const stake = await farmer.stakeFor(capacityBytes(this.options, index))
      await farmer.sponsor({ farm, account, stake, gasWei: GAS_WEI }, { until: 'mined' })
    } finally {
      farmer.close()
    }
  }
}

/** Number of the node that a status speaks for, undefined before it is registered. */
export function nodeNumber(status: AgentStatus): number | undefined {
  const node = status['node']
  return typeof node === 'number' ? node : undefined
}

/**
 * Waits for something to come true.
 *
 * @param what - Ends the sentence "waited for".
 * @param probe - Gives undefined, null or false until it is; a failure counts as not yet.
 * @param options.timeoutMs - Gives up after so long.
 * @returns What `probe` gave at last.
 * @throws NodeError `WAITED_TOO_LONG`, with the last failure as cause.
 */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | null | false> | T | undefined | null | false,
  options: { readonly timeoutMs: number },
): Promise<T> {
  const started = performance.now()
  let last: unknown
  for (;;) {
    try {
      const found = await probe()
      if (found !== undefined && found !== null && found !== false) return found
    } catch (caught) {
      last = caught
    }
    if (performance.now() - started > options.timeoutMs) {
      const because = last === undefined ? '' : ` (${describeError(last)})`
      throw new NodeError(
        'WAITED_TOO_LONG',
        `waited ${options.timeoutMs} ms for ${what}${because}`,
        {
          cause: last,
        },
      )
    }
    await sleep(POLL_MS)
  }
}

/** Starts the ledger; one whose starter was killed a moment ago is waited for, for it is about to end. */
async function ledgerOf(dataDir: string): Promise<DevnetProcess> {
  const deadline = performance.now() + LEDGER_FREE_MS_MAX
  for (;;) {
    try {
      return await spawnDevnet({ dataDir: join(dataDir, 'ledger') })
    } catch (caught) {
      if (!isNodeError(caught, 'DEVNET_IN_USE') || performance.now() > deadline) throw caught
      await sleep(POLL_MS)
    }
  }
}

/** Folders `node<number>` lead to the agents by their numbers on the ledger, which nobody knows before they are registered. */
function nameByNumber(dataDir: string, number: number, agent: AgentProcess): void {
  const link = join(dataDir, `node${number}`)
  const target = basename(agent.options.dataDir)
  const found = lstatSync(link, { throwIfNoEntry: false })
  if (found?.isSymbolicLink() && readlinkSync(link) === target) return
  if (found?.isSymbolicLink()) rmSync(link)
  symlinkSync(target, link)
}

const capacityBytes = (options: LocalGridOptions, agent: number): number =>
  options.capacityBytesOf?.(agent) ?? 64 * GIB

async function agentFor(
  options: LocalGridOptions,
  ledger: DevnetProcess,
  deployed: DeployedGrid,
  index: number,
): Promise<AgentProcess> {
  const dataDir = machineDir(options.dataDir, index)
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const ledgerUrls = options.ledgerUrlsFor?.(index, ledger.url) ?? [ledger.url]
  const listen = `/ip4/127.0.0.1/tcp/${await freePort()}`
  const extra = ['--capacity', String(capacityBytes(options, index))]
  return new AgentProcess({
    ...{ name: `machine${index + 1}`, dataDir, ledgerUrls, grid: deployed.grid, listen, extra },
  })
}

/**
 * Finds a TCP port on loopback that is free now.
 *
 * @returns The port.
 */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address !== null
          ? resolve(address.port)
          : reject(new NodeError('PORT_UNKNOWN', 'no port was given')),
      )
    })
  })
}

function accountOf(ledger: DevnetProcess, index: number): { address: string; privateKey: string } {
  const account = ledger.accounts[index]
  if (!account) {
    throw new NodeError('ACCOUNT_UNKNOWN', `the ledger has no account ${index}`, {
      hint: 'a local grid has at most 17 agents',
    })
  }
  return account
}
