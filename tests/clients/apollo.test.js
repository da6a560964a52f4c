// Apollo Client, unmodified: its normalised cache, its links for persisted queries, and subscriptions over WebSockets.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from '@apollo/client'
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { createClient } from 'graphql-ws'
import { firstValueFrom } from 'rxjs'
import WebSocket from 'ws'
import { ask, newest, writer } from './live.js'
import { start } from './server.js'
import { possibleTypes, parts } from './parts.js'

let server, keeping, key, keeper

before(async () => {
  ;[server, keeping] = await Promise.all([start(), start({ WAYMARK_APQ: 'true' })])
  const create = (of) => of.waymark('key', 'create', '--name', 'apollo', '--scope', 'progress:write')
  ;[key, keeper] = await Promise.all([create(server), create(keeping)])
})

after(() => Promise.all([server?.stop(), keeping?.stop()]))

/** The cache as the manual says: parts without an id of their own belong to what they stand in. */
const cache = () =>
  new InMemoryCache({
    possibleTypes,
    typePolicies: { ...Object.fromEntries(parts.map((type) => [type, { merge: true }])), Viewer: { keyFields: [] } },
  })

/** A client, and what it sends over HTTP. */
function clientOf({ url }, token, link = ApolloLink.empty) {
  const sent = []
  const http = new HttpLink({
    uri: `${url}/graphql`,
    headers: { Authorization: `Bearer ${token}` },
    fetch(address, init) {
      sent.push({ address, ...init })
      return fetch(address, init)
    },
  })
  const links = link === ApolloLink.empty ? http : ApolloLink.from([link, http])
  return { client: new ApolloClient({ link: links, cache: cache(), devtools: { enabled: false } }), sent }
}

const PROFILE = gql`
  query Profile($handle: String!) {
    viewer { kind appName }
    user(by: { handle: $handle }) {
      id handle
      credits { available { micros } }
      season { state season { id title } goals { id state goal { id title reward { credits } } } currentWeek { number } }
      games(first: 2) { edges { cursor node { id title awards { award } } } pageInfo { hasNextPage endCursor } }
      overview(first: 3) { nodes { id title done total } }
    }
  }`
const MORE = gql`
  query More($handle: String!) {
    viewer { now }
    user(by: { handle: $handle }) {
      id
      credits { isBlockedForClaiming expiresIn }
      season { timeLeft currentWeek { startDate } goals { id goal { id reward { micros } } } }
    }
  }`

test('objects are kept by their ids, and parts without one in what they belong to', async (context) => {
  const complaints = ['warn', 'error'].map((kind) => context.mock.method(console, kind))
  const { client, sent } = clientOf(server, key)
  const variables = { handle: 'grace' }
  const { data } = await client.query({ query: PROFILE, variables })
  await client.query({ query: MORE, variables })
  const kept = client.cache.extract()
  const user = client.cache.identify(data.user)
  assert.equal(user, `User:${data.user.id}`)
  assert.equal(typeof kept[user].credits.available.micros, 'number')
  assert.equal(kept[user].credits.isBlockedForClaiming, false, 'both answers are there')
  for (const type of ['Season', 'Goal', 'GoalProgress', 'GameSummary']) {
    assert.ok(Object.keys(kept).some((id) => id.startsWith(`${type}:`)), type)
  }
  // Nothing of the first answer was lost by the second.
  const again = await client.query({ query: PROFILE, variables })
  assert.deepEqual(again.data, data)
  assert.equal(sent.length, 2)
  assert.deepEqual(complaints.flatMap(({ mock }) => mock.calls.map(({ arguments: said }) => said[0])), [])
})

test('a mutation changes what is kept', async () => {
  const { client, sent } = clientOf(server, key)
  const query = gql`query($handle: String!) { user(by: { handle: $handle }) { id credits { available { micros } } } }`
  const variables = { handle: 'grace' }
  const micros = async () => (await client.query({ query, variables })).data.user.credits.available.micros
  const before = await micros()
  const { data } = await client.mutate({
    mutation: gql`
      mutation($input: GrantCreditsInput!) {
        grantCredits(input: $input) { user { id credits { available { micros } } } userErrors { code message } }
      }`,
    variables: { input: { user: variables, amount: { micros: 7 } } },
  })
  assert.deepEqual(data.grantCredits.userErrors, [])
  assert.equal(await micros(), before + 7)
  assert.equal(sent.length, 2)
})

const sha256 = (text) => createHash('sha256').update(text).digest('hex')
const KIND = gql`query Kind { viewer { kind } }`
const OTHER = gql`query Other { viewer { appName } }`

test('without the setting, hashes are given up after the first', async () => {
  const { client, sent } = clientOf(server, key, new PersistedQueryLink({ sha256 }))
  assert.equal((await client.query({ query: KIND })).data.viewer.kind, 'APP')
  assert.equal((await client.query({ query: OTHER })).data.viewer.appName, 'apollo')
  const queries = sent.map(({ body }) => JSON.parse(body).query !== undefined)
  assert.deepEqual(queries, [false, true, true])
})

test('with the setting, a query is sent once and its hash from then on, by GET too', async () => {
  for (const useGETForHashedQueries of [false, true]) {
    const { client, sent } = clientOf(keeping, keeper, new PersistedQueryLink({ sha256, useGETForHashedQueries }))
    const query = useGETForHashedQueries ? KIND : OTHER
    for (let round = 0; round < 2; round += 1) {
      await client.query({ query, fetchPolicy: 'network-only' })
    }
    assert.equal(sent.length, 3)
    assert.deepEqual(sent.map(({ method }) => method), useGETForHashedQueries ? ['GET', 'POST', 'GET'] : ['POST', 'POST', 'POST'])
    const { body, address } = sent.at(-1)
    assert.ok(!/appName|kind/.test(`${address}${body}`), 'the hash alone')
  }
})

test('events come over the link for WebSockets', async () => {
  const socket = createClient({
    url: `${server.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: `Bearer ${key}` },
  })
  const client = new ApolloClient({ link: new GraphQLWsLink(socket), cache: cache(), devtools: { enabled: false } })
  const query = gql`subscription($after: String) { userProgress(user: { handle: "grace" }, after: $after) { cursor number kind } }`
  const { cursor: from, number } = await newest(server.url, key)
  const event = firstValueFrom(client.subscribe({ query, variables: { after: from } }))
  await writer(server.url, key)()
  const { data } = await event
  assert.equal(data.userProgress.number, number + 1)
  assert.equal((await client.query({ query: KIND })).data.viewer.kind, 'APP')
  client.stop()
  await socket.dispose()
})

test('an error has its code', async () => {
  const { client } = clientOf(server, 'nonsense')
  await assert.rejects(client.query({ query: KIND }), (error) => error.statusCode === 401 || error.errors?.[0].extensions.code === 'INVALID_CREDENTIAL')
  const { errors } = await ask(server.url, key, { query: '{ nothing }' })
  assert.equal(errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED')
})
