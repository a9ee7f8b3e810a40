/**
 * A process that shows a volume as a mount unit does, going on with what a process before it left with the holder: tests kill it.
 * Says on each start what it found, and after SIGTERM takes the mount away.
 */
import { join } from 'node:path'
import { holderSocket } from '../../../agent/adapters/process/run-sockets.ts'
import { systemClock } from '../../../agent/adapters/time/system-clock.ts'
import type { MountUnitConfig } from '../../../agent/state/unit-config.ts'
import { Holding } from '../../../agent/units/mount/holding.ts'
import { machineOutside } from '../../../agent/units/mount/outside.ts'
import { quietLog } from '../../support/volume-world.ts'
import { openAlone } from './kill-writer.ts'

const [dataDir = '', path = ''] = process.argv.slice(2)
const holding = new Holding(holderSocket(dataDir, 'mount-7'), systemClock(), quietLog())
const held = holding.take()
const volume = await openAlone(join(dataDir, 'mounts/7/volume'), held !== undefined)
const config = { order: 7, path, readOnly: false } as MountUnitConfig
const shown = await machineOutside(dataDir, holding).show(config, volume, quietLog(), held)
process.once('SIGTERM', async () => {
  await shown.mount.unmount('clean')
  holding.drop()
  await volume.close()
  process.exit(0)
})
console.log(JSON.stringify(shown.point))
