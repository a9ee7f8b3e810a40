// npm runs on the machine's own Node and silently drops optional packages whose `engines` exclude it.
// This repeats the install once under the pinned Node, so that those packages arrive too.
// It is the one script that must stay plain JavaScript: it runs before the pinned Node is known to be there.
import { spawnSync } from 'node:child_process'

const OLDEST_SUFFICIENT_MAJOR = 22
const majorOf = (version) => Number(version.split('.')[0])

const npmNode = process.env.npm_node_execpath
const npmNodeVersion = npmNode
  ? spawnSync(npmNode, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout.trim()
  : process.versions.node

const npmIsTooOld = majorOf(npmNodeVersion) < OLDEST_SUFFICIENT_MAJOR
const weAreRecent = majorOf(process.versions.node) >= OLDEST_SUFFICIENT_MAJOR

if (npmIsTooOld && weAreRecent && process.env.npm_execpath) {
  const flags = ['--ignore-scripts', '--no-save', '--no-audit', '--no-fund', '--prefer-offline']
  const result = spawnSync(process.execPath, [process.env.npm_execpath, 'install', ...flags], {
    stdio: 'inherit',
  })
  process.exit(result.status ?? 1)
}
