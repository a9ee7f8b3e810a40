/** The kernel's table of mounts, as proc(5) writes it. */
import { assert } from 'chai'
import { parseMountTable } from '../../../agent/adapters/kernel/mount-table.ts'

describe('the mount table', () => {
  const cases: [why: string, line: string, want: object | undefined][] = [
    [
      'reads a plain mount',
      '36 35 98:0 / /mnt rw,noatime - ext4 /dev/root rw,errors=continue',
      { path: '/mnt', device: '98:0', type: 'ext4', source: '/dev/root' },
    ],
    [
      'skips any number of optional fields',
      '40 2 0:39 / /a rw master:1 propagate_from:2 unbindable - fuse.varve varve rw',
      { path: '/a', device: '0:39', type: 'fuse.varve', source: 'varve' },
    ],
    [
      'reads escaped characters',
      String.raw`40 2 0:39 / /a\040b\011c\134d rw - tmpfs my\040disk rw`,
      { path: '/a b\tc\\d', device: '0:39', type: 'tmpfs', source: 'my disk' },
    ],
    [
      'takes a mount without a source',
      '40 2 0:39 / /a rw - tmpfs',
      { path: '/a', device: '0:39', type: 'tmpfs', source: '' },
    ],
    ['leaves out what has another shape', 'garbage', undefined],
    ['leaves out an empty line', '', undefined],
  ]
  for (const [why, line, want] of cases) {
    it(why, () => assert.deepEqual(parseMountTable(line), want ? [want as never] : []))
  }

  it('keeps the order, because the last at a path is the one that shows', () => {
    const text = '1 0 0:1 / /a rw - tmpfs below rw\n2 1 0:2 / /a rw - tmpfs above rw\n'
    assert.deepEqual(
      parseMountTable(text).map((entry) => entry.source),
      ['below', 'above'],
    )
  })
})
