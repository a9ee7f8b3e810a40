/** The data directory's identity: the same at every start, and never replaced because it cannot be read. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { openDataDirectory } from '../../../agent/adapters/process/data-directory.ts'
import { codeOf } from '../../../agent/base/errors.ts'

describe('The identity in a data directory', () => {
  let folder: string
  const open = async () => {
    const { identity, isNew, release } = await openDataDirectory(folder)
    release()
    return { account: identity.account, isNew }
  }

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'varve-data-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('is made once', async () => {
    const first = await open()
    expect(first.isNew).to.equal(true)
    expect(await open()).to.deep.equal({ account: first.account, isNew: false })
  })

  for (const text of ['', 'x', '[]', '{}', '{"seed":7}', '{"seed":"00"}']) {
    it(`is refused, and left as it is, if it reads ${JSON.stringify(text)}`, async () => {
      await open()
      const name = readdirSync(folder).find((one) => one.startsWith('identity')) ?? ''
      writeFileSync(join(folder, name), text)
      expect(await open().catch(codeOf)).to.equal('IDENTITY_CORRUPT')
      expect(readFileSync(join(folder, name), 'utf8')).to.equal(text)
    })
  }
})
