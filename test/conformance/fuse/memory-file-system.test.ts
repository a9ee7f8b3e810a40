/** The model in memory is a file system as the port says: the judge is judged first. */
import { MemoryFileSystem } from '../../support/memory-file-system.ts'
import { fileSystemConformance } from '../file-system.ts'

fileSystemConformance('memory', async () => ({ fileSystem: new MemoryFileSystem() }), {
  ofSize: async (totalBytes) => ({ fileSystem: new MemoryFileSystem({ totalBytes }) }),
})
