/**
 * Deploys the grid to a ledger from a script, by the Ignition module, without the Hardhat command line.
 *
 * The artifacts must be built (`hardhat build`). Nothing is written to disk: a deployment that failed half-way is made
 * again from the start, which on a local ledger is simpler than to resume.
 */
import hre from 'hardhat'
import GridModule from './modules/grid.ts'
import { type GridParameters, ignitionParameters } from './modules/parameters.ts'

/** Addresses of a deployed grid, by the names of the directory's fields. */
export interface DeployedGrid {
  grid: string
  token: string
  governor: string
  timelock: string
  policy: string
  nodes: string
  orders: string
  escrow: string
  rules: string
}

/**
 * Deploys all contracts and wires them.
 *
 * @param ledger - JSON-RPC address, and the private key (0x, 32 bytes) of a funded account that pays the gas.
 * @param parameters - Built by `devnetParameters` or `communityParameters`.
 * @returns Where everything is; `grid` alone is enough for everyone else.
 * @example
 * const { grid } = await deployGrid({ url, privateKey }, devnetParameters(holder))
 */
export async function deployGrid(
  ledger: { url: string; privateKey: string },
  parameters: GridParameters,
): Promise<DeployedGrid> {
  const connection = await hre.network.create({
    network: 'ledger',
    override: { url: ledger.url, accounts: [ledger.privateKey] },
  })
  try {
    const deployed = await connection.ignition.deploy(GridModule, {
      parameters: ignitionParameters(parameters),
    })
    const entries = Object.entries(deployed).map(async ([name, contract]) => [
      name,
      await contract.getAddress(),
    ])
    return Object.fromEntries(await Promise.all(entries))
  } finally {
    await connection.close()
  }
}
