/** What a ring that breaks while it serves leaves: its connections end, nothing waits for ever, new ones are served by streams. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { assert } from 'chai'
import { RingTransport } from '../../../agent/adapters/socket/ring-transport.ts'
import { NodeError } from '../../../agent/base/errors.ts'
import { silentLog } from '../../support/log-store.ts'
import { hasTransport } from '../../support/transports.ts'

describe('a ring that breaks', () => {
  before(function () {
    if (!hasTransport('uring')) this.skip()
  })

  it('ends its connections, says so once, and leaves new ones to streams', async () => {
    let errors = 0
    const transport = RingTransport.open({ log: { ...silentLog, error: () => errors++ } })
    const closed: Promise<void>[] = []
    let answered = 0
    let lost = 0
    let isLent = false
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (accepted) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      closed.push(promise)
      const link = transport.link(accepted)
      link.start({
        places: {
          // Once one arrived elsewhere.
          get wants() {
            return answered > 0 && lost === 0
          },
          lend() {
            if (!this.wants) return undefined
            isLent = true
            return { bytes: Buffer.alloc(100), isAwaited: true }
          },
          returned: () => assert.fail('the ring may still write there'),
          lost: () => lost++,
        },
        received(bytes, lengthBytes) {
          const part = Buffer.from(bytes.subarray(0, lengthBytes))
          link.send({ parts: [part] }, () => answered++)
        },
        ended: () => link.end(),
        closed: resolve,
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const ask = async (socket: Socket) => {
      socket.write('hello')
      const [data] = (await once(socket, 'data')) as [Buffer]
      return data.toString()
    }
    const first = connect(port, '127.0.0.1')
    const firstClosed = new Promise((resolve) =>
      first.on('error', () => undefined).on('close', resolve),
    )
    assert.equal(await ask(first), 'hello')

    // The next arrival makes it want a place.
    assert.equal(await ask(first), 'hello')
    while (!isLent) await new Promise(setImmediate)

    const broken = () => {
      throw new NodeError('IO_RING_FAILED', 'as a test wants it')
    }
    Object.defineProperty(transport.ring, 'enter', { value: broken })
    first.write('into the void')
    await Promise.all([firstClosed, closed[0]])
    assert.equal(errors, 1)
    assert.equal(lost, 1)

    const second = connect(port, '127.0.0.1')
    assert.equal(await ask(second), 'hello')
    assert.equal(answered, 3)
    second.end()
    await closed[1]
    server.close()
    await transport.close()
  })
})
