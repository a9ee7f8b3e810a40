/**
 * Keeps two supervisors off one data directory: a socket in the kernel's abstract namespace, named for the directory,
 * which vanishes with its process however that ends. Elsewhere than on Linux the ledger's port is the only lock.
 */
import { createHash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { createServer } from 'node:net'
import { NodeError } from '../../agent/base/errors.ts'

/**
 * Takes a data directory for this process.
 *
 * @param dataDir - Must exist.
 * @returns What gives it back.
 * @throws NodeError `DEVNET_IN_USE` if another process has it.
 */
export async function lockDirectory(dataDir: string): Promise<() => Promise<void>> {
  if (process.platform !== 'linux') return () => Promise.resolve()
  const digest = createHash('sha256').update(realpathSync(dataDir)).digest('hex')
  const server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new NodeError('DEVNET_IN_USE', `another process runs a ledger in ${dataDir}`, { cause }),
      ),
    )
    server.listen(`\0varve-devnet-${digest}`, resolve)
  })
  server.unref()
  return () => new Promise((resolve) => server.close(() => resolve()))
}
