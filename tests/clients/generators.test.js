// Generators of types: GraphQL Code Generator from the server's own introspection, gql.tada from the schema it serves. What
// they make is compiled by TypeScript, with what must not compile.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { generate } from '@graphql-codegen/cli'
import { buildClientSchema, buildSchema, getIntrospectionQuery, lexicographicSortSchema, printSchema } from 'graphql'
import { scratch } from './scratch.js'
import { start } from './server.js'

const require = createRequire(import.meta.url)
const run = promisify(execFile)

let server, directory

before(async () => {
  ;[server, directory] = await Promise.all([start(), scratch('types')])
})

after(async () => {
  await server?.stop()
  await rm(directory, { recursive: true })
})

const OPTIONS = {
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  target: 'es2022',
  module: 'nodenext',
  moduleResolution: 'nodenext',
  types: [],
}

/** Compiles these files; what TypeScript says about them. */
async function compiled(files, options = {}) {
  const project = join(directory, 'tsconfig.json')
  await writeFile(project, JSON.stringify({ compilerOptions: { ...OPTIONS, ...options }, files }))
  try {
    await run(process.execPath, [require.resolve('typescript/bin/tsc'), '-p', project])
    return ''
  } catch (error) {
    return error.stdout
  }
}

/** What makes a user findable in one way. */
const WAYS = `
export const one: UserBy = { handle: 'grace' }
export const other: UserBy = { account: { platform: 'discord', id: '1' } }
// @ts-expect-error there is exactly one
export const none: UserBy = {}
`

test('what the server says of its schema is the schema, also which inputs take exactly one member', async () => {
  const introspection = getIntrospectionQuery({ oneOf: true, specifiedByUrl: true, inputValueDeprecation: true })
  const text = (schema) => printSchema(lexicographicSortSchema(schema))
  const request = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ query: introspection }) }
  const { data } = await (await fetch(`${server.url}/graphql`, request)).json()
  const served = await (await fetch(`${server.url}/schema.graphql`)).text()
  assert.equal(text(buildClientSchema(data)), text(buildSchema(served)))
})

test('GraphQL Code Generator', async () => {
  const made = join(directory, 'gql/')
  const documents = [
    'query Profile($by: UserBy!) { user(by: $by) { id handle games(first: 2) { nodes { id title } } overview { nodes { id __typename } } } }',
    'mutation Grant($input: GrantCreditsInput!) { grantCredits(input: $input) { user { id } userErrors { code } } }',
    'subscription Follow($by: UserBy!) { userProgress(user: $by) { cursor kind } }',
  ]
  await generate(
    {
      silent: true,
      schema: { [`${server.url}/graphql`]: { oneOf: true } },
      documents,
      generates: { [made]: { preset: 'client', config: { useTypeImports: true, documentMode: 'string' }, presetConfig: { fragmentMasking: false } } },
      importExtension: '.js',
    },
    true,
  )
  await writeFile(
    join(directory, 'codegen.ts'),
    `import type { ProfileQuery, UserBy } from './gql/graphql.js'
${WAYS}
// @ts-expect-error there is exactly one
export const both: UserBy = { handle: 'grace', id: 'user:1' }
export const title = (found: ProfileQuery): string | undefined => found.user?.games?.nodes[0]?.title
// @ts-expect-error nobody may be found
export const handle = (found: ProfileQuery) => found.user.handle
`,
  )
  assert.equal(await compiled(['codegen.ts']), '')
})

test('gql.tada', async () => {
  const cli = join(dirname(require.resolve('gql.tada/package.json')), 'bin/cli.js')
  const plugin = { name: 'gql.tada/ts-plugin', schema: './schema.graphql', tadaOutputLocation: './graphql-env.d.ts' }
  await writeFile(
    join(directory, 'tada.ts'),
    `import { initGraphQLTada } from 'gql.tada'
import type { ResultOf, VariablesOf } from 'gql.tada'
import type { introspection } from './graphql-env.d.ts'
const graphql = initGraphQLTada<{ introspection: introspection; scalars: { DateTime: string; BigInt: number; Credits: string } }>()
export const profile = graphql(\`query Profile($by: UserBy!) { user(by: $by) { id handle season { state timeLeft } games(first: 2) { nodes { id title } } } }\`)
type UserBy = VariablesOf<typeof profile>['by']
${WAYS}
export const title = (found: ResultOf<typeof profile>): string | undefined => found.user?.games?.nodes[0]?.title
// @ts-expect-error nobody may be found
export const handle = (found: ResultOf<typeof profile>) => found.user.handle
`,
  )
  const options = { plugins: [plugin], allowImportingTsExtensions: true }
  await writeFile(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...OPTIONS, ...options }, files: ['tada.ts'] }))
  const tada = (...words) => run(process.execPath, [cli, ...words], { cwd: directory })
  await tada('generate-schema', `${server.url}/graphql`, '--output', 'schema.graphql')
  await tada('generate-output')
  assert.match(await readFile(join(directory, 'graphql-env.d.ts'), 'utf8'), /isOneOf: true/)
  assert.equal(await compiled(['tada.ts'], options), '')
})
