/**
 * Audits of a real grid: what a mount wrote is committed, every node that keeps it is proven epoch after epoch, and one whose disk
 * lost it is found, marked by its peers and slashed; the volume is whole all the same.
 */
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert } from 'chai'
import { MIB } from '../../agent/base/units.ts'
import type { StatusDocument } from '../../agent/surfaces/status.ts'
import type { GridAudits } from '../../client/sdk/index.ts'
import type { AgentProcess } from '../../scripts/grid/agent-process.ts'
import { type LocalGrid, until } from '../../scripts/grid/local-grid.ts'
import {
  printComplaints,
  SOON,
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
  const digest = createHash('sha256').update(content).digest('hex')

  before(async () => {
    suite = await startSuiteGrid({
      agents: STORES + 1,
      parameters: (usual) => ({
        ...usual,
        policy: {
          ...usual.policy,
          // Nobody is given up: this is not about repair.
          ...{ LostSeconds: 600n, ScrubSeconds: 3_600n },
          // One in every epoch: a miss is marked once the next tells that the node lived, while its epoch is still judged.
          HeartbeatSeconds: 8n,
          // Windows as long as epochs, so that a busy machine misses none.
          ...{ AuditEpochSeconds: 10n, AuditWindowSeconds: 10n, AuditWindowBlocks: 6n },
          ...{
            AuditAnswerSeconds: 10n,
            AuditSamples: 16n,
            AuditOpenOdds: 2n,
            AuditMissSlash: 500n,
          },
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
    const later = await Promise.all(stores().map((agent) => proven(agent, epoch + 1)))
    for (const { audits } of later) {
      assert.isAtLeast(audits?.units ?? 0, (5 * MIB) / 32, 'half of what was written, and more')
    }
    const watched = (await grid.varve(grid.tenantKey, 'audits')) as unknown as GridAudits
    assert.isTrue(watched.isOn)
    assert.isAtLeast(watched.epoch?.number ?? 0, epoch + 1)
    const shown = watched.nodes.filter(({ auditedBytes }) => auditedBytes > 0)
    assert.lengthOf(shown, STORES, 'the one that only mounts stands for nothing')
  })

  it('finds a node that lost its data and slashes it, and spares one that lost only its power', async () => {
    const [powerless, diskless, well] = stores()
    assert.ok(powerless && diskless && well)
    const { audits: before } = await untilStatus('it', diskless, (now) => now.audits)
    powerless.cutPower(true)
    diskless.cutPower(false)
    await until('it to be off', async () => diskless.pid === undefined, SOON)
    for (const directory of dataSlots(diskless)) {
      for (const name of readdirSync(directory)) {
        if (name.endsWith('.seg') || name.endsWith('.hint')) rmSync(join(directory, name))
      }
    }
    diskless.start()
    const isMarked = ({ audits }: StatusDocument) =>
      (audits?.missedEpoch ?? 0) > (before?.epoch ?? 0)
    const { audits: marked } = await untilStatus('it to be marked', diskless, isMarked)
    assert.equal(marked?.slashedEpoch, marked?.missedEpoch)
    const { missedEpoch = 0 } = marked ?? {}
    await Promise.all([proven(powerless, missedEpoch + 1), proven(well, missedEpoch + 1)])
    const { audits: after } = await untilStatus('it', diskless, (now) => now.audits)
    assert.isAtMost(after?.provenEpoch ?? 0, missedEpoch, 'it is not proven again by itself')
    const found = createHash('sha256')
      .update(readFileSync(join(path, 'history')))
      .digest('hex')
    assert.equal(found, digest)
  })

  /** Directories of the namespaces in which a node keeps shards; the metadata store is left to it. */
  function dataSlots(agent: AgentProcess): string[] {
    const namespaces = join(agent.options.dataDir, 'store/ns')
    return readdirSync(namespaces)
      .filter((name) => /^n-o\d+\.[012]$/.test(name))
      .map((name) => join(namespaces, name))
  }
})
