/** The page of errors is in step with the catalogues. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert } from 'chai'
import { errorPage } from '../../../scripts/gen/errors.ts'
import { root } from '../../../scripts/run/step.ts'

describe('docs/errors.md', () => {
  it('says what the catalogues say (npm run build writes it)', async () => {
    assert.equal(readFileSync(join(root, 'docs/errors.md'), 'utf8'), await errorPage(root))
  })
})
