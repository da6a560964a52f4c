// Clients in other languages. Python's packages are installed into a virtual environment under target/.

import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { scratch } from './scratch.js'
import { start } from './server.js'

const run = promisify(execFile)
const path = (name) => fileURLToPath(new URL(name, import.meta.url))
const environment = path('../../target/clients')

let server, directory

before(async () => {
  ;[server, directory] = await Promise.all([start(), scratch('python')])
})

after(async () => {
  await server?.stop()
  await rm(directory, { recursive: true })
})

test('Python: gql over HTTP and WebSockets, ariadne-codegen', async () => {
  const key = await server.waymark('key', 'create', '--name', 'python', '--scope', 'progress:write')
  await run('python3', ['-m', 'venv', environment])
  const python = `${environment}/bin/python`
  await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', path('others/requirements.txt')])
  await run(python, [path('others/clients.py'), server.url, key, directory])
})

test('Java: the client of its standard library', async () => {
  await run('java', [path('others/Clients.java'), server.url])
})
