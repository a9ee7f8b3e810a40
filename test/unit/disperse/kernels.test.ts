/** The committed kernels are what their sources assemble to. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { assert } from 'chai'
import { generateKernels } from '../../../scripts/wasm/build.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

describe('WebAssembly kernels', () => {
  for (const { path, text } of generateKernels()) {
    it(`${path} is built from its source`, () => {
      assert.equal(readFileSync(`${ROOT}/${path}`, 'utf8'), text)
    })
  }
})
