/**
 * Tests in Solidity of libraries, which no contract uses in full: they count beside the Mocha tests. The world of
 * invariants does not, because it would take a minute for each mutant.
 */
import { existsSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { root } from '../run/step.ts'

/** Left out of woven builds. */
export const WORLD: readonly string[] = [
  'test/solidity/Invariants.t.sol',
  'test/solidity/support/World.sol',
]

/** Every library's test. */
export function libraryTests(): string[] {
  return readdirSync(join(root, 'test/solidity'))
    .filter((name) => name.endsWith('.t.sol'))
    .map((name) => `test/solidity/${name}`)
    .filter((path) => !WORLD.includes(path))
}

/**
 * Finds the test of a contract's file.
 *
 * @param file - Path of the contract.
 * @returns Path of its test in Solidity, if it has one.
 */
export function libraryTestOf(file: string): string | undefined {
  const path = `test/solidity/${basename(file, '.sol')}.t.sol`
  return existsSync(join(root, path)) ? path : undefined
}
