// What both have in common: two processes that share a port, the key that every request must show, and settings from outside.
import cluster from 'node:cluster'

const WORKERS = 2

/** Where the data is. */
export const database = process.env.RIVAL_DATABASE_URL
const shown = `Bearer ${process.env.RIVAL_KEY}`

/** Whether a request shows the key. */
export const knows = (request) => request.headers.authorization === shown

/**
 * Does `prepare` once and `serve` in each process, which gives the port that it listens on; then says so on stderr.
 */
export async function run(prepare, serve) {
  if (cluster.isWorker) {
    process.send(await serve())
    return
  }
  await prepare()
  let ready = 0
  cluster.on('message', (_, port) => {
    if (++ready === WORKERS) console.error(`Serving on http://127.0.0.1:${port}/`)
  })
  cluster.on('exit', () => process.exit(1))
  for (let worker = 0; worker < WORKERS; worker++) cluster.fork()
}
