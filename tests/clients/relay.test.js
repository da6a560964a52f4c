// Relay: its compiler over our schema, and its runtime with what that makes: connections, and objects asked for again by id.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import relay from 'relay-runtime'
import { ask } from './live.js'
import { scratch, schemaFile } from './scratch.js'
import { start } from './server.js'

const { Environment, Network, RecordSource, Store, createOperationDescriptor, fetchQuery, getSelector } = relay
const require = createRequire(import.meta.url)

const SOURCE = `
graphql\`query ProfileQuery($handle: String!) { user(by: { handle: $handle }) { id ...Profile_games ...Profile_credits } }\`;
graphql\`fragment Profile_games on User @refetchable(queryName: "ProfileGamesQuery")
  @argumentDefinitions(count: { type: "Int", defaultValue: 2 }, cursor: { type: "String" }) {
  games(first: $count, after: $cursor) @connection(key: "Profile_games") { edges { node { id title } } } }\`;
graphql\`fragment Profile_credits on User @refetchable(queryName: "ProfileCreditsQuery") { credits { available { micros } } }\`;
graphql\`mutation ProfileGrantMutation($input: GrantCreditsInput!) { grantCredits(input: $input) { user { id ...Profile_credits } } }\`;
graphql\`subscription ProfileEventsSubscription($user: UserBy!) { userProgress(user: $user) { cursor kind } }\`;
`

let server, key, directory, made

before(async () => {
  directory = await scratch('relay')
  await writeFile(join(directory, 'Profile.js'), SOURCE)
  await writeFile(join(directory, 'package.json'), '{ "type": "commonjs" }')
  const config = { src: '.', schema: './schema.graphql', language: 'javascript', eagerEsModules: false }
  await cp(schemaFile, join(directory, 'schema.graphql'))
  await writeFile(join(directory, 'relay.config.json'), JSON.stringify(config))
  await promisify(execFile)(require('relay-compiler'), ['relay.config.json'], { cwd: directory })
  made = (name) => require(join(directory, '__generated__', `${name}.graphql.js`))
  server = await start()
  key = await server.waymark('key', 'create', '--name', 'relay', '--scope', 'progress:write')
})

after(async () => {
  await server?.stop()
  await rm(directory, { recursive: true })
})

const environment = () =>
  new Environment({
    network: Network.create(({ text }, variables) => ask(server.url, key, { query: text, variables })),
    store: new Store(new RecordSource()),
  })

/** What a query finds, and what a fragment of it shows. */
async function look(client, query, variables, fragment, root = 'user') {
  const data = await fetchQuery(client, made(query), variables).toPromise()
  client.retain(createOperationDescriptor(made(query), variables))
  return { data, shown: client.lookup(getSelector(made(fragment), data[root])).data }
}

test('a connection is continued by asking for its node again', async () => {
  const client = environment()
  const { data, shown } = await look(client, 'ProfileQuery', { handle: 'grace' }, 'Profile_games')
  const first = shown.games.edges.map(({ node }) => node.id)
  assert.equal(first.length, 2)
  const { endCursor: cursor, hasNextPage } = shown.games.pageInfo
  assert.equal(hasNextPage, true)
  const next = await look(client, 'ProfileGamesQuery', { id: data.user.id, count: 2, cursor }, 'Profile_games', 'node')
  const all = next.shown.games.edges.map(({ node }) => node.id)
  assert.deepEqual(all.slice(0, 2), first, 'both pages are one list')
  assert.equal(new Set(all).size, 4)
})

test('a fragment is asked for again by the id of its object', async () => {
  const client = environment()
  const { data, shown } = await look(client, 'ProfileQuery', { handle: 'grace' }, 'Profile_credits')
  const input = { user: { handle: 'grace' }, amount: { micros: 7 } }
  await ask(server.url, key, { query: made('ProfileGrantMutation').params.text, variables: { input } })
  const again = await look(client, 'ProfileCreditsQuery', { id: data.user.id }, 'Profile_credits', 'node')
  assert.equal(again.shown.credits.available.micros, shown.credits.available.micros + 7)
})
