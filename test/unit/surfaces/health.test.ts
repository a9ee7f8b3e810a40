/** Whatever is wrong with a node is on one list, which status, metrics and exit codes are made of. */
import { assert } from 'chai'
import { AGENT_ERRORS } from '../../../agent/error-hints.ts'
import type { Kind, Kinds } from '../../../agent/state/kinds.ts'
import { problemsOf } from '../../../agent/surfaces/health.ts'
import { agentMetrics } from '../../../agent/surfaces/metrics.ts'
import { type StateReading, statusDocument } from '../../../agent/surfaces/status.ts'
import { statusText } from '../../../agent/surfaces/status-text.ts'

type Resources = { readonly [K in Kind]?: readonly object[] }

function stateOf(resources: Resources): StateReading {
  const list = <K extends Kind>(kind: K) => [...(resources[kind] ?? [])] as unknown as Kinds[K][]
  return { list, get: () => undefined }
}

const FACTS = {
  ...{ account: '0x1', build: 'b', pid: 1, startedAtMs: 0, dataDir: '/d', grid: '0x2' },
  ...{ mountRoot: '/m', metricsUrl: undefined },
}
const unit = (more: object) => ({
  ...{ name: 'mount-7', kind: 'mount', state: 'running', pid: 1, configured: true, adopted: false },
  ...{ restarts: 0, code: undefined, message: undefined, figures: {}, ...more },
})
const WRONG = { code: 'VOLUME_KEY_UNKNOWN', message: 'wrong' }
const ledger = (more: object) => ({ state: 'following', sources: [], ...more })
const order = (more: object) => ({ order: 7, kind: 'mount', state: 'provisioned', ...more })
const slot = { order: 7, slot: 2, node: 3, to: undefined }

// biome-ignore format: a table to read down
const cases: [why: string, resources: Resources, want: string[]][] = [
  ['nothing', {}, []],
  ['a unit that runs', { 'status.unit': [unit({})] }, []],
  ['a unit that died', { 'status.unit': [unit({ state: 'backing-off', ...WRONG })] }, ['alarm unit mount-7 7']],
  ['a unit that says it cannot work', { 'status.unit': [unit({ state: 'failed', ...WRONG })] }, ['alarm unit mount-7 7']],
  ['a unit that works and is ill', { 'status.unit': [unit({ figures: { problems: [WRONG, { ...WRONG, order: 9 }] } })] }, ['alarm unit mount-7 7', 'alarm unit mount-7 9']],
  ['a unit that reports nonsense', { 'status.unit': [unit({ figures: { problems: ['x', null, 7] } })] }, []],
  ['a ledger that is waited for', { 'ledger.status': [ledger({ state: 'waiting', ...WRONG })] }, ['alarm ledger undefined']],
  ['one endpoint of several', { 'ledger.status': [ledger({ sources: [{ name: 'a', ...WRONG }, { name: 'b' }] })] }, ['notice source a undefined']],
  ['a registration that waits', { 'status.registration': [{ state: 'waiting', ...WRONG }] }, ['alarm registration undefined']],
  ['a heartbeat withheld', { 'status.heartbeat': [{ state: 'withheld', ...WRONG }] }, ['alarm heartbeat undefined']],
  ['an order refused', { 'status.mount': [order({ state: 'refused', ...WRONG })] }, ['notice order 7 (mount) 7']],
  ['a slot without another node', { 'status.repair': [{ ...slot, state: 'no-candidate' }] }, ['alarm repair 7.2 7']],
  ['a slot that moves', { 'status.repair': [{ ...slot, state: 'replacing', to: 4 }] }, []],
  ['an audit missed', { 'status.audit': [{ state: 'missed', ...WRONG }] }, ['alarm audits undefined']],
  ['a controller that fails', { 'status.controller': [{ name: 'stores', state: 'failing', ...WRONG }] }, ['alarm controller stores undefined']],
]

describe('the health of a node', () => {
  for (const [why, resources, want] of cases) {
    it(`of ${why} is ${want.length === 0 ? 'well' : want.join(', ')}`, async () => {
      const state = stateOf(resources)
      const problems = problemsOf(state, AGENT_ERRORS)
      assert.deepEqual(
        problems.map(({ level, about, order: of }) => `${level} ${about} ${of}`),
        want,
      )
      const isIll = want.some((one) => one.startsWith('alarm'))
      const metrics = await agentMetrics(state, AGENT_ERRORS)()
      assert.include(metrics, `\nvarve_well ${isIll ? 0 : 1}\n`)
      assert.equal(
        metrics.split('\nvarve_problem{').length - 1,
        new Set(problems.map((one) => one.about)).size,
      )
    })
  }

  it('is shown with code, message and hint, once each', () => {
    const state = stateOf({
      'status.unit': [unit({ state: 'failed', code: 'STORE_FULL', message: 'no room' })],
    })
    const hints = { STORE_FULL: { means: 'm', hint: 'Make room.' } }
    const document = statusDocument(state, FACTS, hints)
    assert.equal(document.health, 'ill')
    assert.equal(document.problems[0]?.hint, 'Make room.')
    assert.match(
      statusText(document),
      /^health +ill\n +alarm +unit mount-7: STORE_FULL: no room \(Make room\.\)\n/,
    )
    assert.equal(statusDocument(stateOf({}), FACTS, hints).health, 'well')
  })

  it('counts alarms before notices', () => {
    const state = stateOf({
      'ledger.status': [ledger({ sources: [{ name: 'a', ...WRONG }] })],
      'status.heartbeat': [{ state: 'withheld', ...WRONG }],
    })
    assert.deepEqual(
      problemsOf(state, {}).map(({ level }) => level),
      ['alarm', 'notice'],
    )
  })
})
