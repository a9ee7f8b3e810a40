/**
 * Real history: official era1 files where they lie beside the checkout, and always a ledger's own blocks, exported,
 * checked, and refused once what they say is changed.
 */
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { assert } from 'chai'
import { JsonRpcProvider, Wallet } from 'ethers'
import { toHex } from '../../../agent/base/bytes.ts'
import { codeOf } from '../../../agent/base/errors.ts'
import { startDevnet } from '../../../scripts/devnet/devnet.ts'
import { PART_BYTES_MAX } from '../../../scripts/history/check-block.ts'
import { checkHistoryFile } from '../../../scripts/history/check-file.ts'
import {
  encodeBlockIndex,
  encodeE2Record,
  RECORD,
  readE2Records,
} from '../../../scripts/history/e2store.ts'
import { exportLedger } from '../../../scripts/history/export-ledger.ts'
import { decodeSnappyFrames } from '../../../scripts/history/snappy-frames.ts'
import { verifyHistory } from '../../../scripts/history/verify-history.ts'

const REAL = resolve(import.meta.dirname, '../../../../shared/data')
const ERA1 = ['mainnet-00000-5ec1ffb8.era1', 'mainnet-00001-a5364e9a.era1']
/** Records that hold snappy. */
const PACKED: ReadonlySet<number> = new Set([RECORD.header, RECORD.body, RECORD.receipts])

describe('history files', function () {
  // Seconds by itself; a loaded machine of two cores takes a minute for the twelve passes over an era1 file.
  this.timeout(240_000)
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'varve-history-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  describe('mainnet era1', () => {
    before(function () {
      if (ERA1.every((name) => existsSync(join(REAL, name)))) return
      console.log(`      no era1 files in ${REAL}: only the ledger's own blocks are checked`)
      this.skip()
    })

    it('are official, whole, and in the list of accumulator roots', async () => {
      const { files, official, bad } = await verifyHistory(REAL)
      const era1 = files.filter((file) => file.blocks?.kind === 'era1')
      assert.deepEqual([official, bad, era1.length], [2, 0, 2])
      assert.deepEqual(
        era1.map(({ blocks }) => [blocks?.firstBlock, blocks?.lastBlock, blocks?.transactions]),
        [
          [0, 8191, 0],
          [8192, 16383, 0],
        ],
      )
      const roots = readFileSync(join(REAL, 'merge_macc.bin'))
      era1.forEach(({ blocks }, epoch) => {
        const root = roots.subarray(4 + 32 * epoch, 36 + 32 * epoch)
        assert.equal(blocks?.accumulator, toHex(root))
      })
    })

    it('are refused when one byte of any part is changed, when cut, and under a wrong name', async () => {
      const good = readFileSync(join(REAL, ERA1[0] ?? ''))
      const path = join(directory, ERA1[0] ?? '')
      const codes = new Set<string | undefined>()
      for (let step = 1; step <= 12; step++) {
        const bad = Buffer.from(good)
        const at = Math.floor((good.byteLength * step) / 12) - 9 * step
        bad[at] = (bad[at] ?? 0) ^ 1
        writeFileSync(path, bad)
        const code = await checkHistoryFile(path).then(() => 'accepted', codeOf)
        assert.match(String(code), /^HISTORY_/, `byte ${at}`)
        codes.add(code)
      }
      writeFileSync(path, good.subarray(0, 1_000_000))
      assert.equal(await checkHistoryFile(path).then(() => '', codeOf), 'HISTORY_FRAMING')
      const wrong = join(directory, 'mainnet-00001-5ec1ffb8.era1')
      copyFileSync(join(REAL, ERA1[0] ?? ''), wrong)
      assert.equal(await checkHistoryFile(wrong).then(() => '', codeOf), 'HISTORY_NAME')
    })
  })

  it('of a ledger are exported, check out, and are refused when changed', async () => {
    const devnet = await startDevnet({ dataDir: join(directory, 'ledger'), blockTimeSeconds: 3600 })
    const provider = new JsonRpcProvider(devnet.url, undefined, { cacheTimeout: -1 })
    try {
      const wallet = new Wallet(devnet.accounts[0]?.privateKey ?? '', provider)
      // A contract that logs its call data, so that receipts hold logs; sent by each type of transaction.
      const deploy = { data: '0x600b80600b6000396000f3366000600037366000a000' }
      const types = [0, 1, 2]
      for (const [at, type] of types.entries()) {
        const call = { to: `0x${'12'.repeat(20)}`, data: '0x0102', value: 3n }
        const common = { type, gasLimit: 200_000n }
        await wallet.sendTransaction({ ...deploy, ...common, nonce: at * 2 })
        await wallet.sendTransaction({ ...call, ...common, nonce: at * 2 + 1 })
        await devnet.advance(1)
      }
      await devnet.advance(1)
      const whole = await exportLedger({ url: devnet.url, from: 0, to: 4, file: directory })
      assert.deepEqual([whole.blocks, whole.transactions], [5, 6])
      assert.match(basename(whole.path), /^31337-00000000-00000004-[0-9a-f]{8}\.e2s$/)
      const { files, bad } = await verifyHistory(directory)
      assert.equal(bad, 0, JSON.stringify(files))
      assert.deepEqual(
        files.map(({ blocks }) => [blocks?.kind, blocks?.firstBlock, blocks?.lastBlock]),
        [['e2s', 0, 4]],
      )

      const good = readFileSync(whole.path)
      const content = await contentOf(whole.path)
      const sha256 = files[0]?.sha256
      let flips = 0
      let refused = 0
      for (let at = 0; at < good.byteLength; at += 37) {
        const changed = Buffer.from(good)
        changed[at] = (changed[at] ?? 0) ^ 4
        writeFileSync(whole.path, changed)
        const result = await checkHistoryFile(whole.path).catch(codeOf)
        flips++
        if (typeof result !== 'object') {
          assert.match(String(result), /^HISTORY_/, `byte ${at}`)
          refused++
          continue
        }
        // A flip may give other snappy of the same bytes, as when a copy takes an equal run from elsewhere; the keys are
        // new each time, so where that is differs. Then every byte that is said must be the same.
        assert.deepEqual(
          await contentOf(whole.path),
          content,
          `byte ${at} of ${good.toString('hex')}`,
        )
        assert.notEqual(result.sha256, sha256, `byte ${at}`)
      }
      assert.isAbove(refused, flips / 2, `${refused} of ${flips} changed files were refused`)

      writeFileSync(whole.path, good)
      writeFileSync(whole.path, await storedAgain(whole.path, 0))
      assert.deepEqual((await contentOf(whole.path)).slice(0, -1), content.slice(0, -1))
      const again = await checkHistoryFile(whole.path)
      assert.deepEqual({ ...again, sha256 }, files[0]?.blocks, 'the same blocks, otherwise packed')
      assert.notEqual(again.sha256, sha256)
      const code = await exportLedger({ url: devnet.url, from: 3, to: 9, file: directory }).then(
        () => 'exported',
        codeOf,
      )
      assert.equal(code, 'HISTORY_EXPORT')
    } finally {
      provider.destroy()
      await devnet.stop()
    }
  })
})

/** What a file of blocks says, record by record: snappy is unpacked. */
async function contentOf(path: string): Promise<[type: number, plain: string][]> {
  const content: [number, string][] = []
  for await (const { type, data } of readE2Records(path)) {
    const plain = PACKED.has(type) ? decodeSnappyFrames(data, PART_BYTES_MAX) : data
    content.push([type, toHex(plain)])
  }
  return content
}

/** The same blocks with nothing compressed: each part as one plain chunk under the checksum that it had. */
async function storedAgain(path: string, firstBlock: number): Promise<Buffer> {
  const parts: Buffer[] = []
  const offsets: number[] = []
  let sizeBytes = 0
  const put = (type: number, data: Uint8Array) => {
    const record = encodeE2Record(type, data)
    parts.push(record)
    sizeBytes += record.byteLength
  }
  for await (const { type, data } of readE2Records(path)) {
    if (type === RECORD.header) offsets.push(sizeBytes)
    if (type === RECORD.blockIndex) {
      put(type, encodeBlockIndex({ startBlock: firstBlock, offsets }, sizeBytes))
    } else {
      put(type, PACKED.has(type) ? stored(data) : data)
    }
  }
  return Buffer.concat(parts)
}

function stored(packed: Uint8Array): Uint8Array {
  const identifier = packed.subarray(0, 10)
  const checksum = packed.subarray(14, 18)
  const plain = decodeSnappyFrames(packed, 65_536)
  const header = Buffer.alloc(4)
  header.writeUInt8(1, 0)
  header.writeUIntLE(plain.byteLength + checksum.byteLength, 1, 3)
  return Buffer.concat([identifier, header, checksum, plain])
}
