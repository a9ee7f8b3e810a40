/**
 * Prints the private key of a role of the local grid, for trying things by hand: `npx node scripts/grid/key.ts tenant`.
 * These keys are worth nothing outside the ledger of this machine.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { NodeError } from '../../agent/base/errors.ts'
import { devnetAccounts } from '../devnet/accounts.ts'
import { root } from '../run/step.ts'
import { ROLES } from './roles.ts'

const [role = '', dataDir = join(root, '.varve')] = process.argv.slice(2)
const ledgerDir = join(dataDir, 'ledger')
const index = new Map<string, number>(Object.entries(ROLES)).get(role)
if (index === undefined || !existsSync(ledgerDir)) {
  const problem = new NodeError('KEY_UNKNOWN', `no key of "${role}" in ${dataDir}`)
  console.error(
    `${problem.message}\nusage: scripts/grid/key.ts ${Object.keys(ROLES).join('|')} [DATA_DIR]`,
  )
  process.exitCode = 2
} else {
  console.log(devnetAccounts(ledgerDir)[index]?.privateKey)
}
