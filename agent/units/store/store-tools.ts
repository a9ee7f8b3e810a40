/** `varve-agent store check|stats|compact|export|import|import-0db`: work on a directory that no store has open. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { nodeDisk } from '../../adapters/disk/node-disk.ts'
import { lockDirectory } from '../../adapters/kernel/directory-lock.ts'
import { systemChance } from '../../adapters/time/system-chance.ts'
import { systemClock } from '../../adapters/time/system-clock.ts'
import { NodeError } from '../../base/errors.ts'
import type { Log } from '../../base/ports.ts'
import { formatBytes } from '../../base/units.ts'
import {
  damagedStretches,
  exportNamespace,
  importNamespace,
  importZeroDb,
  LogStore,
  type LogStoreInit,
  type Namespace,
  oneLine,
} from '../../engines/store/index.ts'
import { STORE_LOCK } from './store-lock.ts'

type Print = (line: string) => void

/** One tool: what follows its name on the command line, and what it does. */
interface StoreTool {
  readonly usage: string
  /** Positional arguments, without optional ones. */
  readonly argumentsMin: number
  readonly isReading: boolean
  run(store: LogStore, args: readonly string[], print: Print, log: Log): Promise<number>
}

/** The tools, by name. */
export const STORE_TOOLS: Readonly<Record<string, StoreTool>> = {
  check: { usage: 'check DIR', argumentsMin: 0, isReading: true, run: check },
  stats: { usage: 'stats DIR', argumentsMin: 0, isReading: true, run: stats },
  compact: { usage: 'compact DIR [NAMESPACE]', argumentsMin: 0, isReading: false, run: compact },
  export: { usage: 'export DIR NAMESPACE FILE', argumentsMin: 2, isReading: true, run: exportOne },
  import: {
    usage: 'import DIR FILE [NAMESPACE]',
    argumentsMin: 1,
    isReading: false,
    run: importOne,
  },
  'import-0db': {
    usage: 'import-0db DIR ZERO_DB_DIR',
    argumentsMin: 1,
    isReading: false,
    run: importZero,
  },
}

/**
 * Runs a tool.
 *
 * @param name - Of {@link STORE_TOOLS}.
 * @param argv - What follows it: the data directory and the tool's own arguments.
 * @param print - Where lines for people go.
 * @param log - Where the log goes.
 * @returns The exit code: 0, or 1 where damage was found.
 * @throws NodeError `STORE_USAGE`, `DISK_*`, `LOG_*`.
 */
export async function runStoreTool(
  name: string,
  argv: readonly string[],
  print: Print,
  log: Log,
): Promise<number> {
  const tool = STORE_TOOLS[name]
  const [directory, ...args] = argv
  if (!tool || directory === undefined || args.length < tool.argumentsMin) {
    throw new NodeError('STORE_USAGE', `usage: varve-agent store ${tool?.usage ?? 'TOOL DIR'}`)
  }
  const data = resolve(directory)
  if (tool.isReading && !existsSync(data)) throw new NodeError('DISK_NOT_FOUND', data)
  const unlock = lockDirectory(data, STORE_LOCK)
  try {
    const store = await openStore(data, log, { readOnly: tool.isReading, sync: 'group' })
    try {
      return await tool.run(store, args, print, log)
    } finally {
      await store.close()
    }
  } finally {
    unlock()
  }
}

function openStore(data: string, log: Log, init: LogStoreInit): Promise<LogStore> {
  return LogStore.open(
    {
      disk: nodeDisk(data),
      clock: systemClock(),
      chance: systemChance(),
      log,
      atEndOfTick: (task) => void setImmediate(task),
    },
    init,
  )
}

/** Reads every value and its checksum. */
async function check(store: LogStore, _args: readonly string[], print: Print): Promise<number> {
  let damaged = 0
  for (const namespace of store.namespaces.values()) {
    const bad = damagedKeys(namespace)
    const { damagedBytes, missingRecords, cutBytes } = namespace.log.counts
    const unseen = damageInSegments(namespace)
    const keys = namespace.log.index.liveKeys
    print(
      `${oneLine(namespace.name)}: ${keys} keys, ${bad.length} damaged values, ${damagedBytes} damaged bytes, ${missingRecords} missing records, ${cutBytes} bytes of an unfinished write`,
    )
    for (const key of bad) print(`  damaged: ${key}`)
    for (const place of unseen) print(`  not intact: ${place}`)
    damaged += bad.length + unseen.length + (damagedBytes + missingRecords > 0 ? 1 : 0)
  }
  for (const [directory, why] of store.setAside) print(`${directory}: set aside, ${oneLine(why)}`)
  return damaged === 0 && store.setAside.size === 0 ? 0 : 1
}

/** What reading all of it shows, replaced values too; opening it reads hints instead where there are some. */
function damageInSegments(namespace: Namespace): string[] {
  return namespace.log.segments.flatMap(({ name, file }) =>
    [...damagedStretches(file)].map(
      ({ offset, bytes }) => `${name}, ${bytes} bytes from ${offset}`,
    ),
  )
}

function damagedKeys(namespace: Namespace): string[] {
  const { log } = namespace
  const { index } = log
  const bad: string[] = []
  let into = Buffer.allocUnsafe(1024 * 1024)
  for (let entry = index.nextEntry(0); entry >= 0; entry = index.nextEntry(entry + 1)) {
    if (index.isDeleted(entry)) continue
    const slack = log.records.readSlackBytes(entry)
    const bytes = slack + index.valueBytesOf(entry)
    if (bytes > into.byteLength) into = Buffer.allocUnsafe(bytes)
    try {
      log.records.read(entry, into, slack)
    } catch {
      bad.push(Buffer.from(index.keyOf(entry)).toString('hex'))
    }
  }
  return bad
}

async function stats(store: LogStore, _args: readonly string[], print: Print): Promise<number> {
  for (const namespace of store.namespaces.values()) {
    const { log, properties } = namespace
    const { counts, index } = log
    print(`${oneLine(namespace.name)} (${properties.mode} keys, sync ${properties.sync})`)
    print(`  keys       ${index.liveKeys}`)
    print(`  records    ${log.appended}`)
    print(`  segments   ${counts.segments}`)
    print(`  on disk    ${formatBytes(counts.dataBytes)}`)
    print(`  wanted     ${formatBytes(counts.liveBytes)}`)
    print(`  values     ${formatBytes(log.valueBytes)}`)
    print(`  index      ${formatBytes(index.memoryBytes)} of memory`)
    print(`  quota      ${properties.maxBytes === 0 ? 'none' : formatBytes(properties.maxBytes)}`)
  }
  return 0
}

async function compact(store: LogStore, [name]: readonly string[], print: Print): Promise<number> {
  const chosen = name === undefined ? [...store.namespaces.values()] : [store.namespace(name)]
  for (const namespace of chosen) {
    if (namespace.isCompactable) {
      print(`${oneLine(namespace.name)}: ${formatBytes(await namespace.compact(0))} given back`)
    } else print(`${oneLine(namespace.name)}: keeps everything (WORM, or history for ever)`)
  }
  return 0
}

async function exportOne(
  store: LogStore,
  [name = '', path = '']: readonly string[],
  print: Print,
): Promise<number> {
  const full = resolve(path)
  if (existsSync(full)) throw new NodeError('DISK_EXISTS', full)
  const namespace = store.namespace(name)
  const disk = nodeDisk(dirname(full))
  // Under its own name the file is whole; what an interrupted run left is written anew.
  const part = `${basename(full)}.part`
  disk.remove(part)
  const file = disk.open(part, 'new')
  try {
    const { records, root } = await exportNamespace(namespace, file)
    disk.rename(part, basename(full))
    await disk.syncDirectory('')
    print(`${records} records written, root ${root}`)
  } finally {
    file.close()
  }
  return 0
}

async function importOne(
  store: LogStore,
  [path = '', name]: readonly string[],
  print: Print,
): Promise<number> {
  const full = resolve(path)
  const file = nodeDisk(dirname(full)).open(basename(full), 'read')
  try {
    const { records, root, name: made } = await importNamespace(store, file, name)
    print(`${records} records read into ${made}, root ${root}`)
  } finally {
    file.close()
  }
  return 0
}

/** Takes over every namespace found under `DIR/data` (with its mode from `DIR/index`), or under `DIR` itself. */
async function importZero(
  store: LogStore,
  [directory = '']: readonly string[],
  print: Print,
  log: Log,
): Promise<number> {
  const root = resolve(directory)
  const dataRoot = existsSync(join(root, 'data')) ? join(root, 'data') : root
  const indexRoot = existsSync(join(root, 'index')) ? join(root, 'index') : root
  const disk = nodeDisk(dataRoot)
  let damaged = 0
  const directories = readdirSync(dataRoot, { withFileTypes: true }).filter((one) =>
    one.isDirectory(),
  )
  for (const { name } of directories) {
    if (!disk.list(name).some((file) => /^d\d+$/.test(file))) continue
    const properties = zeroDbProperties(join(indexRoot, name))
    const namespace = await store.create(name, properties)
    const counts = await importZeroDb(disk, name, namespace, log)
    damaged += counts.damaged
    print(
      `${name}: ${counts.stored} values, ${counts.deleted} deletions, ${counts.damaged} damaged and left out (${properties.mode} keys)`,
    )
  }
  return damaged === 0 ? 0 : 1
}

/** Mode from the index files, quota and flags from the descriptor; the password has to be set anew. */
function zeroDbProperties(directory: string) {
  const MODE_AT = 28
  const first = existsSync(directory)
    ? readdirSync(directory).find((name) => /^i\d+$/.test(name))
    : undefined
  const mode =
    first !== undefined && readFileSync(join(directory, first))[MODE_AT] !== 0
      ? ('seq' as const)
      : ('user' as const)
  const descriptor = join(directory, 'zdb-namespace')
  if (!existsSync(descriptor)) return { mode }
  const bytes = readFileSync(descriptor)
  const FLAGS_AT = 14
  const flags = bytes[FLAGS_AT] ?? 0
  return {
    mode,
    maxBytes: bytes.byteLength >= FLAGS_AT ? Number(bytes.readBigUInt64LE(6)) : 0,
    isPublic: (flags & 1) !== 0,
    worm: (flags & 2) !== 0,
  }
}
