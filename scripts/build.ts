/** `npm run build`: the contracts with their types, the WebAssembly kernels, and the pages generated from the sources. */

import { writeErrorPage } from './gen/errors.ts'
import { buildContracts } from './run/build-contracts.ts'
import { root } from './run/step.ts'
import { buildKernels } from './wasm/build.ts'

const built = await buildContracts({ tests: true, say: console.log })
buildKernels(root)
await writeErrorPage(root)
process.exitCode = built.exitCode
