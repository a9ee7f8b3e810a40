/** Runs the store unit as a process of its own: `store-unit-main.ts DATA_DIR`. Says one line when it is ready. */
import { describeError } from '../../agent/base/errors.ts'
import type { Log } from '../../agent/base/ports.ts'
import { startStoreUnit } from '../../agent/units/store/index.ts'

const toStderr = (fields: object, message: string) =>
  void process.stderr.write(`${JSON.stringify({ message, ...fields })}\n`)
const log: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: toStderr,
  error: toStderr,
  child: () => log,
}

try {
  const unit = await startStoreUnit({ dataDir: process.argv[2] ?? '', name: 'store', log })
  process.once('SIGTERM', () => void unit.stop())
  process.stdout.write('ready\n')
  await unit.closed
} catch (caught) {
  process.stderr.write(`${describeError(caught)}\n`)
  process.exitCode = 1
}
