// The npm package graphql-ws, unmodified: every way out of a conversation, and coming back to a server that was away.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createClient } from 'graphql-ws'
import WebSocket from 'ws'
import { FOLLOW, newest, until, writeAcrossRestarts, writer } from './live.js'
import { start } from './server.js'

let server, key, url

before(async () => {
  server = await start({ WAYMARK_SOCKET_INIT_SECONDS: '1' })
  key = await server.waymark('key', 'create', '--name', 'live', '--scope', 'progress:write')
  url = server.url.replace('http', 'ws') + '/graphql'
})

after(() => server.stop())

const connectionParams = () => ({ Authorization: `Bearer ${key}` })

/** A client whose socket can be got at, with what `change` makes of what is sent. */
function clientWith({ change = (text) => text, protocol, ...options }) {
  const sockets = []
  class Socket extends WebSocket {
    constructor(address, protocols) {
      super(address, protocol ?? protocols)
      sockets.push(this)
    }
    send(text, ...rest) {
      const changed = change(text)
      if (changed !== undefined) super.send(changed, ...rest)
    }
  }
  const client = createClient({ url, webSocketImpl: Socket, retryAttempts: 0, connectionParams, ...options })
  return { client, sockets }
}

/** Why the client's socket is closed when it subscribes, and `then` goes wrong. */
async function closed(options, then = () => {}, request = { query: FOLLOW }) {
  const { client, sockets } = clientWith(options)
  const close = new Promise((resolve) => client.on('closed', resolve))
  const failed = new Promise((resolve) => {
    client.subscribe(request, { next() {}, error: resolve, complete: () => resolve() })
  })
  client.on('connected', () => then(sockets[0], client))
  const { code, reason } = await close
  await failed
  return [code, reason]
}

test('4400: what is no message', async () => {
  const [code, reason] = await closed({}, (socket) => WebSocket.prototype.send.call(socket, 'nonsense'))
  assert.equal(code, 4400)
  assert.match(reason, /^Invalid message/)
})

test('4401: an operation before the introduction', async () => {
  const subscribe = JSON.stringify({ id: '1', type: 'subscribe', payload: { query: '{ __typename }' } })
  assert.deepEqual(await closed({ change: () => subscribe }), [4401, 'Unauthorized'])
})

test('4403: a credential that is not good', async () => {
  const [code] = await closed({ connectionParams: { Authorization: 'Bearer nonsense' } })
  assert.equal(code, 4403)
})

test('4406: another protocol', async () => {
  assert.deepEqual(await closed({ protocol: 'graphql-ws' }), [4406, 'Subprotocol not acceptable'])
})

test('4408: no introduction', async () => {
  assert.deepEqual(await closed({ change: () => undefined }), [4408, 'Connection initialisation timeout'])
})

test('4409: an id that is in use', async () => {
  const twice = (_, client) => client.subscribe({ query: FOLLOW }, { next() {}, error() {}, complete() {} })
  assert.deepEqual(await closed({ generateID: () => 'same' }, twice), [4409, 'Subscriber for same already exists'])
})

test('4429: a second introduction', async () => {
  const again = (socket) => socket.send(JSON.stringify({ type: 'connection_init' }))
  assert.deepEqual(await closed({}, again), [4429, 'Too many initialisation requests'])
})

test('4403: a key that is revoked while it is used', async () => {
  const short = await server.waymark('key', 'create', '--name', 'short', '--scope', 'progress:read')
  const revoke = () => server.waymark('key', 'revoke', short)
  const [code, reason] = await closed({ connectionParams: { 'x-api-key': short } }, revoke)
  assert.equal(code, 4403)
  assert.match(reason, /revoked/)
})

test('queries, and refusals as lists of errors', async () => {
  const { client } = clientWith({})
  const results = []
  for await (const result of client.iterate({ query: '{ viewer { kind } }' })) results.push(result)
  assert.deepEqual(results.map(({ data }) => data), [{ viewer: { kind: 'APP' } }])
  for (const [query, code] of [
    ['{ nothing }', 'GRAPHQL_VALIDATION_FAILED'],
    ['subscription { userProgress(user: { handle: "nobody" }) { number } }', 'BAD_USER_INPUT'],
  ]) {
    await assert.rejects(
      async () => {
        for await (const _ of client.iterate({ query }));
      },
      (errors) => errors[0].extensions.code === code,
    )
  }
  await client.dispose()
})

test('a client that comes back to a restarted server misses nothing and sees nothing twice', async () => {
  const write = writer(server.url, key)
  await write()
  const last = await newest(server.url, key)
  const codes = []
  const client = createClient({
    url,
    webSocketImpl: WebSocket,
    connectionParams,
    retryAttempts: Infinity,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
    shouldRetry: () => true,
    on: { closed: ({ code }) => codes.push(code) },
  })
  const request = { query: FOLLOW, variables: { after: last.cursor } }
  const seen = []
  client.subscribe(request, {
    next({ data: { userProgress: event } }) {
      // The client sends the request anew when it comes back.
      request.variables.after = event.cursor
      seen.push(event.number)
    },
    error: (error) => assert.fail(`${JSON.stringify(error)}`),
    complete() {},
  })
  const written = await writeAcrossRestarts(server, write)
  await until(() => seen.length >= written.length, 'the last event')
  assert.deepEqual(written, written.map((_, place) => last.number + 1 + place))
  assert.deepEqual(seen, written)
  assert.ok(codes.includes(1001) && codes.includes(1006), `${codes}`)
  await client.dispose()
})
