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
    let isAwaiting = false
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (accepted) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      closed.push(promise)
      const link = transport.link(accepted)
      link.start({
        places: {
          // Once one arrived elsewhere.
          get awaitedBytes() {
            if (answered === 0 || errors > 0) return 0
            isAwaiting = true
            return 1000
          },
          lend: () => assert.fail('so much does not come'),
          returned: () => assert.fail('nothing was lent'),
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
    let asked = 0
    const ask = async (socket: Socket) => {
      asked++
      socket.write('hello')
      const [data] = (await once(socket, 'data')) as [Buffer]
      return data.toString()
    }
    const first = connect(port, '127.0.0.1')
    const firstClosed = new Promise((resolve) =>
      first.on('error', () => undefined).on('close', resolve),
    )
    // An arrival after the first answer makes it want a place; the first answer may be heard before it is counted.
    while (!isAwaiting) assert.equal(await ask(first), 'hello')

    const broken = () => {
      throw new NodeError('IO_RING_FAILED', 'as a test wants it')
    }
    Object.defineProperty(transport.ring, 'enter', { value: broken })
    // As much as is waited for, so that it is woken.
    first.write(Buffer.alloc(1000))
    await Promise.all([firstClosed, closed[0]])
    assert.equal(errors, 1)

    const second = connect(port, '127.0.0.1')
    assert.equal(await ask(second), 'hello')
    assert.equal(answered, asked)
    second.end()
    await closed[1]
    server.close()
    await transport.close()
  })
})
