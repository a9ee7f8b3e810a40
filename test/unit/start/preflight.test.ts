/** What a start says of a machine that lacks something: all of it at once, each with how to get it. */
import { assert } from 'chai'
import { GIB } from '../../../agent/base/units.ts'
import { type Machine, missingFor } from '../../../scripts/start/preflight.ts'

const WELL: Machine = {
  ...{ platform: 'linux', isRoot: true, path: '/usr/bin:/bin' },
  has: () => true,
  isExecutable: (file) => file === '/usr/sbin/ip',
  freeBytes: () => 100 * GIB,
}

describe('what a machine lacks for a grid', () => {
  // biome-ignore format: a table is read line by line
  const cases: readonly (readonly [why: string, lacks: Partial<Machine>, told: readonly RegExp[]])[] = [
    ['nothing', {}, []],
    ['Linux', { platform: 'darwin' }, [/Linux machine/]],
    ['root', { isRoot: false }, [/sudo npm start/]],
    ['FUSE', { has: () => false }, [/modprobe fuse.*--device \/dev\/fuse/]],
    ['ip', { isExecutable: () => false }, [/apt-get install iproute2/]],
    ['room', { freeBytes: () => GIB }, [/\/data has 1\.0 GiB free.*--data DIR/]],
    ['root and FUSE', { isRoot: false, has: () => false }, [/sudo/, /modprobe/]],
  ]
  for (const [why, lacks, told] of cases) {
    it(`is told when it is ${why}`, () => {
      const missing = missingFor('/data', { ...WELL, ...lacks })
      assert.lengthOf(missing, told.length, missing.join('\n'))
      for (const [index, pattern] of told.entries()) assert.match(missing[index] ?? '', pattern)
    })
  }
})
