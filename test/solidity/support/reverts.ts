/**
 * The errors that contracts raised in this process, by name: so that a test at the end can tell which error no test has
 * seen.
 */
import { Interface } from 'ethers'
import hre from 'hardhat'

const selectors = new Map<string, string>()
for (const name of await hre.artifacts.getAllFullyQualifiedNames()) {
  const { abi } = await hre.artifacts.readArtifact(name)
  new Interface(abi).forEachError((error) => {
    selectors.set(error.selector, error.name)
  })
}

const seen = new Set<string>()

/** Names of all errors raised so far in chains that {@link watchReverts} watches. */
export function raisedErrors(): ReadonlySet<string> {
  return seen
}

/**
 * Finds the error in what a provider threw.
 *
 * @param error - What was thrown.
 * @returns Its name, `Panic 0x..` for a failed check of the compiler's, or nothing if there is none.
 */
export function revertNameOf(error: unknown): string | undefined {
  const data = dataIn(error)
  if (data === undefined) return undefined
  const selector = data.slice(0, 10)
  if (selector === PANIC) return `Panic 0x${data.slice(-2)}`
  return selectors.get(selector)
}

/** Notes every error that passes through a provider. */
export function watchReverts(provider: Provider): void {
  const request = provider.request.bind(provider)
  provider.request = async (call) => {
    try {
      return await request(call)
    } catch (error) {
      const name = revertNameOf(error)
      if (name !== undefined) seen.add(name)
      throw error
    }
  }
}

interface Provider {
  request(call: { method: string; params?: readonly unknown[] | object }): Promise<unknown>
}

/** Selector of `Panic(uint256)`. */
const PANIC = '0x4e487b71'

function dataIn(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('data' in error)) return undefined
  const { data } = error
  if (typeof data === 'string') return data.length >= PANIC.length ? data : undefined
  return dataIn(data)
}
