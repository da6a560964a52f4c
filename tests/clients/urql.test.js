// urql, unmodified: its cache, its exchange for persisted queries, and subscriptions over its fetch and over WebSockets.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client, cacheExchange, fetchExchange, gql, subscriptionExchange } from '@urql/core'
import { persistedExchange } from '@urql/exchange-persisted'
import { createClient } from 'graphql-ws'
import { pipe, take, toPromise } from 'wonka'
import WebSocket from 'ws'
import { FOLLOW, newest, writer } from './live.js'
import { start } from './server.js'

let server, keeping, key, keeper, write

before(async () => {
  ;[server, keeping] = await Promise.all([start(), start({ WAYMARK_APQ: 'true' })])
  const create = (of) => of.waymark('key', 'create', '--name', 'urql', '--scope', 'progress:write')
  ;[key, keeper] = await Promise.all([create(server), create(keeping)])
  write = writer(server.url, key)
})

after(() => Promise.all([server?.stop(), keeping?.stop()]))

/** A client, and what it sends over HTTP. */
function clientOf({ url }, token, exchanges, options) {
  const sent = []
  const client = new Client({
    url: `${url}/graphql`,
    exchanges,
    fetchOptions: { headers: { Authorization: `Bearer ${token}` } },
    fetch(address, init) {
      sent.push({ address, ...init })
      return fetch(address, init)
    },
    ...options,
  })
  return { client, sent }
}

const AVAILABLE = gql`query($handle: String!) { user(by: { handle: $handle }) { id credits { available { micros } } } }`

test('a query is kept until a mutation changes what is in it', async () => {
  const { client, sent } = clientOf(server, key, [cacheExchange, fetchExchange])
  const variables = { handle: 'grace' }
  const micros = async () => (await client.query(AVAILABLE, variables)).data.user.credits.available.micros
  const before = await micros()
  assert.equal(await micros(), before)
  assert.equal(sent.length, 1)
  const grant = gql`mutation($input: GrantCreditsInput!) { grantCredits(input: $input) { user { id } userErrors { code } } }`
  const { data, error } = await client.mutation(grant, { input: { user: variables, amount: { micros: 7 } } })
  assert.equal(error, undefined)
  assert.deepEqual(data.grantCredits.userErrors, [])
  assert.equal(await micros(), before + 7)
})

test('what is refused comes with its code', async () => {
  const { client } = clientOf(server, key, [cacheExchange, fetchExchange])
  const { error } = await client.query('{ nothing }', {})
  assert.equal(error.graphQLErrors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED')
})

for (const preferGetForPersistedQueries of [false, true]) {
  test(`a hash alone is enough with the setting, and the text follows without it; by GET: ${preferGetForPersistedQueries}`, async () => {
    const exchanges = () => [persistedExchange({ preferGetForPersistedQueries }), fetchExchange]
    const query = preferGetForPersistedQueries ? '{ viewer { kind } }' : '{ viewer { kind appName } }'
    for (const [of, token, texts] of [
      [server, key, 2],
      [keeping, keeper, 1],
    ]) {
      const { client, sent } = clientOf(of, token, exchanges())
      for (let round = 0; round < 2; round += 1) {
        const { data, error } = await client.query(query, {}, { requestPolicy: 'network-only' })
        assert.equal(error, undefined)
        assert.equal(data.viewer.kind, 'APP')
      }
      const withText = sent.filter(({ address, body }) => /viewer/.test(decodeURIComponent(`${address}${body}`)))
      assert.equal(withText.length, texts, JSON.stringify(sent))
    }
  })
}

/** The event that follows the newest one, as this client is told it. */
async function told(client) {
  const { cursor, number } = await newest(server.url, key)
  const event = pipe(client.subscription(FOLLOW, { after: cursor }), take(1), toPromise)
  await write()
  const { data, error } = await event
  assert.equal(error, undefined)
  assert.equal(data.userProgress.number, number + 1)
}

/** `fetch`, whose body ends where it is given up: urql leaves that error to nobody, and the runner takes it for the test's. */
async function fetchQuietly(url, init) {
  const response = await fetch(url, init)
  const reader = response.body.getReader()
  const body = new ReadableStream({
    async pull(controller) {
      const { done, value } = await reader.read().catch(() => ({ done: true }))
      if (done) controller.close()
      else controller.enqueue(value)
    },
    cancel: (reason) => reader.cancel(reason).catch(() => {}),
  })
  return new Response(body, { status: response.status, headers: response.headers })
}

test('events come over fetch', async () => {
  const { client } = clientOf(server, key, [fetchExchange], { fetchSubscriptions: true, fetch: fetchQuietly })
  await told(client)
})

test('events come over a WebSocket', async () => {
  const socket = createClient({
    url: `${server.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: `Bearer ${key}` },
  })
  const forwardSubscription = ({ query, variables }) => ({
    subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
  })
  const { client } = clientOf(server, key, [fetchExchange, subscriptionExchange({ forwardSubscription })])
  await told(client)
  await socket.dispose()
})
