// PostGraphile: its own schema of the view and the functions in postgraphile.sql.
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import pg from 'pg'
import { postgraphile } from 'postgraphile'
import { makePgService } from 'postgraphile/adaptors/pg'
import { grafserv } from 'postgraphile/grafserv/node'
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber'
import { database, knows, run } from './workers.mjs'

const preset = {
  extends: [PostGraphileAmberPreset],
  pgServices: [makePgService({ connectionString: database, schemas: ['postgraphile'] })],
  schema: { defaultBehavior: '-connection +list -insert -update -delete' },
  grafserv: { graphiql: false, websockets: false },
  grafast: { explain: false },
}

async function prepare() {
  const client = new pg.Client(database)
  await client.connect()
  await client.query(await readFile(new URL('postgraphile.sql', import.meta.url), 'utf8'))
  await client.end()
}

async function serve() {
  const server = createServer()
  const serving = postgraphile(preset).createServ(grafserv)
  await serving.addTo(server)
  const [answer] = server.listeners('request')
  server.removeAllListeners('request')
  server.on('request', (request, response) => {
    if (knows(request)) return answer(request, response)
    response.writeHead(401).end()
  })
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening))
  return server.address().port
}

await run(prepare, serve)
