// Starts a server over a database of its own with demo data, and stops it again.
// WAYMARK_BINARY names the program; without it the debug build is taken.

import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const binary = process.env.WAYMARK_BINARY ?? new URL('../../target/debug/waymark', import.meta.url).pathname

export async function start() {
  const directory = await mkdtemp(join(tmpdir(), 'waymark-clients-'))
  const env = {
    PATH: process.env.PATH,
    WAYMARK_DATABASE_URL: `sqlite://${join(directory, 'clients.db')}`,
    WAYMARK_JWT_SECRET: 'a secret of these tests, long enough for HS256',
    WAYMARK_LISTEN: '127.0.0.1:0',
  }
  const waymark = async (...words) => (await run(binary, words, { cwd: directory, env })).stdout.trim()
  await waymark('migrate')
  await waymark('demo')

  const server = spawn(binary, ['serve'], { cwd: directory, env, stdio: ['ignore', 'inherit', 'pipe'] })
  const url = await new Promise((resolve, reject) => {
    let said = ''
    server.stderr.on('data', (chunk) => {
      said += chunk
      const address = said.match(/Serving on (http:\S+?)\/?\s/)
      if (address) resolve(address[1])
    })
    server.on('exit', (code) => reject(new Error(`the server ended with ${code}: ${said}`)))
  })
  return {
    url,
    waymark,
    async stop() {
      const ended = new Promise((resolve) => server.once('exit', resolve))
      server.kill('SIGTERM')
      await ended
      await rm(directory, { recursive: true })
    },
  }
}
