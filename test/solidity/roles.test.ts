// Every act of every contract, tried by everybody: what each may do stands in roles.json, and a new act needs a row there.
import { readFileSync } from 'node:fs'
import { assert } from 'chai'
import { type FunctionFragment, Interface } from 'ethers'
import hre from 'hardhat'
import { type Cast, deployCast } from './support/cast.ts'
import type { TestGrid } from './support/grid.ts'
import { revertNameOf } from './support/reverts.ts'

/** Outcome by role: `ok`, or the name of the error; `others` is everybody who is not named. */
type Row = Readonly<Record<string, string>>

const TABLE = JSON.parse(readFileSync(new URL('roles.json', import.meta.url), 'utf8')) as Readonly<
  Record<string, Row>
>

/** Contracts by name, and what the test grid calls them. */
const CONTRACTS: Readonly<Record<string, keyof TestGrid['contracts']>> = {
  ...{ Audits: 'audits', CapacityVotes: 'votes', Contractors: 'contractors', Escrow: 'escrow' },
  ...{ Grid: 'grid', GridGovernor: 'governor', GridToken: 'token', Nodes: 'nodes' },
  ...{ OrderDesk: 'desk', Orders: 'orders', Policy: 'policy', SpecRules: 'rules' },
}
const TIMELOCK = 'TimelockController'

/** An act and where it is done. */
interface Act {
  readonly name: string
  readonly address: string
  readonly face: Interface
  readonly fragment: FunctionFragment
}

describe('What each role may do', () => {
  let cast: Cast
  let acts: Act[]

  before(async () => {
    cast = await deployCast()
    acts = await actsOf(cast)
  })

  it('is written down for every act that there is, and for no other', () => {
    const names = acts.map(({ name }) => name)
    assert.sameMembers(Object.keys(TABLE), names)
    assert.includeMembers(Object.keys(cast.samples), names)
  })

  for (const contract of [...Object.keys(CONTRACTS), TIMELOCK]) {
    it(`is what is written down: ${contract}`, async () => {
      const found: Record<string, Row> = {}
      const own = acts.filter(({ name }) => name.startsWith(`${contract}.`))
      for (const act of own) found[act.name] = await rowOf(cast, act)
      const written = Object.entries(TABLE).filter(([name]) => name.startsWith(`${contract}.`))
      assert.deepEqual(found, Object.fromEntries(written))
    })
  }
})

/** Every function that can change something, of every contract that is deployed. */
async function actsOf({ grid }: Cast): Promise<Act[]> {
  assert.sameMembers(Object.values(CONTRACTS), Object.keys(grid.contracts))
  const acts: Act[] = []
  const add = async (contract: string, address: string) => {
    const { abi } = await hre.artifacts.readArtifact(contract)
    const face = new Interface(abi)
    face.forEachFunction((fragment) => {
      if (fragment.constant) return
      const inputs = fragment.inputs
        .map(({ type, baseType }) => shortType(type, baseType))
        .join(',')
      acts.push({ name: `${contract}.${fragment.name}(${inputs})`, address, face, fragment })
    })
  }
  for (const [contract, key] of Object.entries(CONTRACTS)) {
    await add(contract, await grid.contracts[key].getAddress())
  }
  await add(TIMELOCK, grid.timelock)
  return acts
}

function shortType(type: string, baseType: string): string {
  if (baseType === 'tuple') return 'tuple'
  return type.startsWith('tuple') ? 'tuple[]' : type
}

async function rowOf(
  { grid, roles, samples }: Cast,
  { name, address, face, fragment }: Act,
): Promise<Row> {
  const sample = samples[name]
  if (!sample) return { others: 'no arguments to try it with' }
  const data = face.encodeFunctionData(fragment, sample)
  const { provider } = grid.connection
  const outcomes = new Map<string, string>()
  for (const [role, from] of roles) {
    const call = { method: 'eth_call', params: [{ from, to: address, data }, 'latest'] }
    const outcome = await provider.request(call).then(
      () => 'ok',
      (error: unknown) => revertNameOf(error) ?? 'reverted without a name',
    )
    outcomes.set(role, outcome)
  }
  return rowFrom(outcomes)
}

/** Names whoever differs from the most. */
function rowFrom(outcomes: ReadonlyMap<string, string>): Row {
  const counts = new Map<string, number>()
  for (const outcome of outcomes.values()) counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  const [usual = ''] = [...counts].toSorted((a, b) => b[1] - a[1])[0] ?? []
  const named = [...outcomes].filter(([, outcome]) => outcome !== usual)
  return Object.fromEntries([...named, ['others', usual]])
}
