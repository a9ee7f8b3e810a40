// Every error that a contract can name is raised by some test, or errors.json says why none does.
import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { assert } from 'chai'
import { Interface } from 'ethers'
import hre from 'hardhat'
import type { Suite } from 'mocha'
import { raisedErrors } from './support/reverts.ts'

const UNRAISED = JSON.parse(
  readFileSync(new URL('errors.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, string>>

describe('Errors', () => {
  it('that no test raises are known, and really are declared', async () => {
    const declared = await declaredErrors()
    assert.isAbove(declared.size, 100)
    assert.includeMembers([...declared], Object.keys(UNRAISED))
  })
})

// At the very end, for only then is it known what was raised; and only if all tests of all files ran and passed.
after(async function () {
  const root = suitesAbove(this.test?.parent)
  if (!root || !isComplete(root)) return
  const raised = raisedErrors()
  const missing = [...(await declaredErrors())].filter((name) => !raised.has(name))
  assert.deepEqual(
    missing.filter((name) => !(name in UNRAISED)),
    [],
    'raised by no test',
  )
})

/** Names of the errors in the ABI of every contract of ours. */
async function declaredErrors(): Promise<Set<string>> {
  const names = new Set<string>()
  for (const artifact of await hre.artifacts.getAllFullyQualifiedNames()) {
    if (!artifact.startsWith('contracts/')) continue
    const { abi } = await hre.artifacts.readArtifact(artifact)
    new Interface(abi).forEachError(({ name }) => {
      names.add(name)
    })
  }
  return names
}

function suitesAbove(suite: Suite | undefined): Suite | undefined {
  return suite?.parent ? suitesAbove(suite.parent) : suite
}

function isComplete(root: Suite): boolean {
  const files = new Set(root.suites.map(({ file }) => basename(file ?? '')))
  const all = readdirSync(new URL('.', import.meta.url)).filter((name) => name.endsWith('.test.ts'))
  let complete = all.every((name) => files.has(name))
  root.eachTest((test) => {
    complete &&= test.state === 'passed' || test.pending
  })
  return complete
}
