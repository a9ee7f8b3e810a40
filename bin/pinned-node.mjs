/**
 * Runs a program of this checkout on the Node that it pins, whatever Node the machine has: plain JavaScript, because it runs
 * on that one.
 */
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
/** Stop a program in an orderly manner. */
const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']
/** fcntl's command that sets the flags of a descriptor. */
const F_SETFD = 2

/**
 * Runs a program in place of this process where that can be, so that its process id is this one's and a signal, also SIGKILL,
 * reaches it; else in a child to which signals are passed on.
 *
 * @param {string} path - The program, relative to this folder.
 * @param {number} oldestSufficientMajor - Oldest Node that may run it in this very process.
 */
export async function runPinned(path, oldestSufficientMajor) {
  const program = fileURLToPath(new URL(path, import.meta.url))
  if (Number(process.versions.node.split('.')[0]) >= oldestSufficientMajor) {
    process.argv.splice(1, 1, program)
    await import(program)
    return
  }
  const command = [pinnedNode(), program, ...process.argv.slice(2)]
  try {
    become(command)
  } catch {
    // No FFI for this machine, or no execve on this system: a child does as well, but for SIGKILL.
  }
  runChild(command)
}

function pinnedNode() {
  const isBin = process.platform === 'darwin' && process.arch === 'arm64'
  const name = `node-${isBin ? 'bin-' : ''}${process.platform}-${process.arch}`
  try {
    return require.resolve(`${name}/bin/node`)
  } catch {
    console.error(
      `varve: the pinned Node (${name}) is missing; run \`npm install\` in the checkout first`,
    )
    process.exit(1)
  }
}

/** Returns only if it failed. */
function become(command) {
  if (process.platform !== 'linux') return
  const koffi = require('koffi')
  const libc = koffi.load('libc.so.6')
  const fcntl = libc.func('int fcntl(int fd, int command, ...)')
  const execve = libc.func('int execve(const char *path, const char **argv, const char **envp)')
  // Node has these closed at an execve.
  for (const descriptor of [0, 1, 2]) fcntl(descriptor, F_SETFD, 'int', 0)
  const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value}`)
  execve(command[0], [...command, null], [...environment, null])
}

function runChild([node, ...args]) {
  const child = spawn(node, args, { stdio: 'inherit' })
  // A terminal sends these to both; a program that is stopping does not mind a second one.
  for (const signal of STOP_SIGNALS) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => {
    for (const name of STOP_SIGNALS) process.removeAllListeners(name)
    if (signal !== null) process.kill(process.pid, signal)
    process.exitCode = code ?? 1
  })
}
