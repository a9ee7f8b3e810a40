/**
 * Grids as their deployment left them, for a process that runs the same tests over and over: a deployment takes longer than
 * most tests. Off unless turned on, so that a usual run deploys for every suite.
 */

/** What is deployed, as far as it matters here. */
interface Deployment {
  readonly connection: {
    readonly networkHelpers: { takeSnapshot(): Promise<{ restore(): Promise<void> }> }
  }
}

/** A deployment that can be brought back to its beginning. */
interface Kept<D> {
  readonly key: string
  readonly deployment: D
  restore(): Promise<void>
}

/** All deployments of a process. */
export class DeployedGrids<D extends Deployment> {
  /** Whether deployments are kept from now on, and kept ones lent. */
  areKept = false
  #deploying = 0
  readonly #spare: Kept<D>[] = []
  readonly #lent: Kept<D>[] = []

  /** True while something is being deployed. */
  get areDeploying(): boolean {
    return this.#deploying > 0
  }

  /** The chains of all that are kept. */
  get connections(): ReadonlySet<D['connection']> {
    return new Set([...this.#spare, ...this.#lent].map(({ deployment }) => deployment.connection))
  }

  /**
   * A deployment that nobody else has: one that was given back, or a new one.
   *
   * @param key - The same for deployments that are alike; nothing for one that is like no other.
   * @param deploy - Makes one.
   */
  async lend(key: string | undefined, deploy: () => Promise<D>): Promise<D> {
    const at = this.areKept ? this.#spare.findIndex((kept) => kept.key === key) : -1
    const [spare] = at >= 0 ? this.#spare.splice(at, 1) : []
    if (spare) {
      await spare.restore()
      this.#lent.push(spare)
      return spare.deployment
    }
    this.#deploying++
    const deployment = await deploy().finally(() => this.#deploying--)
    if (!this.areKept || key === undefined) return deployment
    const { restore } = await deployment.connection.networkHelpers.takeSnapshot()
    this.#lent.push({ key, deployment, restore })
    return deployment
  }

  /** Whatever was lent may be lent again. */
  giveBack(): void {
    this.#spare.push(...this.#lent.splice(0))
  }
}
