// The npm package graphql-sse, unmodified, in distinct connections mode.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createClient } from 'graphql-sse'
import { FOLLOW, newest, pause, until, writeAcrossRestarts, writer } from './live.js'
import { start } from './server.js'

let server, key, url

before(async () => {
  server = await start({ WAYMARK_KEEP_ALIVE_SECONDS: '1' })
  key = await server.waymark('key', 'create', '--name', 'live', '--scope', 'progress:write')
  url = server.url + '/graphql'
})

after(() => server.stop())

const client = (token = key, options = {}) =>
  createClient({ url, headers: { Authorization: `Bearer ${token}` }, retryAttempts: 0, ...options })

async function all(results) {
  const list = []
  for await (const result of results) list.push(result)
  return list
}

test('a query is one answer, and what is refused is an answer with errors', async () => {
  const answers = await all(client().iterate({ query: '{ viewer { kind } }' }))
  assert.deepEqual(answers.map(({ data }) => data), [{ viewer: { kind: 'APP' } }])
  for (const [query, code] of [
    ['{ nothing }', 'GRAPHQL_VALIDATION_FAILED'],
    ['subscription { userProgress(user: { handle: "nobody" }) { number } }', 'BAD_USER_INPUT'],
  ]) {
    const [{ errors }, ...more] = await all(client().iterate({ query }))
    assert.equal(errors[0].extensions.code, code)
    assert.deepEqual(more, [])
  }
})

test('who is not let in is told by the status', async () => {
  await assert.rejects(all(client('nonsense').iterate({ query: '{ viewer { kind } }' })), (error) => error.response.status === 401)
})

test('events come as they happen, also after silence', async () => {
  const write = writer(server.url, key)
  const events = client().iterate({ query: FOLLOW })
  const first = events.next()
  await pause(2500)
  const number = await write()
  assert.equal((await first).value.data.userProgress.number, number)
  await events.return()
})

test('a key that is revoked ends the stream with an error', async () => {
  const short = await server.waymark('key', 'create', '--name', 'short', '--scope', 'progress:read')
  const results = all(client(short).iterate({ query: FOLLOW }))
  await pause(300)
  await server.waymark('key', 'revoke', short)
  const [{ errors }] = await results
  assert.equal(errors[0].extensions.code, 'INVALID_CREDENTIAL')
})

test('a client that comes back to a restarted server misses nothing and sees nothing twice', async () => {
  const write = writer(server.url, key)
  await write()
  const last = await newest(server.url, key)
  const request = { query: FOLLOW, variables: { after: last.cursor } }
  const seen = []
  let over = false
  const following = (async () => {
    while (!over) {
      // A stream that was cut off is begun anew behind the last event.
      await new Promise((resolve) => {
        const stop = client().subscribe(request, {
          next({ data: { userProgress: event } }) {
            request.variables.after = event.cursor
            seen.push(event.number)
          },
          error: resolve,
          complete: resolve,
        })
        void until(() => over, 'the end').then(stop, () => {})
      })
      await pause(50)
    }
  })()
  const written = await writeAcrossRestarts(server, write)
  await until(() => seen.length >= written.length, 'the last event')
  over = true
  await following
  assert.deepEqual(written, written.map((_, place) => last.number + 1 + place))
  assert.deepEqual(seen, written)
})
