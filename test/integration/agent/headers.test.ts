/** Headers of the local engines are held to their hash, and a changed one is found whatever field it is. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from 'chai'
import { rpcLedger } from '../../../agent/adapters/chain/rpc-ledger.ts'
import { type Devnet, startDevnet } from '../../../scripts/devnet/devnet.ts'
import { availableEngine } from '../../../scripts/devnet/engine.ts'
import { type LyingRpc, lyingRpc } from '../../support/lying-rpc.ts'
import { rejectsWith } from '../../support/rejects-with.ts'

const signal = new AbortController().signal
/** What a fork may add before this program knows it. */
const CHANGED = ['timestamp', 'number', 'parentHash', 'stateRoot', 'baseFeePerGas', 'requestsHash']

for (const engine of new Set([availableEngine(), 'hardhat'] as const)) {
  describe(`headers of ${engine}`, () => {
    let folder: string
    let devnet: Devnet
    let rpc: LyingRpc
    before(async () => {
      folder = mkdtempSync(join(tmpdir(), 'vh-'))
      devnet = await startDevnet({ dataDir: folder, engine, blockTimeSeconds: 0.1 })
      rpc = await lyingRpc(devnet.url)
      await devnet.advance(5)
    })
    after(async () => {
      await rpc?.close()
      await devnet?.stop()
      rmSync(folder, { recursive: true, force: true })
    })

    it('have their hash', async () => {
      const ledger = rpcLedger(rpc.url, 'ethereum')
      for (const which of ['latest', 'finalized', 0, 1] as const) {
        assert.match((await ledger.block(which, signal))?.hash ?? '', /^0x[0-9a-f]{64}$/)
      }
    })

    it('are refused with any field changed, dropped or with another hash', async () => {
      for (const name of CHANGED) {
        for (const value of ['0x7', undefined, `0x${'ab'.repeat(32)}`]) {
          // On a slow machine the block's number may be what is lied.
          rpc.lie = (_, result) => {
            const told = result as Record<string, unknown>
            return { ...told, [name]: told[name] === value ? '0x8' : value }
          }
          const ledger = rpcLedger(rpc.url, 'ethereum')
          await rejectsWith('LEDGER_HEADER_FORGED', () => ledger.block('latest', signal))
        }
      }
      rpc.lie = (_, result) => ({ ...(result as object), hash: `0x${'ab'.repeat(32)}` })
      const ledger = rpcLedger(rpc.url, 'ethereum')
      await rejectsWith('LEDGER_HEADER_FORGED', () => ledger.block(1, signal))
      assert.equal((await rpcLedger(rpc.url, 'unchecked').block(1, signal))?.number, 1)
      rpc.lie = undefined
    })
  })
}
