/**
 * A real peer: Debian's `wireguard-go` in a network namespace of its own, whose kernel packets an address that our end has. Says so and is
 * skipped where the programs are not there.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from 'chai'
import { systemChance } from '../../../agent/adapters/time/system-chance.ts'
import { parsePrefix, Tunnel, WIREGUARD } from '../../../agent/engines/network/index.ts'
import { keyPairFrom } from '../../../agent/engines/network/x25519.ts'

/** A command of these tests takes milliseconds; one that hangs must not hang the suite. */
const COMMAND_MS_MAX = 5000
const NAMESPACE = `vn-${process.pid}`
const OUTSIDE = `vo${process.pid % 10000}`
const INTERFACE = `wg${process.pid % 10000}`

function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: COMMAND_MS_MAX,
  })
  if (error || status !== 0) throw new TypeError(`${command} ${args.join(' ')}: ${stderr || error}`)
  return stdout
}
const inside = (...command: string[]) => run('ip', 'netns', 'exec', NAMESPACE, ...command)
const has = (program: string) => spawnSync('which', [program]).status === 0

/** A UDP packet as its receiver would send it back: both ends swapped, which leaves the checksum as it is. */
function sentBack(packet: Uint8Array): Uint8Array {
  const back = Buffer.from(packet)
  back.set(packet.subarray(12, 16), 16)
  back.set(packet.subarray(16, 20), 12)
  back.set(packet.subarray(20, 22), 22)
  back.set(packet.subarray(22, 24), 20)
  return back
}

/** Program of the other side: sends five texts, one after another, and ends with 0 once each came back. */
const ASK = `
const socket = require('node:dgram').createSocket('udp4')
let came = 0
const ask = () => socket.send('text ' + came, 7, '10.88.0.1')
socket.on('message', (text) => {
  if (String(text) !== 'text ' + came) process.exit(2)
  if (++came === 5) process.exit(0)
  ask()
})
setTimeout(() => process.exit(3), 8000)
ask()`

describe('a tunnel and wireguard-go', () => {
  let folder: string
  let socket: Socket
  let tunnel: Tunnel
  let timer: NodeJS.Timeout
  let packets = 0
  let daemon: ChildProcess | undefined

  before(function () {
    const isRoot = process.getuid?.() === 0
    if (!isRoot || !existsSync('/dev/net/tun') || !has('wireguard-go') || !has('wg')) this.skip()
  })
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'varve-wg-'))
    run('ip', 'netns', 'add', NAMESPACE)
    run('ip', 'link', 'add', OUTSIDE, 'type', 'veth', 'peer', 'name', 'inside', 'netns', NAMESPACE)
    run('ip', 'addr', 'add', '10.77.1.1/24', 'dev', OUTSIDE)
    run('ip', 'link', 'set', OUTSIDE, 'up')
    inside('ip', 'addr', 'add', '10.77.1.2/24', 'dev', 'inside')
    inside('ip', 'link', 'set', 'inside', 'up')

    socket = createSocket('udp4')
    await new Promise<void>((resolve) => socket.bind(0, '10.77.1.1', resolve))
    packets = 0
    tunnel = new Tunnel({
      privateKey: systemChance().bytes(32),
      ports: {
        clock: { now: () => Date.now(), monotonic: () => performance.now() },
        chance: systemChance(),
        send: (datagram, to) => socket.send(datagram, to.port, to.address),
        deliver: (packet) => {
          packets++
          tunnel.packet(sentBack(packet))
        },
      },
    })
    socket.on('message', (datagram, { address, port }) =>
      tunnel.datagram(datagram, { address, port }),
    )
    timer = setInterval(() => tunnel.tick(), 100)
  })
  afterEach(() => {
    clearInterval(timer)
    socket?.close()
    daemon?.kill('SIGTERM')
    daemon = undefined
    spawnSync('ip', ['netns', 'del', NAMESPACE])
    spawnSync('ip', ['link', 'del', OUTSIDE])
    if (folder) rmSync(folder, { recursive: true, force: true })
  })

  async function startWireguardGo(presharedKey: Uint8Array): Promise<Uint8Array> {
    const key = systemChance().bytes(32)
    writeFileSync(join(folder, 'key'), Buffer.from(key).toString('base64'), { mode: 0o600 })
    writeFileSync(join(folder, 'psk'), Buffer.from(presharedKey).toString('base64'), {
      mode: 0o600,
    })
    daemon = spawn('ip', ['netns', 'exec', NAMESPACE, 'wireguard-go', '-f', INTERFACE], {
      stdio: 'ignore',
    })
    const deadline = Date.now() + COMMAND_MS_MAX
    while (!existsSync(`/var/run/wireguard/${INTERFACE}.sock`) && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    const ours = Buffer.from(tunnel.key, 'hex').toString('base64')
    const endpoint = `10.77.1.1:${socket.address().port}`
    inside(
      ...['wg', 'set', INTERFACE, 'private-key', join(folder, 'key'), 'listen-port', '51820'],
      ...['peer', ours, 'preshared-key', join(folder, 'psk'), 'allowed-ips', '10.88.0.1/32'],
      ...['endpoint', endpoint],
    )
    inside('ip', 'addr', 'add', '10.88.0.2/24', 'dev', INTERFACE)
    inside('ip', 'link', 'set', INTERFACE, 'up')
    return keyPairFrom(key).publicKey
  }

  it('shake hands and carry packets, whoever begins, and after the address changed', async () => {
    const presharedKey = systemChance().bytes(32)
    const peerKey = await startWireguardGo(presharedKey)
    tunnel.setPeers([
      {
        key: Buffer.from(peerKey).toString('hex'),
        wire: WIREGUARD,
        presharedKey,
        endpoint: { address: '10.77.1.2', port: 51_820 },
        allowed: [parsePrefix('10.88.0.2/32')],
      },
    ])
    const ask = () =>
      new Promise<number | null>((resolve) => {
        const args = ['netns', 'exec', NAMESPACE, process.execPath, '-e', ASK]
        spawn('ip', args, { stdio: 'ignore' }).once('close', resolve)
      })
    assert.equal(await ask(), 0)
    assert.equal(packets, 5)
    // It moves to another port: what it sends tells us where it is.
    inside('wg', 'set', INTERFACE, 'listen-port', '51999')
    assert.equal(await ask(), 0)
    assert.equal(tunnel.statuses()[0]?.endpoint?.port, 51_999)
    assert.include(inside('wg', 'show', INTERFACE, 'latest-handshakes'), '\t')
  })

  it('shake hands when ours begins', async () => {
    const presharedKey = new Uint8Array(32)
    const peerKey = await startWireguardGo(presharedKey)
    tunnel.setPeers([
      {
        key: Buffer.from(peerKey).toString('hex'),
        wire: WIREGUARD,
        endpoint: { address: '10.77.1.2', port: 51_820 },
        allowed: [parsePrefix('10.88.0.2/32')],
        keepAliveMs: 1000,
      },
    ])
    const deadline = Date.now() + 10_000
    while (tunnel.statuses()[0]?.handshakeMs === undefined && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.isNumber(tunnel.statuses()[0]?.handshakeMs)
    assert.notMatch(inside('wg', 'show', INTERFACE, 'latest-handshakes'), /\t0$/m)
  })
})
