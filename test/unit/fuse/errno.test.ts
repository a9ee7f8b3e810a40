/** Every failure code of a file system has its error number; others are EIO. */
import { assert } from 'chai'
import { NodeError } from '../../../agent/base/errors.ts'
import { ERRNO, errnoOf } from '../../../agent/engines/fuse/errno.ts'
import { FUSE_ERRORS } from '../../../agent/engines/fuse/errors.ts'

const WITHOUT_CALLER = ['FUSE_INIT_TIMEOUT', 'FUSE_CLOSED']

describe('error numbers', () => {
  for (const code of Object.keys(FUSE_ERRORS).filter((one) => !WITHOUT_CALLER.includes(one))) {
    it(`has one for ${code}`, () => {
      assert.isTrue(errnoOf(new NodeError(code, 'x')).known)
    })
  }

  const cases: [caught: unknown, errno: number][] = [
    [new NodeError('NOT_FOUND', 'x'), ERRNO.ENOENT],
    [new NodeError('NO_DATA', 'x'), ERRNO.ENXIO],
    [new NodeError('NO_ATTRIBUTE', 'x'), ERRNO.ENODATA],
    [new NodeError('DISK_FULL', 'x'), ERRNO.ENOSPC],
    [new NodeError('WRITER_FENCED', 'x'), ERRNO.EROFS],
  ]
  for (const [caught, errno] of cases) {
    it(`maps ${String(caught)} to ${errno}`, () => {
      assert.deepEqual(errnoOf(caught), { errno, known: true })
    })
  }

  it('is EIO, to be logged, for all else', () => {
    for (const caught of [
      new NodeError('CHUNK_CORRUPT', 'x'),
      new TypeError('x'),
      'text',
      undefined,
    ]) {
      assert.deepEqual(errnoOf(caught), { errno: ERRNO.EIO, known: false })
    }
  })
})
