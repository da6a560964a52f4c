// HTTP/2 without encryption by Node's own client, and answers as its fetch takes them.

import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { brotliDecompressSync } from 'node:zlib'
import { start } from './server.js'

let server

before(async () => {
  server = await start()
})

after(() => server?.stop())

test('many requests go over one connection', async () => {
  const connection = connect(server.url)
  const ask = async (count) => {
    const request = connection.request({ ':method': 'POST', ':path': '/graphql', 'content-type': 'application/json' })
    request.end(JSON.stringify({ query: `{ games(first: ${count}) { nodes { id } } }` }))
    return JSON.parse(await text(request)).data.games.nodes.length
  }
  const counts = Array.from({ length: 40 }, (_, at) => at + 1)
  assert.deepEqual(await Promise.all(counts.map(ask)), counts)
  connection.close()
})

test('a body that is too long is answered', async () => {
  const connection = connect(server.url)
  const request = connection.request({ ':method': 'POST', ':path': '/graphql', 'content-type': 'application/json' })
  request.on('error', () => {})
  const status = new Promise((resolve) => request.on('response', (headers) => resolve(headers[':status'])))
  request.end(' '.repeat(6 << 20))
  assert.equal(await status, 413)
  connection.destroy()
})

test('what is compressed is read, and says what it depends on', async () => {
  const plain = await fetch(`${server.url}/schema.graphql`, { headers: { 'Accept-Encoding': 'identity' } })
  const schema = await plain.text()
  const { hostname, port } = new URL(server.url)
  const { get } = await import('node:http')
  const answer = await new Promise((resolve) => get({ hostname, port, path: '/schema.graphql', headers: { 'Accept-Encoding': 'br' } }, resolve))
  const pieces = []
  for await (const piece of answer) pieces.push(piece)
  assert.equal(answer.headers['content-encoding'], 'br')
  assert.match(answer.headers.vary, /accept-encoding/)
  assert.equal(brotliDecompressSync(Buffer.concat(pieces)).toString(), schema)
  // Whatever fetch takes by itself.
  assert.equal(await (await fetch(`${server.url}/schema.graphql`)).text(), schema)
  const again = await fetch(`${server.url}/schema.graphql`, { headers: { 'If-None-Match': plain.headers.get('etag') } })
  assert.equal(again.status, 304)
})
