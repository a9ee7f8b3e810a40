/**
 * Runs a local ledger until it is told to stop: `npx node scripts/devnet/main.ts --data DIR`.
 *
 * A parent that forked it ({@link spawnDevnet}) hears over the channel when it is ready and may ask it things there.
 */
import { Command, InvalidArgumentError } from 'commander'
import { codeOf, describeError } from '../../agent/base/errors.ts'
import { type Devnet, startDevnet } from './devnet.ts'
import type { EngineKind } from './engine.ts'
import { DEVNET_ERRORS, type DevnetErrorCode } from './errors.ts'
import type { DevnetMessage, DevnetRequest } from './messages.ts'

interface Options {
  readonly data: string
  readonly port?: number
  readonly blockSeconds: number
  readonly chainId?: number
  readonly engine?: EngineKind
  readonly dumpBlocks?: number
  readonly json?: boolean
}

const program = new Command('devnet')
  .description('Runs a ledger on this machine that survives restarts and kills.')
  .option('--data <dir>', 'directory of the chain, made if missing', '.varve/ledger')
  .option('--port <number>', 'TCP port on loopback (default: as at the last start)', wholeNumber)
  .option('--block-seconds <seconds>', 'seconds between blocks', seconds, 1)
  .option('--chain-id <number>', 'chain id, fixed at the first start (default: 31337)', wholeNumber)
  .option('--engine <anvil|hardhat>', 'what computes the chain, fixed at the first start', engine)
  .option('--dump-blocks <number>', 'blocks between state dumps at least', wholeNumber)
  .option('--json', 'say where it is as one line of JSON')
  .addHelpText(
    'after',
    '\nExample:\n  $ npx node scripts/devnet/main.ts --data /var/lib/ledger --port 8545',
  )

program.parse()
await run(program.opts<Options>())

async function run(options: Options): Promise<void> {
  let devnet: Devnet
  try {
    devnet = await startDevnet({
      ...{ dataDir: options.data, blockTimeSeconds: options.blockSeconds },
      ...{ port: options.port, chainId: options.chainId, engine: options.engine },
      dumpBlocksMin: options.dumpBlocks,
    })
  } catch (caught) {
    return fail(caught)
  }
  announce(devnet, options.json === true)
  answerParent(devnet)
  devnet.failure.catch(fail)
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void devnet.stop().then(() => process.exit(0), fail))
  }
}

function announce(devnet: Devnet, isJson: boolean): void {
  tell({ kind: 'ready', url: devnet.url, chainId: devnet.chainId })
  if (process.send !== undefined) return
  const { url, chainId, dataDir } = devnet
  const height = devnet.figures().height
  if (isJson) {
    process.stdout.write(`${JSON.stringify({ url, chainId, dataDir, height, pid: process.pid })}\n`)
    return
  }
  process.stdout.write(`ledger   ${url}   chain ${chainId}   block ${height}\n`)
  process.stdout.write(
    `accounts ${devnet.accounts[0]?.address} and ${devnet.accounts.length - 1} more\n`,
  )
  process.stdout.write(`mnemonic ${dataDir}/mnemonic (keep it to yourself)\n`)
}

function answerParent(devnet: Devnet): void {
  process.on('message', async (request: DevnetRequest) => {
    const { id } = request
    try {
      if (request.method === 'advance') await devnet.advance(request.seconds)
      tell({ kind: 'answer', id, figures: devnet.figures() })
    } catch (caught) {
      tell({ kind: 'refusal', id, message: describeError(caught) })
    }
  })
  // A parent that is gone took the channel along; the ledger outlives it only if it was not forked.
  process.on('disconnect', () => void devnet.stop().then(() => process.exit(0), fail))
}

function tell(message: DevnetMessage): void {
  if (process.connected) process.send?.(message)
}

function fail(caught: unknown): void {
  const message = describeError(caught)
  tell({ kind: 'failed', code: codeOf(caught) ?? 'DEVNET_ENGINE_FAILED', message })
  process.stderr.write(`devnet: ${message}\n`)
  const known = DEVNET_ERRORS[(codeOf(caught) ?? '') as DevnetErrorCode]
  if (known !== undefined) process.stderr.write(`  hint: ${known.hint}\n`)
  process.exit(1)
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('a whole number')
  return value
}

function seconds(text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError('seconds above 0')
  return value
}

function engine(text: string): EngineKind {
  if (text === 'anvil' || text === 'hardhat') return text
  throw new InvalidArgumentError('anvil or hardhat')
}
