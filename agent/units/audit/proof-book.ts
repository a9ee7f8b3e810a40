/** The transcripts of the newest two epochs: made once, kept so that a restarted node can still answer for what it posted. */
import type { Disk } from '../../base/disk.ts'
import {
  decodeTranscript,
  digestTree,
  encodeTranscript,
  type ProofAtHand,
  TRANSCRIPT_BYTES_MAX,
  type Transcript,
} from '../../engines/audit/index.ts'
import { readJson, writeJson } from './json-file.ts'

const DIRECTORY = 'proofs'
const SUFFIX = '.json'
/** Epochs whose transcripts are kept: disputes about one may go on into the next. */
const EPOCHS_KEPT = 2

interface ProofFile {
  readonly epoch: number
  /** Decimal. */
  readonly seed: string
  /** Of the accumulator, base64 as the transcript. */
  readonly root: string
  readonly transcript: string
}

interface Proof {
  readonly atHand: ProofAtHand
  readonly transcript: Transcript
}

/** See the file's comment. */
export class ProofBook {
  readonly #disk: Disk
  readonly #proofs = new Map<number, Proof>()

  constructor(disk: Disk) {
    this.#disk = disk
    for (const name of disk.list(DIRECTORY)) {
      if (!name.endsWith(SUFFIX)) continue
      const file = readJson<ProofFile>(disk, `${DIRECTORY}/${name}`)
      if (file) this.#proofs.set(file.epoch, readProof(file))
    }
  }

  get atHand(): readonly ProofAtHand[] {
    return [...this.#proofs.values()].map(({ atHand }) => atHand)
  }

  transcript(epoch: number): Transcript | undefined {
    return this.#proofs.get(epoch)?.transcript
  }

  /** The transcript as bytes, for whoever wants to check it. */
  encoded(epoch: number): Uint8Array | undefined {
    const transcript = this.transcript(epoch)
    return transcript && encodeTranscript(transcript)
  }

  /** Keeps a transcript durably, in the place of another of that epoch; the oldest go. */
  async keep(seed: bigint, root: Uint8Array, transcript: Transcript): Promise<void> {
    const { epoch } = transcript
    const file: ProofFile = {
      epoch,
      seed: String(seed),
      root: Buffer.from(root).toString('base64'),
      transcript: Buffer.from(encodeTranscript(transcript)).toString('base64'),
    }
    await writeJson(this.#disk, DIRECTORY, `${epoch}${SUFFIX}`, file)
    this.#proofs.set(epoch, readProof(file))
    for (const old of this.#proofs.keys()) {
      if (old > epoch - EPOCHS_KEPT) continue
      this.#proofs.delete(old)
      this.#disk.remove(`${DIRECTORY}/${old}${SUFFIX}`)
    }
  }
}

function readProof({ epoch, seed, root, transcript: encoded }: ProofFile): Proof {
  const bytes = Buffer.from(encoded, 'base64').subarray(0, TRANSCRIPT_BYTES_MAX)
  const transcript = decodeTranscript(bytes)
  const digest = digestTree(transcript).root
  return {
    transcript,
    atHand: {
      epoch,
      seed: BigInt(seed),
      root: new Uint8Array(Buffer.from(root, 'base64')),
      digest,
    },
  }
}
