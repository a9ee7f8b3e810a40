/**
 * Generates what is derived from the compiled contracts: the reference in `docs/reference/contracts/` from NatSpec, and
 * the storage layouts in `contracts/layout/`, whose diff shows a change that would misread old state.
 *
 * `npx node scripts/gen/law.ts` writes them; `--check` compares instead, and fails if anything differs.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const ARTIFACTS = join(ROOT, 'artifacts/contracts')
const BUILD_INFO = join(ROOT, 'artifacts/build-info')
const REFERENCE = 'docs/reference/contracts'
const LAYOUT = 'contracts/layout'

interface Artifact {
  readonly contractName: string
  readonly inputSourceName: string
  readonly buildInfoId: string
}
interface BuildOutput {
  readonly output: { readonly contracts: Record<string, Record<string, Compiled>> }
}
interface AbiItem {
  readonly type: string
  readonly name?: string
  readonly inputs?: readonly AbiParameter[]
  readonly outputs?: readonly AbiParameter[]
  readonly stateMutability?: string
}
interface AbiParameter {
  readonly name: string
  readonly type: string
  readonly internalType?: string
  readonly indexed?: boolean
}
interface DevEntry {
  readonly details?: string
  readonly params?: Readonly<Record<string, string>>
  readonly returns?: Readonly<Record<string, string>>
}
type Docs<T> = Readonly<Record<string, T>>
interface Compiled {
  readonly abi: readonly AbiItem[]
  readonly devdoc: {
    readonly details?: string
    readonly title?: string
    readonly methods?: Docs<DevEntry>
    readonly events?: Docs<DevEntry>
    readonly errors?: Docs<readonly DevEntry[]>
  }
  readonly userdoc: {
    readonly notice?: string
    readonly methods?: Docs<{ readonly notice?: string }>
    readonly events?: Docs<{ readonly notice?: string }>
    readonly errors?: Docs<readonly { readonly notice?: string }[]>
  }
  readonly storageLayout?: {
    readonly storage: readonly StorageItem[]
    readonly types: StorageTypes
  }
}
interface StorageItem {
  readonly label: string
  readonly slot: string
  readonly offset: number
  readonly type: string
}
type StorageTypes = Readonly<
  Record<string, { readonly label: string; readonly members?: readonly StorageItem[] }>
> | null

/**
 * Computes every generated file from the compiler's output.
 *
 * @returns Contents by path relative to the repository, and the names of errors, events and functions of our own that
 *   have no notice (which must be none).
 */
export function generateLaw(): { files: Map<string, string>; undocumented: string[] } {
  const compiled = readCompiled()
  const files = new Map<string, string>()
  const undocumented: string[] = []
  for (const [name, contract] of [...compiled].sort(([a], [b]) => a.localeCompare(b))) {
    if (isInterface(name)) {
      files.set(`${REFERENCE}/${name}.md`, describe(name, contract))
      undocumented.push(...withoutNotice(name, contract))
    } else if (contract.storageLayout && contract.storageLayout.storage.length > 0) {
      files.set(`${LAYOUT}/${name}.json`, layoutOf(contract.storageLayout))
    }
  }
  files.set(`${REFERENCE}/README.md`, describeAll(compiled))
  return { files, undocumented }
}

/** Our own contracts by name, each from the build that its artifact names: older builds may lie beside it. */
function readCompiled(): Map<string, Compiled> {
  const builds = new Map<string, BuildOutput>()
  const found = new Map<string, Compiled>()
  const paths = readdirSync(ARTIFACTS, { recursive: true, encoding: 'utf8' })
  for (const path of paths.filter((each) => each.endsWith('.json'))) {
    const artifact = JSON.parse(readFileSync(join(ARTIFACTS, path), 'utf8')) as Artifact
    const id = artifact.buildInfoId
    const build = builds.get(id) ?? readBuild(id)
    builds.set(id, build)
    const contract = build.output.contracts[artifact.inputSourceName]?.[artifact.contractName]
    if (contract) found.set(artifact.contractName, contract)
  }
  return found
}

function readBuild(id: string): BuildOutput {
  return JSON.parse(readFileSync(join(BUILD_INFO, `${id}.output.json`), 'utf8')) as BuildOutput
}

function isInterface(name: string): boolean {
  return /^I[A-Z]/.test(name)
}

function describe(name: string, contract: Compiled): string {
  const { devdoc, userdoc } = contract
  const parts = [`# ${name}`, '']
  parts.push(...paragraph(devdoc.title), ...paragraph(userdoc.notice), ...paragraph(devdoc.details))
  const of = (type: string) => contract.abi.filter((item) => item.type === type)
  section(parts, 'Functions', of('function'), (item, key) => [
    ...paragraph(userdoc.methods?.[key]?.notice),
    ...paragraph(devdoc.methods?.[key]?.details),
    ...listOf(item.inputs, devdoc.methods?.[key]?.params),
    ...returnsOf(devdoc.methods?.[key]?.returns),
  ])
  section(parts, 'Events', of('event'), (_, key) => paragraph(userdoc.events?.[key]?.notice))
  section(parts, 'Errors', of('error'), (_, key) =>
    paragraph(userdoc.errors?.[key]?.map((each) => each.notice ?? '').join(' ')),
  )
  return `${parts.join('\n').trimEnd()}\n`
}

function section(
  parts: string[],
  title: string,
  items: readonly AbiItem[],
  body: (item: AbiItem, key: string) => string[],
): void {
  if (items.length === 0) return
  parts.push(`## ${title}`, '')
  const sorted = [...items].sort((a, b) => (a.name ?? '').localeCompare(b.name ?? ''))
  for (const item of sorted) parts.push(`### \`${shown(item)}\``, '', ...body(item, keyOf(item)))
}

/** As in the source: `name(type name, ...) view returns (...)`. */
function shown(item: AbiItem): string {
  const list = (parameters: readonly AbiParameter[] = []) =>
    parameters.map((each) => `${typeOf(each)}${each.name ? ` ${each.name}` : ''}`).join(', ')
  const rights = ['view', 'pure', 'payable'].includes(item.stateMutability ?? '')
    ? ` ${item.stateMutability}`
    : ''
  const outputs = item.outputs?.length ? ` returns (${list(item.outputs)})` : ''
  return `${item.name}(${list(item.inputs)})${rights}${outputs}`
}

function typeOf(parameter: AbiParameter): string {
  const type = (parameter.internalType ?? parameter.type).replace(/^(struct|enum|contract) /, '')
  return parameter.indexed ? `${type} indexed` : type
}

function keyOf(item: AbiItem): string {
  return `${item.name}(${(item.inputs ?? []).map(selectorType).join(',')})`
}

function selectorType(parameter: AbiParameter & { components?: readonly AbiParameter[] }): string {
  if (!parameter.type.startsWith('tuple')) return parameter.type
  return `(${(parameter.components ?? []).map(selectorType).join(',')})${parameter.type.slice(5)}`
}

function paragraph(text: string | undefined): string[] {
  return text ? [text.trim(), ''] : []
}

function listOf(
  inputs: readonly AbiParameter[] | undefined,
  params: Readonly<Record<string, string>> | undefined,
): string[] {
  const lines = (inputs ?? [])
    .filter(({ name }) => params?.[name])
    .map(({ name }) => `- \`${name}\`: ${params?.[name]}`)
  return lines.length > 0 ? [...lines, ''] : []
}

function returnsOf(returns: Readonly<Record<string, string>> | undefined): string[] {
  const lines = Object.entries(returns ?? {}).map(
    ([name, text]) => `- returns \`${name}\`: ${text}`,
  )
  return lines.length > 0 ? [...lines, ''] : []
}

function withoutNotice(name: string, { abi, userdoc }: Compiled): string[] {
  const notices: Record<string, (key: string) => boolean> = {
    function: (key) => Boolean(userdoc.methods?.[key]?.notice),
    event: (key) => Boolean(userdoc.events?.[key]?.notice),
    error: (key) => Boolean(userdoc.errors?.[key]?.[0]?.notice),
  }
  return abi
    .filter((item) => notices[item.type]?.(keyOf(item)) === false)
    .map((item) => `${name}.${keyOf(item)}`)
}

function describeAll(compiled: ReadonlyMap<string, Compiled>): string {
  const lines = [
    '# The contracts',
    '',
    'Generated from NatSpec by `scripts/gen/law.ts`; the decisions are in `docs/design/0003-contracts.md`.',
    '',
    '| interface | what |',
    '|---|---|',
  ]
  for (const [name, { devdoc }] of [...compiled].sort(([a], [b]) => a.localeCompare(b))) {
    if (isInterface(name)) lines.push(`| [${name}](${name}.md) | ${devdoc.title ?? ''} |`)
  }
  return `${lines.join('\n')}\n`
}

/** Labels, slots, offsets and types; without the compiler's numbering of syntax trees, which says nothing. */
function layoutOf(layout: NonNullable<Compiled['storageLayout']>): string {
  const types: StorageTypes = layout.types ?? {}
  const plain = (item: StorageItem): object => ({
    slot: Number(item.slot),
    offset: item.offset,
    label: item.label,
    type: types[item.type]?.label ?? item.type,
  })
  const structs = Object.values(types)
    .filter((type) => type.members)
    .map((type) => [type.label, type.members?.map(plain)])
  const sorted = structs.sort(([a], [b]) => String(a).localeCompare(String(b)))
  const content = { storage: layout.storage.map(plain), structs: Object.fromEntries(sorted) }
  return `${JSON.stringify(content, null, 2)}\n`
}

if (import.meta.main) {
  const check = process.argv.includes('--check')
  const { files, undocumented } = generateLaw()
  for (const name of undocumented) process.stderr.write(`no notice: ${name}\n`)
  let differing = undocumented.length
  for (const [path, content] of files) {
    const full = join(ROOT, path)
    const same = existsSync(full) && readFileSync(full, 'utf8') === content
    if (same) continue
    differing += 1
    if (check) process.stderr.write(`out of date: ${path}\n`)
    else {
      mkdirSync(join(full, '..'), { recursive: true })
      writeFileSync(full, content)
    }
  }
  if (check && differing > 0) process.exitCode = 1
}
