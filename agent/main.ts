#!/usr/bin/env node
/**
 * `varve-agent`: the program of every machine of the grid, the agent itself and each of its units. Reads arguments, the
 * configuration file and signals; everything else is elsewhere. Each command loads only what it needs.
 */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { Command, CommanderError } from 'commander'
import { printRemark, printResult } from './adapters/process/standard-streams.ts'
import { codeOf, describeError, describeMessage, NodeError } from './base/errors.ts'
import { EXIT, EXIT_HELP, exitCodeOf } from './base/exit-codes.ts'
import type { Log } from './base/ports.ts'
import {
  type Given,
  parseConfigFile,
  resolveConfig,
  SETTINGS,
  type Setting,
} from './config/config.ts'
import type { UnitKind } from './state/kinds.ts'
import type { StatusDocument } from './surfaces/status.ts'

interface RunFlags {
  readonly data: string
  readonly config?: string
  readonly json?: boolean
  readonly ledger?: readonly string[]
  readonly grid?: string
  readonly listen?: readonly string[]
  readonly announce?: readonly string[]
  readonly capacity?: string
  readonly price?: string
  readonly ledgerHeaders?: string
  readonly ledgerTime?: string
  readonly poll?: string
  readonly mountRoot?: string
  readonly cache?: string
  readonly metricsPort?: string
  readonly logLevel?: string
}

const EXAMPLES = `
Examples:
  $ varve-agent run --ledger http://127.0.0.1:8545 --grid 0x5FbD… --data /var/lib/varve \\
      --listen /ip4/192.0.2.7/tcp/4100
  $ varve-agent status --data /var/lib/varve
  $ varve-agent config --config agent.jsonc --grid 0x5FbD…
  $ varve-agent store --data /srv/store --port 9900
`

async function main(argv: readonly string[]): Promise<void> {
  // Logs may lose their reader, a pager or the agent itself, which ends nothing; results are printed by `standard-streams`.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
  // The store's command has options of its own, which its own parser reads.
  if (argv[0] === 'store') return runStore(argv.slice(1))
  const program = new Command('varve-agent')
    .description('Runs a machine of a Varve grid: obeys the ledger and nothing else.')
    .version(readVersion())
    .addHelpText('after', `${EXAMPLES}\n${EXIT_HELP}`)
    .showHelpAfterError('(add --help for help)')
  const settings = (command: Command) =>
    command
      .option('--ledger <url...>', SETTINGS.ledger.about)
      .option('--grid <address>', SETTINGS.grid.about)
      .option('--listen <multiaddr...>', SETTINGS.listen.about)
      .option('--announce <multiaddr...>', SETTINGS.announce.about)
      .option('--capacity <size>', SETTINGS.capacity.about)
      .option('--price <amount>', SETTINGS.pricePerGibSecond.about)
      .option('--ledger-headers <format>', SETTINGS.ledgerHeaders.about)
      .option('--ledger-time <kind>', SETTINGS.ledgerTime.about)
      .option('--poll <ms>', SETTINGS.pollMs.about)
      .option('--mount-root <path>', SETTINGS.mountRoot.about)
      .option('--cache <size>', SETTINGS.cache.about)
      .option('--metrics-port <port>', SETTINGS.metricsPort.about)
      .option('--log-level <level>', SETTINGS.logLevel.about)
      .option('--config <file>', 'JSON with comments; see agent/config/example.jsonc')

  settings(program.command('run').description('runs the agent until SIGTERM'))
    .requiredOption('--data <dir>', 'where the node keeps everything, its identity included')
    .option('--json', 'logs as JSON lines even on a terminal')
    .action(run)
  program
    .command('unit', { hidden: true })
    .argument('<kind>')
    .requiredOption('--data <dir>')
    .requiredOption('--name <name>')
    .option('--confined <json>')
    .action(runUnit)
  settings(
    program
      .command('config')
      .description('prints what is in force, and where each value came from'),
  )
    .option('--json', 'as JSON')
    .action(showConfig)
  program
    .command('graph')
    .description('prints which controller reads and writes what')
    .action(showGraph)
  program
    .command('status')
    .description('asks a running agent how it is')
    .requiredOption('--data <dir>', 'its data directory')
    .option('--json', 'as JSON')
    .action(showStatus)
  program
    .command('store')
    .description('runs the append-only store alone, without a ledger; see `store --help`')
    .allowUnknownOption()
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      writeOut: printResult,
      writeErr: (text) => {
        if (!argv.includes('--json')) printRemark(text)
      },
    })
  }
  await program.parseAsync([...argv], { from: 'user' })
}

function readVersion(): string {
  const manifest = new URL('../package.json', import.meta.url)
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
}

async function runStore(argv: readonly string[]): Promise<void> {
  const [{ runStoreCommand }, { createLog }] = await Promise.all([
    import('./units/store/store-command.ts'),
    import('./surfaces/log.ts'),
  ])
  const log = createLog({ level: 'info', json: !process.stderr.isTTY, to: process.stderr })
  const out = (line: string) => printResult(`${line}\n`)
  process.exitCode = await runStoreCommand(argv, out, log)
}

async function run(flags: RunFlags): Promise<void> {
  // An agent makes little garbage: room for more of it would be 15 MB that are never given back.
  setFlagsFromString('--semi-space-growth-factor=1')
  const { config } = readConfig(flags)
  const [{ runAgent }, { createLog }] = await Promise.all([
    import('./run.ts'),
    import('./surfaces/log.ts'),
  ])
  const json = flags.json ?? !process.stdout.isTTY
  const log = createLog({ level: config.logLevel, json })
  const ending = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      log.info({ signal: name }, 'agent was asked to end')
      ending.abort()
    })
  }
  const program = fileURLToPath(import.meta.url)
  await runAgent({ config, dataDir: flags.data, log, program, signal: ending.signal })
}

function readConfig(flags: Omit<RunFlags, 'data' | 'json'>): ReturnType<typeof resolveConfig> {
  const number = (text: string | undefined) => (text === undefined ? undefined : Number(text))
  const given: Given = {
    ledger: flags.ledger,
    grid: flags.grid,
    listen: flags.listen,
    announce: flags.announce,
    capacity: flags.capacity,
    pricePerGibSecond: flags.price,
    ledgerHeaders: flags.ledgerHeaders,
    ledgerTime: flags.ledgerTime,
    pollMs: number(flags.poll),
    mountRoot: flags.mountRoot === undefined ? undefined : resolve(flags.mountRoot),
    cache: flags.cache,
    metricsPort: number(flags.metricsPort),
    logLevel: flags.logLevel,
  }
  return resolveConfig(flags.config === undefined ? {} : readConfigFile(flags.config), given)
}

function readConfigFile(path: string): Record<string, unknown> {
  try {
    return parseConfigFile(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new NodeError('CONFIG_UNREADABLE', `${path}: ${describeError(cause)}`, { cause })
  }
}

interface UnitFlags {
  readonly data: string
  readonly name: string
  /** Set once the process has given up its rights: what it gave up, as JSON. */
  readonly confined?: string
}

async function runUnit(kind: string, flags: UnitFlags): Promise<void> {
  // Control-C reaches the whole group: the agent drains its units in order, so they wait to be told.
  process.on('SIGINT', () => undefined)
  const { createLog } = await import('./surfaces/log.ts')
  const log = createLog({ level: 'info', json: true })
  const options = { dataDir: resolve(flags.data), name: flags.name, log }
  const start = { ...options, kind, program: fileURLToPath(import.meta.url) }
  const { becomeConfined, finishConfinement } = await import('./units/confined.ts')
  if (flags.confined === undefined) becomeConfined(start)
  else finishConfinement(start)
  const run = RUN_UNIT[kind as keyof typeof RUN_UNIT]
  if (!run) throw new NodeError('CONFIG_INVALID', `"${kind}" is no kind of unit`)
  await run(options)
}

type RunUnit = (options: {
  readonly dataDir: string
  readonly name: string
  readonly log: Log
}) => Promise<void>

/** How each kind of unit is run, and the holder of a mount; each loads only what it needs. */
const RUN_UNIT: Readonly<Record<UnitKind | 'hold', RunUnit>> = {
  store: async (options) => (await import('./units/store/index.ts')).runStoreUnit(options),
  links: async (options) => (await import('./units/links/index.ts')).runLinksUnit(options),
  mount: async (options) => (await import('./units/mount/index.ts')).runMountUnit(options),
  audit: async (options) => (await import('./units/audit/index.ts')).runAuditUnit(options),
  hold: async (options) => (await import('./units/mount/holder.ts')).runMountHolder(options),
}

function showConfig(flags: Omit<RunFlags, 'data'>): void {
  const { origins } = readConfig(flags)
  if (flags.json) {
    printResult(`${JSON.stringify(origins)}\n`)
    return
  }
  const names = Object.keys(SETTINGS) as Setting[]
  const width = Math.max(...names.map((name) => name.length))
  const lines = names.map((name) => {
    const { value, origin } = origins[name]
    return `${name.padEnd(width)}  ${JSON.stringify(value)}  (${origin})\n`
  })
  printResult(lines.join(''))
}

async function showGraph(): Promise<void> {
  const { agentGraph } = await import('./graph.ts')
  printResult(`${agentGraph()}\n`)
}

async function showStatus(flags: { data: string; json?: boolean }): Promise<void> {
  const [{ askStatus }, { statusText }] = await Promise.all([
    import('./surfaces/servers.ts'),
    import('./surfaces/status-text.ts'),
  ])
  const json = await askStatus(join(resolve(flags.data), 'run', 'status.sock'))
  const status = JSON.parse(json) as StatusDocument
  printResult(flags.json ? `${json}\n` : statusText(status))
  if (status.health !== 'well') process.exitCode = EXIT.ill
}

/** Says what went wrong, as one JSON document where one was asked for. @returns The exit code. */
async function explain(caught: unknown, isJson: boolean): Promise<number> {
  const { AGENT_ERRORS } = await import('./error-hints.ts')
  if (caught instanceof CommanderError) {
    if (caught.exitCode === 0) return EXIT.done
    if (isJson) sayJson('USAGE_INVALID', caught.message, AGENT_ERRORS['USAGE_INVALID']?.hint)
    return EXIT.usage
  }
  const code = codeOf(caught)
  if (code === undefined) {
    const said = caught instanceof Error ? String(caught.stack) : String(caught)
    if (isJson) sayJson('BUG', said, 'Report it with the command you ran.')
    else printRemark(`varve-agent: a bug: ${said}\n`)
    return EXIT.bug
  }
  const own = caught instanceof NodeError ? caught.hint : undefined
  const hint = own ?? AGENT_ERRORS[code]?.hint
  if (isJson) sayJson(code, describeMessage(caught), hint)
  else printRemark(`varve-agent: ${describeError(caught)}\n${hint ? `  hint: ${hint}\n` : ''}`)
  return exitCodeOf(code)
}

function sayJson(code: string, message: string, hint: string | undefined): void {
  printRemark(`${JSON.stringify({ error: { code, message, hint } })}\n`)
}

const argv = process.argv.slice(2)
main(argv).then(
  () => process.exit(),
  (caught: unknown) => {
    // The logs of `run` are lines, whatever its form: only what prints a document fails with one.
    const isJson = argv.includes('--json') && argv[0] !== 'run'
    void explain(caught, isJson).then((exitCode) => process.exit(exitCode))
  },
)
