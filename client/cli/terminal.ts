/** The person at the terminal: questions, passwords that do not show, and lines about what is going on. */
import { createInterface } from 'node:readline/promises'
import { printRemark } from '../../agent/adapters/process/standard-streams.ts'
import { NodeError } from '../../agent/base/errors.ts'
import type { TransactionProgress } from '../sdk/index.ts'

/** What takes longer than this says that it is at work. */
const NOTICE_MS = 1000

/** Where a command talks to the person. Results go to standard output, everything else to standard error. */
export interface Terminal {
  /** True if there is somebody to ask. */
  readonly isInteractive: boolean
  /** Asks for a password without showing it. @throws NodeError `PASSWORD_MISSING`. */
  password(question: string): Promise<string>
  /** Asks for a yes. @throws NodeError `CONFIRMATION_MISSING`, `DECLINED`. */
  confirm(question: string): Promise<void>
  /** Says what is going on. */
  note(line: string): void
  /** Says what is going on if it takes longer than a second. */
  during<T>(what: string, work: Promise<T>): Promise<T>
  /** Tells how far a transaction is. */
  onProgress(progress: TransactionProgress): void
}

/**
 * The terminal of this process.
 *
 * @param options - `isQuiet`: no notes; `isYes`: every question is answered with yes; `isAsking`: false where nothing but a
 *   document may be printed, so that nobody can be asked.
 */
export function terminal(options: {
  readonly isQuiet: boolean
  readonly isYes: boolean
  readonly isAsking?: boolean
}): Terminal {
  const isInteractive =
    options.isAsking !== false && Boolean(process.stdin.isTTY && process.stderr.isTTY)
  const note = (line: string) => {
    if (!options.isQuiet) printRemark(`${line}\n`)
  }
  return {
    isInteractive,
    note,
    async password(question) {
      if (!isInteractive) throw new NodeError('PASSWORD_MISSING', 'there is no terminal to ask at')
      return await askHidden(question)
    },
    async confirm(question) {
      if (options.isYes) return
      if (!isInteractive) {
        throw new NodeError('CONFIRMATION_MISSING', 'there is no terminal to ask at')
      }
      const lines = createInterface({ input: process.stdin, output: process.stderr })
      const answer = await lines.question(`${question} [y/N] `).finally(() => lines.close())
      if (!/^y(es)?$/i.test(answer.trim())) throw new NodeError('DECLINED', 'you said no')
    },
    async during(what, work) {
      const timer = setTimeout(() => note(`${what} ...`), NOTICE_MS)
      return await work.finally(() => clearTimeout(timer))
    },
    onProgress: ({ stage, what, hash, blockNumber }) => {
      if (stage === 'sent') note(`sent   ${what} (${hash})`)
      if (stage === 'mined') note(`mined  in block ${blockNumber}`)
      if (stage === 'final') note(`final  in block ${blockNumber}`)
    },
  }
}

/** Reads a line key by key, so that nothing is shown. */
function askHidden(question: string): Promise<string> {
  const { stdin, stderr } = process
  stderr.write(question)
  stdin.setRawMode(true)
  stdin.resume()
  return new Promise((resolve, reject) => {
    let typed = ''
    const finish = () => {
      stdin.off('data', onKeys)
      stdin.setRawMode(false)
      stdin.pause()
      stderr.write('\n')
    }
    const onKeys = (keys: Buffer) => {
      for (const key of keys.toString('utf8')) {
        if (key === '\r' || key === '\n' || key === '\u0004') {
          finish()
          return resolve(typed)
        }
        if (key === '\u0003') {
          finish()
          return reject(new NodeError('DECLINED', 'interrupted'))
        }
        typed = key === '\u007f' || key === '\b' ? typed.slice(0, -1) : typed + key
      }
    }
    stdin.on('data', onKeys)
  })
}
