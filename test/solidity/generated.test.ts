// What is derived from the contracts and committed must be what the compiler says now.
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { assert } from 'chai'
import { generateLaw } from '../../scripts/gen/law.ts'

const inRepository = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

describe('What is generated from the contracts', () => {
  const { files, undocumented } = generateLaw()

  it('has a notice for every function, event and error', () => {
    assert.deepEqual(undocumented, [])
  })

  it('is committed as it is: reference and storage layout', () => {
    assert.isAbove(files.size, 15)
    for (const [path, content] of files) {
      const full = inRepository(path)
      assert.isTrue(existsSync(full), `${path} is missing: npx node scripts/gen/law.ts`)
      assert.equal(readFileSync(full, 'utf8'), content, `${path}: npx node scripts/gen/law.ts`)
    }
  })
})
