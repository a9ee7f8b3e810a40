/** Every code of every catalogue leads to its hint in each program that can show it. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { assert } from 'chai'
import type { ErrorDescription } from '../../../agent/base/errors.ts'
import { AGENT_ERRORS } from '../../../agent/error-hints.ts'
import { CLI_HINTS } from '../../../client/cli/run-program.ts'
import { root } from '../../../scripts/run/step.ts'

type Hints = Readonly<Record<string, ErrorDescription>>
const programs: readonly [name: string, hints: Hints, sources: RegExp][] = [
  ['varve-agent', AGENT_ERRORS, /^agent\//],
  ['varve', CLI_HINTS, /^(client\/|agent\/base\/(sealing|ledger-key))/],
]

async function catalogues(): Promise<[path: string, codes: Hints][]> {
  const found: [string, Hints][] = []
  for (const folder of ['agent', 'client']) {
    for (const entry of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
      const path = join(folder, entry)
      if (!path.endsWith('.ts')) continue
      if (!/ErrorCatalogue<[^>]*>\s*=/.test(readFileSync(join(root, path), 'utf8'))) continue
      const loaded = (await import(pathToFileURL(join(root, path)).href)) as Record<string, unknown>
      for (const [name, value] of Object.entries(loaded)) {
        if (/_(ERRORS|REFUSALS)$/.test(name)) found.push([path, value as Hints])
      }
    }
  }
  return found
}

describe('hints', () => {
  for (const [program, hints, sources] of programs) {
    it(`of every catalogue that ${program} can show are found by it`, async () => {
      const shown = (await catalogues()).filter(([path]) => sources.test(path))
      assert.isAtLeast(shown.length, 3)
      for (const [path, codes] of shown) {
        for (const [code, { hint }] of Object.entries(codes)) {
          assert.isNotEmpty(hint, `${code} of ${path} has a hint`)
          assert.isNotEmpty(hints[code]?.hint ?? '', `${program} finds ${code} of ${path}`)
        }
      }
    })
  }
})
