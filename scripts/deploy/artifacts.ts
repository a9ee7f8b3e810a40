/** Finds compiled contracts by name among Hardhat's artifacts, so that deploying needs no compiler. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Artifact, ArtifactResolver, BuildInfo } from '@nomicfoundation/ignition-core'
import { NodeError } from '../../agent/base/errors.ts'

/**
 * Makes a resolver of contract names.
 *
 * @param directory - Hardhat's `artifacts`.
 * @returns What Ignition asks for artifacts.
 * @throws NodeError `DEPLOY_NOT_BUILT` if the directory is missing.
 */
export function artifactResolver(directory: string): ArtifactResolver {
  if (!existsSync(directory)) throw new NodeError('DEPLOY_NOT_BUILT', `${directory} is missing`)
  const paths = new Map(
    readdirSync(directory, { recursive: true, encoding: 'utf8' })
      .filter((path) => /[/\\]\w+\.sol[/\\]\w+\.json$/.test(path))
      .map((path) => [/(\w+)\.json$/.exec(path)?.[1] ?? '', join(directory, path)]),
  )
  const load = (name: string): Artifact => {
    const path = paths.get(name)
    if (path === undefined) throw new NodeError('DEPLOY_NOT_BUILT', `${name} is not compiled`)
    return JSON.parse(readFileSync(path, 'utf8')) as Artifact
  }
  return {
    loadArtifact: (name) => Promise.resolve(load(name)),
    async getBuildInfo(name) {
      const { buildInfoId } = load(name)
      const path = join(directory, 'build-info', `${buildInfoId}.json`)
      return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as BuildInfo) : undefined
    },
  }
}
