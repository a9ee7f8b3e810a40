/** Finds compiled contracts by name among Hardhat's artifacts, so that deploying needs no compiler. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { InterfaceAbi } from 'ethers'
import { NodeError } from '../../agent/base/errors.ts'

/** What is needed of a compiled contract. */
export interface Artifact {
  readonly abi: InterfaceAbi
  /** What makes it, `0x` and hexadecimal, without the constructor's arguments. */
  readonly bytecode: string
}

/** Gives the compiled contract of a name. */
export type Artifacts = (name: string) => Artifact

/**
 * Reads compiled contracts.
 *
 * @param directory - Hardhat's `artifacts`.
 * @returns What gives a contract; throws `DEPLOY_NOT_BUILT` for one that is not compiled.
 * @throws NodeError `DEPLOY_NOT_BUILT` if the directory is missing.
 */
export function artifactsIn(directory: string): Artifacts {
  if (!existsSync(directory)) throw new NodeError('DEPLOY_NOT_BUILT', `${directory} is missing`)
  const paths = new Map(
    readdirSync(directory, { recursive: true, encoding: 'utf8' })
      .filter((path) => /[/\\]\w+\.sol[/\\]\w+\.json$/.test(path))
      .map((path) => [/(\w+)\.json$/.exec(path)?.[1] ?? '', join(directory, path)]),
  )
  return (name) => {
    const path = paths.get(name)
    if (path === undefined) throw new NodeError('DEPLOY_NOT_BUILT', `${name} is not compiled`)
    return JSON.parse(readFileSync(path, 'utf8')) as Artifact
  }
}
