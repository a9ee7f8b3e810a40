/**
 * A unit that does nothing, for tests of the supervisor: a real process with a real control socket.
 *
 * Started like `agent/main.ts unit <kind> --data DIR --name NAME`. What it is told goes to `DIR/<name>.told`; the file
 * `DIR/<name>.do`, if there, says how it misbehaves: `die` at start, `deaf` to status, `refuse` its configuration, `open` its
 * disk for as long as the file says so, be `ill` although it runs.
 */

import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { controlSocket } from '../../agent/adapters/process/run-sockets.ts'
import { NodeError } from '../../agent/base/errors.ts'
import { serveControl } from '../../agent/units/control.ts'

const [, , , kind = '', , dataDir = '', , name = ''] = process.argv
const doFile = join(dataDir, `${name}.do`)
const act = () => (existsSync(doFile) ? readFileSync(doFile, 'utf8').trim() : '')
const tell = (what: string) => appendFileSync(join(dataDir, `${name}.told`), `${what}\n`)

tell(`start ${process.pid}`)
if (act() === 'die') process.exit(3)
const server = await serveControl<unknown>({
  path: controlSocket(dataDir, name),
  kind,
  name,
  methods: {
    configure(config) {
      if (act() === 'open') {
        tell('opening')
        throw new NodeError('UNIT_STARTING', 'the disk is still being read')
      }
      if (act() === 'refuse') throw new NodeError('DISK_FULL', 'no room for it')
      tell(`configure ${JSON.stringify(config)}`)
    },
    async status() {
      if (act() === 'deaf') await sleep(60_000, undefined, { ref: false })
      if (act() === 'ill')
        return { problem: { code: 'STORE_FULL', message: 'no room', hint: 'Go.' } }
      return { fine: true }
    },
    stop: () => tell('stop'),
  },
})
console.log(JSON.stringify({ level: 30, msg: 'tiny unit runs', pid: process.pid }))
await server.closed
process.exit(0)
