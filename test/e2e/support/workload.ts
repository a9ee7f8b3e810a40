/**
 * A program that writes records into a directory and keeps, outside of it, a journal of what it tried and of what fsync
 * acknowledged; and the same program's other half, which compares the directory with the journal, byte for byte.
 *
 * A process of its own, so that a file system that dies under it blocks nobody else. When a call fails it lets go of the file,
 * waits until the mount is back, and goes on: only what fsync acknowledged counts.
 */
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { seededChance } from '../../support/seeded-chance.ts'

/** Within a page, over page borders, a page, over several. */
const RECORD_BYTES = [512, 3001, 4096, 10_007] as const
const FILES_MAX = 24
const RECORDS_A_ROUND_MAX = 4
const PAUSE_MS_MAX = 15
const RETRY_MS = 20

/** A round that was tried. */
interface Round {
  readonly round: number
  readonly file: number
  readonly writes: readonly Write[]
}

/** A line of the journal: `ok` once the round was acknowledged. */
type Line = Round | { readonly ok: number }

interface Write {
  readonly record: number
  readonly version: number
}

/** What may be in a record: any version from the last acknowledged to the last tried. */
interface Record {
  acknowledged: number
  tried: number
}

const fileName = (file: number): string => `d${file % 3}/f${file}`
const bytesOf = (file: number): number => RECORD_BYTES[file % RECORD_BYTES.length] ?? 512

/** What a record holds: the same for the same name. */
function contentOf(seed: number, file: number, { record, version }: Write): Buffer {
  return createHash('shake256', { outputLength: bytesOf(file) })
    .update(`${seed}/${file}/${record}/${version}`)
    .digest()
}

/** Writes until it is told to stop. */
class Writer {
  readonly #mount: string
  readonly #journal: string
  readonly #seed: number
  readonly #outside: number
  readonly #records = new Map<number, Record[]>()
  #round = 0
  isStopped = false

  constructor(mount: string, journal: string, seed: number) {
    this.#mount = mount
    this.#journal = journal
    this.#seed = seed
    this.#outside = statSync(dirname(journal)).dev
  }

  async run(): Promise<void> {
    const chance = seededChance(this.#seed)
    while (!this.isStopped) {
      const file = chance.below(FILES_MAX)
      const records = this.#records.get(file) ?? []
      this.#records.set(file, records)
      const writes: Write[] = []
      for (let left = 1 + chance.below(RECORDS_A_ROUND_MAX); left > 0; left--) {
        const isAppend = records.length === 0 || chance.below(2) === 0
        const index = isAppend ? records.length : chance.below(records.length)
        const record = records[index] ?? { acknowledged: 0, tried: 0 }
        records[index] = record
        writes.push({ record: index, version: ++record.tried })
      }
      await this.#attempt({ round: ++this.#round, file, writes })
      await sleep(chance.below(PAUSE_MS_MAX))
    }
  }

  /** One round; after a failure the whole of it again, until it is acknowledged. */
  async #attempt(line: Round): Promise<void> {
    appendFileSync(this.#journal, `${JSON.stringify(line)}\n`)
    while (!this.isStopped) {
      try {
        this.#write(line)
        appendFileSync(this.#journal, `${JSON.stringify({ ok: line.round })}\n`)
        return
      } catch {
        await sleep(RETRY_MS)
      }
    }
  }

  #write(line: Round): void {
    const path = join(this.#mount, fileName(line.file))
    const device = this.#mountedDevice()
    mkdirSync(dirname(path), { recursive: true })
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT)
    try {
      // A mount that came or went between the two looks shows: the file is on another device then.
      if (fstatSync(fd).dev !== device) throw new TypeError('not on the mount')
      for (const write of line.writes) {
        const content = contentOf(this.#seed, line.file, write)
        for (let done = 0; done < content.length; ) {
          done += writeSync(
            ...[fd, content, done, content.length - done],
            write.record * content.length + done,
          )
        }
      }
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    for (const directory of [dirname(path), this.#mount]) syncDirectory(directory)
  }

  /** While it is not mounted the path is an ordinary directory, and what is written there is nobody's promise. */
  #mountedDevice(): number {
    const device = statSync(this.#mount).dev
    if (device === this.#outside) throw new TypeError('not mounted')
    return device
  }
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** What {@link verify} found. */
export interface Verdict {
  readonly rounds: number
  readonly records: number
  /** What was acknowledged and is not there. */
  readonly lost: readonly string[]
}

function verify(mount: string, journal: string, seed: number): Verdict {
  const files = new Map<number, Map<number, Record>>()
  const rounds = new Map<number, Round>()
  let acknowledgedRounds = 0
  for (const text of readFileSync(journal, 'utf8').trim().split('\n')) {
    const line: Line = JSON.parse(text)
    const tried = 'ok' in line ? rounds.get(line.ok) : line
    if (tried === undefined) throw new TypeError(`the journal never tried ${text}`)
    if (!('ok' in line)) rounds.set(line.round, line)
    else acknowledgedRounds++
    const records = files.get(tried.file) ?? new Map<number, Record>()
    files.set(tried.file, records)
    for (const { record, version } of tried.writes) {
      const known = records.get(record) ?? { acknowledged: 0, tried: 0 }
      records.set(record, known)
      known['ok' in line ? 'acknowledged' : 'tried'] = version
    }
  }
  const lost: string[] = []
  let checked = 0
  for (const [file, records] of files) {
    const owed = [...records].filter(([, { acknowledged }]) => acknowledged > 0)
    if (owed.length === 0) continue
    const bytes = read(join(mount, fileName(file)))
    for (const [record, known] of owed) {
      checked++
      const size = bytesOf(file)
      const found = bytes.subarray(record * size, (record + 1) * size)
      if (!isAllowed(found, seed, file, record, known)) {
        lost.push(
          `${fileName(file)} record ${record}: ${found.length} of ${size} bytes,` +
            ` not version ${known.acknowledged} to ${known.tried}`,
        )
      }
    }
  }
  return { rounds: acknowledgedRounds, records: checked, lost }
}

function read(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch {
    return Buffer.alloc(0)
  }
}

/** Every byte is of a version that may be there: an overwriting that nobody acknowledged may have been cut anywhere. */
function isAllowed(
  found: Buffer,
  seed: number,
  file: number,
  record: number,
  known: Record,
): boolean {
  const candidates: Buffer[] = []
  for (let version = known.acknowledged; version <= known.tried; version++) {
    candidates.push(contentOf(seed, file, { record, version }))
  }
  if (found.length !== bytesOf(file)) return false
  return found.every((byte, at) => candidates.some((candidate) => candidate[at] === byte))
}

const { values, positionals } = parseArgs({
  options: {
    mount: { type: 'string', default: '' },
    journal: { type: 'string', default: '' },
    seed: { type: 'string', default: '1' },
  },
  allowPositionals: true,
})
const seed = Number(values.seed)
if (positionals[0] === 'write') {
  const writer = new Writer(values.mount, values.journal, seed)
  process.once('SIGTERM', () => {
    writer.isStopped = true
  })
  await writer.run()
} else {
  console.log(JSON.stringify(verify(values.mount, values.journal, seed)))
}
