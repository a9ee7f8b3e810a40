/** `varve-agent unit hold`: holds a mount unit's connection to the kernel. Apart from the unit, so that the process stays small. */
import { runFuseHolder } from '../../adapters/kernel/fuse-holder.ts'
import { holderSocket } from '../../adapters/process/run-sockets.ts'

/**
 * Runs the holder of a mount unit's connection to the kernel: see `adapters/kernel/fuse-holder.ts`. Blocks the process.
 *
 * @param options.dataDir - Data directory of the node.
 * @param options.name - Name of the mount unit.
 */
export function runMountHolder(options: { readonly dataDir: string; readonly name: string }): void {
  runFuseHolder(holderSocket(options.dataDir, options.name))
}
