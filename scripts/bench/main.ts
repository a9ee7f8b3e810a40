/** `npm run bench -- NAME [OPTIONS]`: runs one benchmark of this folder; without a name, lists them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { codeOf, describeError } from '../../agent/base/errors.ts'

const folder = fileURLToPath(new URL('.', import.meta.url))
const [name, ...args] = process.argv.slice(2)
const path = `${folder}${name}.ts`

if (name === undefined || !/^[a-z-]+$/.test(name) || !existsSync(path)) {
  console.log('usage: npm run bench -- NAME [OPTIONS]\n\nbenchmarks:')
  for (const file of readdirSync(folder).sort()) {
    if (!/^export (async )?function run\b/m.test(readFileSync(folder + file, 'utf8'))) continue
    console.log(`  ${file.replace(/\.ts$/, '')}`)
  }
  process.exitCode = name === undefined ? 0 : 2
} else {
  const benchmark: { run(args: readonly string[]): Promise<void> } = await import(path)
  try {
    await benchmark.run(args)
  } catch (caught) {
    // What is wrong with the arguments needs no stack.
    if (!codeOf(caught)?.startsWith('ERR_PARSE_ARGS')) throw caught
    console.error(describeError(caught))
    process.exitCode = 2
  }
}
