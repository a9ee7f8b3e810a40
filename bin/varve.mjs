#!/usr/bin/env node
// Runs `varve` on the Node that this project pins, whatever the machine's own is: TypeScript needs 24 or later.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const OLDEST_SUFFICIENT_MAJOR = 24
const main = fileURLToPath(new URL('../client/cli/main.ts', import.meta.url))

if (Number(process.versions.node.split('.')[0]) >= OLDEST_SUFFICIENT_MAJOR) {
  await import(main)
} else {
  const platform =
    { darwin: process.arch === 'arm64' ? 'bin-darwin' : 'darwin' }[process.platform] ??
    process.platform
  const manifest = createRequire(import.meta.url).resolve(
    `node-${platform}-${process.arch}/package.json`,
  )
  const node = join(dirname(manifest), 'bin/node')
  const { status, signal } = spawnSync(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' })
  if (signal !== null) process.kill(process.pid, signal)
  process.exitCode = status ?? 1
}
