/** `npm run build`: the contracts with their types, the WebAssembly kernels, and the pages generated from the sources. */

import { writeErrorPage } from './gen/errors.ts'
import { root, step } from './run/step.ts'
import { buildKernels } from './wasm/build.ts'

const built = await step('contracts', 'hardhat', ['build'])
buildKernels(root)
await writeErrorPage(root)
process.exitCode = built.exitCode
