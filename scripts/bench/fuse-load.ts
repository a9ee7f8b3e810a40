/** The load of the FUSE benchmark: plain synchronous calls in a directory, timed, as one line of JSON. */
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { KIB, MIB } from '../../agent/base/units.ts'

const [, , directory = '', ...options] = process.argv
const isQuick = options.includes('--quick')
const FILE_BYTES = (isQuick ? 64 : 512) * MIB
const FILES = isQuick ? 500 : 4000
const READS = isQuick ? 1000 : 10_000
/** Fixed steps through the file that a read-ahead cannot guess. */
const STRIDE = 7919

const buffer = Buffer.alloc(MIB, 7)
const path = join(directory, 'big')
const measured: Record<string, { value: number; unit: string }> = {}

const measure = (what: string, unit: string, amount: number, act: () => void): void => {
  const from = performance.now()
  act()
  measured[what] = { value: amount / ((performance.now() - from) / 1000), unit }
}
const name = (at: number): string => join(directory, `file-${at}`)
const dropPages = (): void => {
  execFileSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none'])
}
const pass = (
  flags: number,
  blockBytes: number,
  call: (file: number, bytes: Buffer, offset: number, length: number, at: number) => number,
): void => {
  const file = openSync(path, flags, 0o644)
  for (let at = 0; at < FILE_BYTES; at += blockBytes) call(file, buffer, 0, blockBytes, at)
  closeSync(file)
}

measure('create', '/s', FILES, () => {
  for (let at = 0; at < FILES; at++) closeSync(openSync(name(at), 'w'))
})
measure('stat, known to the kernel', '/s', FILES, () => {
  for (let at = 0; at < FILES; at++) lstatSync(name(at))
})
measure('look up a missing name', '/s', FILES, () => {
  for (let at = 0; at < FILES; at++) existsSync(join(directory, `none-${at}`))
})
measure('open and close', '/s', FILES, () => {
  for (let at = 0; at < FILES; at++) closeSync(openSync(name(at), 'r'))
})
measure('unlink', '/s', FILES, () => {
  for (let at = 0; at < FILES; at++) unlinkSync(name(at))
})
const { O_CREAT, O_DIRECT, O_RDONLY, O_RDWR } = constants
pass(O_CREAT | O_RDWR, MIB, writeSync) // memory of both sides is touched once before it is timed
measure('write 1 MiB', 'MB/s', FILE_BYTES / 1e6, () => pass(O_RDWR, MIB, writeSync))
measure('write 128 KiB', 'MB/s', FILE_BYTES / 1e6, () => pass(O_RDWR, 128 * KIB, writeSync))
measure('write 4 KiB', '/s', READS, () => {
  const file = openSync(path, 'r+')
  for (let at = 0; at < READS; at++) writeSync(file, buffer, 0, 4 * KIB, at * 4 * KIB)
  closeSync(file)
})
dropPages()
measure('read 1 MiB', 'MB/s', FILE_BYTES / 1e6, () => pass(O_RDONLY, MIB, readSync))
dropPages()
measure('read 128 KiB', 'MB/s', FILE_BYTES / 1e6, () => pass(O_RDONLY, 128 * KIB, readSync))
dropPages()
// O_DIRECT, so that each read is a request whatever the page cache holds.
measure('read 4 KiB at random', '/s', READS, () => {
  const file = openSync(path, O_RDONLY | O_DIRECT)
  const blocks = FILE_BYTES / (4 * KIB)
  for (let at = 0; at < READS; at++)
    readSync(file, buffer, 0, 4 * KIB, ((at * STRIDE) % blocks) * 4 * KIB)
  closeSync(file)
})
unlinkSync(path)
console.log(JSON.stringify(measured))
