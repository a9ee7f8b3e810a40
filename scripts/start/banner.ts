/** What a grid that stays up prints: where things are, and commands that work as they stand. */
import { join, relative } from 'node:path'

/** Where things are. */
export interface GridPlaces {
  readonly ledgerUrl: string
  readonly grid: string
  readonly dataDir: string
  /** Of the history, as ordered. */
  readonly mountPath: string | undefined
  /** Number of the node that has room for mounts. */
  readonly consumer: number
  /** Number that the next order gets. */
  readonly nextOrder: number
}

/** A command of the banner. */
export interface PrintedCommand {
  readonly what: string
  /** As printed; to be run in the checkout, one after the other in one shell. */
  readonly command: string
}

/**
 * The commands of the banner, in the order in which they are printed.
 *
 * @param places - Where things are.
 */
export function bannerCommands(places: GridPlaces): PrintedCommand[] {
  const { ledgerUrl, grid, dataDir, mountPath, consumer, nextOrder } = places
  const key = (role: string) =>
    `export VARVE_PRIVATE_KEY=$(npx node scripts/grid/key.ts ${role} ${dataDir})`
  const mine = join(dataDir, `node${consumer}`, 'mnt', 'mine')
  return [
    ...(mountPath === undefined ? [] : [{ what: 'history', command: `ls -l ${mountPath}` }]),
    { what: 'by hand', command: `export VARVE_LEDGER=${ledgerUrl} VARVE_GRID=${grid}` },
    { what: '', command: key('tenant') },
    { what: 'look', command: 'npx varve nodes' },
    { what: '', command: 'npx varve orders' },
    { what: '', command: 'npx varve policy' },
    { what: '', command: 'npx varve audits' },
    { what: 'order', command: 'npx varve order volume --size 1GiB --time 1d --yes' },
    {
      what: 'mount',
      command: `npx varve order mount --volume ${nextOrder} --node ${consumer} --name mine --time 1d --yes`,
    },
    { what: '', command: `ls -ld ${mine}` },
    { what: 'vote', command: key('holder') },
    { what: '', command: 'npx varve propose set graceSeconds 20s --yes' },
    { what: '', command: 'npx varve proposals' },
  ]
}

/** The whole text. @param places - Where things are. */
export function banner(places: GridPlaces): string {
  const lines = bannerCommands(places).map(({ what, command }) => `  ${what.padEnd(10)}${command}`)
  const nodes = join(relative(process.cwd(), places.dataDir) || '.', 'node<number>')
  return [
    'The grid stays up until Ctrl-C; npm start goes on with it, npm start -- --fresh begins anew.',
    `Folders of nodes by their numbers on the ledger: ${nodes} (logs in agent.log).`,
    '',
    ...lines,
    '',
    '  A vote is open for 3 minutes: npx varve vote NUMBER for, then queue NUMBER --wait, execute NUMBER --wait.',
  ].join('\n')
}
