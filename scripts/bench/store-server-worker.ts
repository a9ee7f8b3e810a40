/** The store as the benchmark starts it: `varve-agent store`, without the rest of the agent. */
import type { Log } from '../../agent/base/ports.ts'
import { runStoreCommand } from '../../agent/units/store/index.ts'

const quiet = () => undefined
const log: Log = { debug: quiet, info: quiet, warn: quiet, error: quiet, child: () => log }
process.exitCode = await runStoreCommand(process.argv.slice(2), quiet, log)
