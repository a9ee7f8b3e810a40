/**
 * Hardhat as the woven contracts need it: the same tests, other sources, another place for what is built, and no limit on
 * size. Chosen by `HARDHAT_CONFIG`; what is woven comes from the file that `VARVE_WOVEN` names.
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import hardhatEthers from '@nomicfoundation/hardhat-ethers'
import matchers from '@nomicfoundation/hardhat-ethers-chai-matchers'
import hardhatMocha from '@nomicfoundation/hardhat-mocha'
import helpers from '@nomicfoundation/hardhat-network-helpers'
import { defineConfig } from 'hardhat/config'
import type { HardhatPlugin } from 'hardhat/types/plugins'
import base, { compilerThroughIr, npmFilesToBuild } from '../../hardhat.config.ts'
import { root } from '../run/step.ts'
import { WORLD } from './library-tests.ts'
import { PROBE, PROBE_FILE, PROBE_SOURCE } from './probe.ts'
import { wovenChain } from './woven-chain.ts'

/**
 * Room for contracts of twice their size. A mutant that loops for ever ends within a second, and before the record that
 * the chain keeps of its steps fills the machine's memory: some 170 bytes for each unit of gas.
 */
const BLOCK_GAS_LIMIT = 30_000_000n
/** Ten times what the longest test in Solidity takes; a mutant that loops for ever ends within seconds. */
const TEST_GAS_LIMIT = 2_000_000_000n

/** Choices make the contracts slower, and there is a run for every mutant of a library. */
const FUZZ_RUNS = 32

const wovenPath = process.env['VARVE_WOVEN'] ?? join(root, 'cache/law/woven.json')
const woven = JSON.parse(readFileSync(wovenPath, 'utf8')) as Readonly<Record<string, string>>
const place = dirname(wovenPath)

/** Solidity tests have a chain of their own, so each chooses the mutant for itself when it is made. */
function sourceOf(path: string, text: string): string {
  if (WORLD.includes(path)) return NOTHING
  if (!path.endsWith('.t.sol')) return woven[path] ?? text
  const choice = `constructor() { ${PROBE}.choose(); }`
  const chosen = text.replace(/^contract \w+Test \{/m, (head) => `${head}\n    ${choice}\n`)
  return `${chosen}\nimport {${PROBE}} from "${PROBE_FILE}";\n`
}

/** What is left out still has to be a file. */
const NOTHING = 'pragma solidity ^0.8.28;'

const weaving: HardhatPlugin = {
  id: 'varve-weaving',
  hookHandlers: {
    solidity: async () => ({
      default: async () => ({
        preprocessProjectFileBeforeBuilding: async (context, name, path, text, version, next) =>
          next(context, name, path, sourceOf(path.slice(root.length), text), version),
        preprocessSolcInputBeforeBuilding: async (context, input, next) => {
          input.sources[PROBE_FILE] = { content: PROBE_SOURCE }
          return next(context, input)
        },
      }),
    }),
    network: async () => ({ default: async () => wovenChain.hooks }),
  },
}

export default defineConfig({
  ...base,
  plugins: [hardhatEthers, matchers, hardhatMocha, helpers, weaving],
  solidity: {
    npmFilesToBuild,
    // Every contract through the intermediate representation: choices need more stack than the old way has.
    compilers: [compilerThroughIr],
  },
  networks: {
    ...base.networks,
    default: {
      ...{ type: 'edr-simulated', chainType: 'l1' },
      ...{ allowUnlimitedContractSize: true, blockGasLimit: BLOCK_GAS_LIMIT, hardfork: 'cancun' },
    },
  },
  test: {
    solidity: { gasLimit: TEST_GAS_LIMIT, fuzz: { runs: FUZZ_RUNS } },
  },
  paths: { ...base.paths, artifacts: join(place, 'artifacts'), cache: join(place, 'cache') },
})
