/** Main file of a links unit on its own: `links-unit.ts DATA_DIR NAME`; tells its parent when it listens. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { connectUnix } from '../../agent/adapters/socket/dial.ts'
import { runLinksUnit } from '../../agent/units/links/index.ts'

const [dataDir = '', name = 'links'] = process.argv.slice(2)
const log = pino({ name, level: process.env['VARVE_TEST_LOG'] ?? 'silent' })
const running = runLinksUnit({ dataDir, name, log })
await untilListening(join(dataDir, 'run', 'links-dial.sock'))
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
