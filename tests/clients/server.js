// Starts a server over a database of its own with demo data, and stops it again.
// WAYMARK_BINARY names the program; without it the debug build is taken.

import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const binary = process.env.WAYMARK_BINARY ?? new URL('../../target/debug/waymark', import.meta.url).pathname

export async function start(settings = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'waymark-clients-'))
  const env = {
    PATH: process.env.PATH,
    WAYMARK_DATABASE_URL: `sqlite://${join(directory, 'clients.db')}`,
    WAYMARK_JWT_SECRET: 'a secret of these tests, long enough for HS256',
    WAYMARK_SIGNED_FETCH: 'true',
    WAYMARK_LISTEN: '127.0.0.1:0',
    ...settings,
  }
  const waymark = async (...words) => (await run(binary, words, { cwd: directory, env })).stdout.trim()
  await waymark('migrate')
  await waymark('demo')

  let server
  const begin = async () => {
    server = spawn(binary, ['serve'], { cwd: directory, env, stdio: ['ignore', 'inherit', 'pipe'] })
    const url = await new Promise((resolve, reject) => {
      let said = ''
      server.stderr.on('data', (chunk) => {
        said += chunk
        const address = said.match(/Serving on (http:\S+?)\/?\s/)
        if (address) resolve(address[1])
      })
      server.on('exit', (code) => reject(new Error(`the server ended with ${code}: ${said}`)))
    })
    // The next one is found at the same place.
    env.WAYMARK_LISTEN = new URL(url).host
    return url
  }
  const end = async (signal) => {
    const ended = new Promise((resolve) => server.once('exit', resolve))
    server.kill(signal)
    return ended
  }
  return {
    url: await begin(),
    waymark,
    /** Ends the process, by SIGTERM unless another signal is given; its exit code. */
    end: (signal = 'SIGTERM') => end(signal),
    begin,
    async stop() {
      if (server.exitCode === null && server.signalCode === null) await end('SIGTERM')
      await rm(directory, { recursive: true })
    },
  }
}
