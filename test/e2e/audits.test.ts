/** Audits of a real grid: what a mount wrote is committed, and every node that keeps it is proven epoch after epoch. */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert } from 'chai'
import { MIB } from '../../agent/base/units.ts'
import type { AgentProcess } from '../../scripts/grid/agent-process.ts'
import type { LocalGrid } from '../../scripts/grid/local-grid.ts'
import {
  printComplaints,
  type SuiteGrid,
  startSuiteGrid,
  untilDispersed,
  untilMounted,
  untilStatus,
} from './support/grid-suite.ts'

const STORES = 3
/** The last agent mounts, and holds no slot. */
const CONSUMER = STORES
const DAY_SECONDS = 86_400

describe('audits of a grid', function () {
  this.timeout(180_000)
  let suite: SuiteGrid
  let grid: LocalGrid
  let path: string
  let mount: number
  const content = randomBytes(10 * MIB)

  before(async () => {
    suite = await startSuiteGrid({
      agents: STORES + 1,
      parameters: (usual) => ({
        ...usual,
        policy: {
          ...usual.policy,
          // Nobody is given up: this is not about repair.
          ...{ HeartbeatSeconds: 30n, LostSeconds: 600n, ScrubSeconds: 3_600n },
          ...{ AuditEpochSeconds: 8n, AuditWindowSeconds: 5n, AuditWindowBlocks: 2n },
          ...{ AuditAnswerSeconds: 8n, AuditSamples: 16n, AuditOpenOdds: 2n, AuditMissSlash: 500n },
        },
      }),
    })
    grid = suite.grid
    const consumer = grid.agent(CONSUMER)
    const { node = 0 } = await untilStatus('its number', consumer, (now) => now.node)
    const tenant = await grid.connect(grid.tenantKey)
    try {
      const shape = { sizeBytes: 64 * MIB, dataShards: 2, parityShards: 1, avoid: [node] }
      const { order } = await tenant.orderVolume({ ...shape, seconds: DAY_SECONDS })
      const request = { volume: order, node, name: 'work', readOnly: false, seconds: DAY_SECONDS }
      mount = (await tenant.orderMount(request)).order
    } finally {
      tenant.close()
    }
    path = await untilMounted(consumer, mount)
    writeFileSync(join(path, 'history'), content)
    await untilDispersed(consumer, mount)
  })
  after(() => suite?.end())
  afterEach(function () {
    if (this.currentTest?.state === 'failed') printComplaints(grid)
  })

  const stores = () => Array.from({ length: STORES }, (_, index) => grid.agent(index))
  const proven = (agent: AgentProcess, epoch: number) =>
    untilStatus(`epoch ${epoch} to be proven`, agent, ({ audits }) =>
      audits && audits.units > 0 && audits.provenEpoch >= epoch ? audits : undefined,
    )

  it('proves what every node keeps, epoch after epoch', async () => {
    const first = await Promise.all(stores().map((agent) => proven(agent, 1)))
    const epoch = Math.max(...first.map(({ audits }) => audits?.provenEpoch ?? 0))
    const later = await Promise.all(stores().map((agent) => proven(agent, epoch + 2)))
    for (const { audits } of later) {
      assert.equal(audits?.missedEpoch, 0)
      assert.equal(audits?.slashedEpoch, 0)
      assert.isAtLeast(audits?.units ?? 0, (5 * MIB) / 32, 'half of what was written, and more')
    }
  })

  it('goes on after a node was killed and came back', async () => {
    const agent = grid.agent(0)
    const { audits } = await proven(agent, 1)
    agent.cutPower(true)
    await proven(agent, (audits?.provenEpoch ?? 0) + 2)
  })
})
