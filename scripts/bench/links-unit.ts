/** Main file of a links unit on its own: `links-unit.ts DATA_DIR`; tells its parent when it listens. */
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { sharedSocket } from '../../agent/adapters/process/run-sockets.ts'
import { connectUnix } from '../../agent/adapters/socket/dial.ts'
import { runLinksUnit } from '../../agent/units/links/index.ts'

const [dataDir = ''] = process.argv.slice(2)
const name = 'links'
const log = pino({ name, level: process.env['VARVE_TEST_LOG'] ?? 'silent' })
const running = runLinksUnit({ dataDir, name, log })
await untilListening(sharedSocket(dataDir, 'links/dial').path)
process.send?.('ready')
process.disconnect?.()
await running
process.exit(0)

async function untilListening(path: string): Promise<void> {
  for (;;) {
    try {
      const socket = await connectUnix(path, AbortSignal.timeout(1000))
      socket.destroy()
      return
    } catch {
      await sleep(5)
    }
  }
}
