/**
 * What this node committed, whole: the ledger has only roots, and to prove an epoch the node must know which commitments of
 * which slots are below the root that it is audited for. Durable before anything is sent.
 */
import { fromHex, toHex } from '../../base/bytes.ts'
import type { Disk } from '../../base/disk.ts'
import type { Clock } from '../../base/ports.ts'
import { NodeAccumulator, type SignedCommitment } from '../../engines/audit/index.ts'
import { readJson, writeJson } from './json-file.ts'
import { type SignedJson, signedFromJson, signedToJson } from './signed-json.ts'

const DIRECTORY = 'accumulators'
const SUFFIX = '.json'
/** Accumulators that were offered to the ledger and may still come to be committed, besides those that it names. */
const OFFERED_KEPT = 4

interface AccumulatorFile {
  /** Milliseconds since 1970. */
  readonly offeredAtMs: number
  readonly slots: readonly SignedJson[]
}

/** See the file's comment. */
export class AccumulatorBook {
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #known = new Map<string, { offeredAtMs: number; accumulator: NodeAccumulator }>()

  /**
   * Reads what was kept.
   *
   * @throws NodeError `AUDIT_FILE_DAMAGED`, `DISK_*`.
   */
  constructor(disk: Disk, clock: Clock) {
    this.#disk = disk
    this.#clock = clock
    for (const name of disk.list(DIRECTORY)) {
      if (!name.endsWith(SUFFIX)) continue
      const file = readJson<AccumulatorFile>(disk, `${DIRECTORY}/${name}`)
      if (!file) continue
      const accumulator = new NodeAccumulator(file.slots.map(signedFromJson))
      this.#known.set(toHex(accumulator.root), { offeredAtMs: file.offeredAtMs, accumulator })
    }
  }

  /** All that are kept. */
  get all(): readonly NodeAccumulator[] {
    return [...this.#known.values()].map(({ accumulator }) => accumulator)
  }

  /** @param root - Hexadecimal. @returns Undefined if it is not known. */
  find(root: string): NodeAccumulator | undefined {
    return this.#known.get(toHex(fromHex(root)))?.accumulator
  }

  /** Keeps an accumulator durably; nothing if it is. */
  async keep(slots: readonly SignedCommitment[]): Promise<void> {
    const accumulator = new NodeAccumulator(slots)
    const root = toHex(accumulator.root)
    if (this.#known.has(root)) return
    const offeredAtMs = this.#clock.now()
    const file: AccumulatorFile = { offeredAtMs, slots: accumulator.slots.map(signedToJson) }
    await writeJson(this.#disk, DIRECTORY, `${root}${SUFFIX}`, file)
    this.#known.set(root, { offeredAtMs, accumulator })
  }

  /**
   * Forgets what nobody can ask for any more. What was offered before the newest that is committed will not come to be
   * committed: transactions of one account are mined in their order.
   *
   * @param roots - Those that the ledger names. @param committed - The newest of them, if the node ever committed.
   */
  forgetBut(roots: readonly string[], committed: string | undefined): void {
    const named = new Set(roots.map((root) => toHex(fromHex(root))))
    const newest = committed && this.#known.get(toHex(fromHex(committed)))
    const since = newest ? newest.offeredAtMs : 0
    const others = [...this.#known]
      .filter(([root]) => !named.has(root))
      .sort(([, a], [, b]) => b.offeredAtMs - a.offeredAtMs)
    for (const [at, [root, { offeredAtMs }]] of others.entries()) {
      if (at < OFFERED_KEPT && offeredAtMs >= since) continue
      this.#known.delete(root)
      this.#disk.remove(`${DIRECTORY}/${root}${SUFFIX}`)
    }
  }
}
