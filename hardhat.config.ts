// Builds and tests the contracts with the solc of the lock file, so that nothing is downloaded.
import { createRequire } from 'node:module'
import hardhatEthers from '@nomicfoundation/hardhat-ethers'
import matchers from '@nomicfoundation/hardhat-ethers-chai-matchers'
import hardhatMocha from '@nomicfoundation/hardhat-mocha'
import helpers from '@nomicfoundation/hardhat-network-helpers'
import typechain from '@nomicfoundation/hardhat-typechain'
import { defineConfig } from 'hardhat/config'

const soljson = createRequire(import.meta.url).resolve('solc/soljson.js')
/** Libraries' contracts that we deploy as they are. */
export const npmFilesToBuild = ['@openzeppelin/contracts/governance/TimelockController.sol']
const settings = {
  optimizer: { enabled: true, runs: 200 },
  evmVersion: 'cancun',
  outputSelection: { '*': { '*': ['storageLayout', 'devdoc', 'userdoc'] } },
}
/** How contracts are compiled, unless overridden below. */
export const compiler = { version: '0.8.37', path: soljson, settings }
/** How a contract is compiled whose code would be too large otherwise: a fifth smaller. */
export const compilerThroughIr = { ...compiler, settings: { ...settings, viaIR: true } }

export default defineConfig({
  plugins: [hardhatEthers, matchers, hardhatMocha, helpers, typechain],
  solidity: {
    npmFilesToBuild,
    profiles: {
      default: {
        compilers: [compiler],
        overrides: {
          'contracts/Audits.sol': compilerThroughIr,
          'contracts/Nodes.sol': compilerThroughIr,
          'contracts/Orders.sol': compilerThroughIr,
        },
      },
    },
  },
  // A second EVM; its tests start it and override the address.
  networks: { second: { type: 'http', chainType: 'l1', url: 'http://127.0.0.1:8545' } },
  paths: { tests: { mocha: './test/solidity', solidity: './test/solidity' } },
  test: {
    solidity: { fuzz: { runs: 256 }, invariant: { runs: 64, depth: 32, failOnRevert: true } },
  },
})
