/**
 * A process that mounts the model in memory at the path in its argument and says `mounted`: for tests that kill it.
 *
 * With `--exit` it leaves without unmounting as soon as a line comes on its input.
 */
import { fuseKernel } from '../../../agent/adapters/kernel/fuse-kernel.ts'
import { systemClock } from '../../../agent/adapters/time/system-clock.ts'
import { mountFileSystem } from '../../../agent/engines/fuse/index.ts'
import { MemoryFileSystem } from '../../support/memory-file-system.ts'
import { quietLog } from './mounted.ts'

const path = process.argv[2] ?? ''
const mount = await mountFileSystem({
  path,
  fileSystem: new MemoryFileSystem(),
  kernel: fuseKernel,
  clock: systemClock(),
  log: quietLog,
  readOnly: false,
  cache: 'exclusive',
})
if (process.argv.includes('--exit')) process.stdin.once('data', () => process.exit(0))
process.once('SIGTERM', () => void mount.unmount('clean'))
console.log('mounted')
await mount.closed
process.stdin.destroy()
