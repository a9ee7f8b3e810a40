/** A volume is a file system as the FUSE engine's port says, on a disk in memory, on a real one, and when all is far away. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeDisk } from '../../../agent/adapters/disk/node-disk.ts'
import type { Volume, VolumeOptions } from '../../../agent/engines/files/index.ts'
import type { FileSystem } from '../../../agent/engines/fuse/ports.ts'
import { VolumeWorld } from '../../support/volume-world.ts'
import { type FileSystemUnderTest, fileSystemConformance } from '../file-system.ts'

async function inMemory(options: Partial<VolumeOptions> = {}): Promise<FileSystemUnderTest> {
  const world = new VolumeWorld()
  const volume = await world.open(world.disk(), options)
  return { fileSystem: volume, dispose: () => volume.close() }
}

async function onRealDisk(): Promise<FileSystemUnderTest> {
  const root = mkdtempSync(join(tmpdir(), 'varve-files-'))
  const volume = await new VolumeWorld().open(nodeDisk(root))
  return {
    fileSystem: volume,
    async dispose() {
      await volume.close()
      rmSync(root, { recursive: true })
    },
  }
}

/** Every sync disperses and forgets the local copies, so that what is read comes back from the stores. */
async function farAway(): Promise<FileSystemUnderTest> {
  const world = new VolumeWorld(3, { chunkBytes: 8192 })
  const volume = await world.open(world.disk(), { sync: 'dispersed', segmentBytes: 65_536 })
  return { fileSystem: forgetting(volume, world), dispose: () => volume.close() }
}

function forgetting(volume: Volume, world: VolumeWorld): FileSystem {
  return new Proxy(volume, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name)
      if (typeof method !== 'function') return method
      if (name !== 'sync' && name !== 'read') return method.bind(target)
      return async (...args: unknown[]) => {
        if (name === 'read') await target.syncDispersed()
        const answer: unknown = await method.apply(target, args)
        world.chunks.dropCache()
        target.dropCache()
        return answer
      }
    },
  })
}

fileSystemConformance('a volume in memory', inMemory, {
  ofSize: (sizeBytes) => inMemory({ sizeBytes }),
})
fileSystemConformance('a volume on a real disk', onRealDisk)
fileSystemConformance('a volume read from its stores', farAway)
