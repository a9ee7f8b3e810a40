/** Transactions through crashes, slow chains and refusals: each need once, none twice. */

import { assert } from 'chai'
import { Transaction } from 'ethers/transaction'
import fc from 'fast-check'
import { NodeError } from '../../../agent/base/errors.ts'
import { account } from '../../../agent/base/ids.ts'
import { ERRORS_ABI } from '../../../agent/ledger/abi.ts'
import type { LedgerGate } from '../../../agent/ledger/ports.ts'
import { RECORDS } from '../../../agent/ledger/records.ts'
import { LedgerSender, REPLACE_MS } from '../../../agent/ledger/sender.ts'
import type { GridPin, SentTransaction, WantedTransaction } from '../../../agent/ledger/types.ts'
import { decodeResource, encodeResource } from '../../../agent/state/codec.ts'
import { identityOf } from '../../support/fake-orders.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

const at = (digit: string) => account(`0x${digit.repeat(40)}`)
const PIN: GridPin = {
  ...{ chainId: 7, grid: at('1'), policy: at('2'), nodes: at('3'), orders: at('4') },
  ...{ escrow: at('5'), token: at('6'), deployedAtBlock: 0, codeDigest: '' },
}
const signal = new AbortController().signal
const beat = (n: number): WantedTransaction => ({
  id: `heartbeat/${n}`,
  call: { method: 'heartbeat' },
  why: 'test',
})

/** A chain of one account: a pool of one transaction a nonce, mined when the test says so. */
class Gate implements LedgerGate {
  readonly name = 'gate'
  readonly pool = new Map<number, Transaction>()
  readonly mined: Transaction[] = []
  refusal: NodeError | undefined
  funds = 10n ** 18n
  isDown = false

  mine(): void {
    const next = this.pool.get(this.mined.length)
    if (next) this.mined.push(next)
  }
  async chainId() {
    return 7
  }
  async nonce() {
    if (this.isDown) throw new NodeError('LEDGER_UNREACHABLE', 'down')
    return this.mined.length
  }
  async balance() {
    return this.funds
  }
  async estimateGas() {
    if (this.refusal) throw this.refusal
    return 50_000n
  }
  async fees() {
    return { baseFee: 100n, priorityFee: 2n }
  }
  async send(signed: string) {
    const transaction = Transaction.from(signed)
    if (transaction.nonce < this.mined.length) throw new NodeError('TRANSACTION_REFUSED', 'nonce')
    const other = this.pool.get(transaction.nonce)
    const pays = (one: Transaction) => one.maxFeePerGas ?? 0n
    if (
      other &&
      pays(transaction) < (pays(other) * 110n) / 100n &&
      other.hash !== transaction.hash
    ) {
      throw new NodeError('TRANSACTION_REFUSED', 'underpriced')
    }
    this.pool.set(transaction.nonce, transaction)
  }
  async receipt(hash: string) {
    const index = this.mined.findIndex((one) => one.hash === hash)
    return index < 0 ? undefined : { blockNumber: index + 10, succeeded: true }
  }
}

/** Whether a record passes its check once it was written and read back. */
const isBelieved = (record: SentTransaction) =>
  RECORDS['transaction.sent'].check(decodeResource(encodeResource(record)))

function setUp() {
  const gate = new Gate()
  const clock = new VirtualClock()
  const key = identityOf(1)
  let sent: readonly SentTransaction[] = []
  let finalNumber = 0
  return {
    gate,
    clock,
    final: (number: number) => {
      finalNumber = number
    },
    sent: () => sent,
    forget: () => {
      sent = []
    },
    /** One step of a fresh process: nothing is remembered but the records. */
    async step(...wanted: WantedTransaction[]) {
      const sender = new LedgerSender({ gates: [gate], key, clock })
      sent = await sender.step(wanted, sent, { pin: PIN, finalNumber }, signal)
      assert.isTrue(sent.every(isBelieved), 'a restarted agent believes each record')
      return sent.map(({ id, state, code }) => `${id} ${state} ${code ?? ''}`.trim()).join(', ')
    },
  }
}

describe('LedgerSender', () => {
  it('persists, then sends, then sees it mined, and does not repeat it', async () => {
    const t = setUp()
    assert.equal(await t.step(beat(1)), 'heartbeat/1 pending')
    assert.equal(t.gate.pool.size, 0)
    await t.step(beat(1))
    assert.equal(t.gate.pool.size, 1)
    t.gate.mine()
    assert.equal(await t.step(beat(1)), 'heartbeat/1 mined')
    await t.step(beat(1))
    assert.equal(t.gate.pool.size, 1)
  })

  it('offers what waits once, and again only after a while', async () => {
    const t = setUp()
    const { gate, clock } = t
    let offers = 0
    const { send } = gate
    gate.send = (signed) => {
      offers++
      return send.call(gate, signed)
    }
    const sender = new LedgerSender({ gates: [gate], key: identityOf(1), clock })
    let sent: readonly SentTransaction[] = []
    const step = async () => {
      sent = await sender.step([beat(1)], sent, { pin: PIN, finalNumber: 0 }, signal)
    }
    for (let look = 0; look < 10; look++) await step()
    assert.equal(offers, 1)
    // The endpoint lost it.
    gate.pool.clear()
    await clock.advance(10_000)
    await step()
    assert.equal(offers, 2)
    gate.mine()
    await step()
    assert.equal(sent[0]?.state, 'mined')
    assert.equal(offers, 2)
  })

  it('signs for the pinned chain, contract and account', async () => {
    const t = setUp()
    await t.step(beat(1))
    await t.step(beat(1))
    const [transaction] = [...t.gate.pool.values()]
    assert.equal(transaction?.chainId, 7n)
    assert.equal(transaction?.to?.toLowerCase(), PIN.nodes)
    assert.equal(transaction?.from?.toLowerCase(), identityOf(1).account)
    assert.equal(transaction?.gasLimit, 112_500n)
  })

  it('does one after another', async () => {
    const t = setUp()
    await t.step(beat(1), beat(2))
    await t.step(beat(1), beat(2))
    assert.equal(await t.step(beat(1), beat(2)), 'heartbeat/1 pending')
    t.gate.mine()
    await t.step(beat(1), beat(2))
    assert.equal(await t.step(beat(1), beat(2)), 'heartbeat/1 mined, heartbeat/2 pending')
  })

  it('offers more for one that waits long, with the same nonce', async () => {
    const t = setUp()
    await t.step(beat(1))
    await t.step(beat(1))
    await t.clock.advance(REPLACE_MS)
    await t.step(beat(1))
    await t.step(beat(1))
    assert.equal(t.sent()[0]?.hashes.length, 2)
    assert.equal(t.gate.pool.size, 1)
    t.gate.mine()
    assert.equal(await t.step(beat(1)), 'heartbeat/1 mined')
    assert.equal(t.gate.mined.length, 1)
  })

  it('names the contract’s reason, and tries again only later', async () => {
    const t = setUp()
    const data = ERRORS_ABI.encodeErrorResult('OrderUnknown', [7])
    t.gate.refusal = new NodeError('TRANSACTION_REVERTED', 'revert', { details: { data } })
    assert.equal(await t.step(beat(1)), 'heartbeat/1 failed TRANSACTION_REVERTED')
    assert.equal(t.sent()[0]?.message, 'OrderUnknown(7)')
    t.gate.refusal = undefined
    assert.equal(
      await t.step(beat(1), beat(2)),
      'heartbeat/1 failed TRANSACTION_REVERTED, heartbeat/2 pending',
    )
    await t.step(beat(1), beat(2))
    t.gate.mine()
    await t.step(beat(1))
    await t.clock.advance(2_000)
    assert.include(await t.step(beat(1)), 'heartbeat/1 pending')
  })

  it('says when the account cannot pay', async () => {
    const t = setUp()
    t.gate.funds = 0n
    assert.equal(await t.step(beat(1)), 'heartbeat/1 failed TRANSACTION_UNFUNDED')
    assert.equal(t.gate.pool.size, 0)
  })

  it('sends again what a reorganisation undid', async () => {
    const t = setUp()
    await t.step(beat(1))
    await t.step(beat(1))
    t.gate.mine()
    await t.step(beat(1))
    t.gate.mined.pop()
    t.gate.pool.clear()
    t.final(11)
    assert.equal(await t.step(beat(1)), 'heartbeat/1 mined')
    t.final(12)
    assert.equal(await t.step(beat(1)), 'heartbeat/1 pending')
  })

  it('keeps a bounded history', async () => {
    const t = setUp()
    for (let n = 0; n < 70; n++) {
      await t.step(beat(n))
      await t.step(beat(n))
      t.gate.mine()
      await t.step(beat(n))
    }
    await t.step()
    assert.equal(t.sent().length, 64)
    assert.equal(t.sent().at(-1)?.id, 'heartbeat/69')
  })

  it('mines every need exactly once, wherever the process dies', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('step', 'lost step', 'mine', 'wait', 'outage'), { maxLength: 60 }),
        async (events) => {
          const t = setUp()
          const wanted = [beat(1), beat(2), beat(3)]
          for (const event of events) {
            if (event === 'mine') t.gate.mine()
            if (event === 'wait') await t.clock.advance(REPLACE_MS)
            if (event === 'step') await t.step(...wanted)
            // Died after whatever the step did outside, before its records were durable.
            if (event === 'lost step') {
              const key = identityOf(1)
              const sender = new LedgerSender({ gates: [t.gate], key, clock: t.clock })
              await sender.step(wanted, t.sent(), { pin: PIN, finalNumber: 0 }, signal)
            }
            if (event === 'outage') {
              t.gate.isDown = true
              await t.step(...wanted).catch(() => undefined)
              t.gate.isDown = false
            }
          }
          for (let i = 0; i < 12; i++) {
            await t.step(...wanted)
            t.gate.mine()
          }
          assert.equal(t.gate.mined.length, 3)
          assert.isTrue(t.sent().every(({ state }) => state === 'mined'))
        },
      ),
      { numRuns: 50 },
    ))
})
