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
    const head = headOf(folder + file)
    const its = file.replace(/\.ts$/, '')
    if (!head.includes(`npm run bench -- ${its}`) && !head.includes(`npm run ${its}`)) continue
    console.log(`  ${its.padEnd(10)} ${head.split(/: |\.\s/)[0]}`)
  }
  console.log('\n`npm run bench -- NAME --help` says what it measures and takes.')
  process.exitCode = name === undefined ? 0 : 2
} else if (args.includes('--help')) {
  console.log(headOf(path))
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

/** What the comment at the head of a file says. */
function headOf(file: string): string {
  const comment = /^\/\*\*([\s\S]*?)\*\//.exec(readFileSync(file, 'utf8'))?.[1] ?? ''
  return comment.replaceAll(/^ \* ?/gm, '').trim()
}
