// Starts a Waymark over a database of its own and stops it again. WAYMARK_BINARY names the program; without it the
// debug build is taken.
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const binary = process.env.WAYMARK_BINARY ?? new URL('../../target/debug/waymark', import.meta.url).pathname;

/** As `cargo run` does: demo data and ready credentials. `settings` come on top. */
export async function tryIt(settings = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'waymark-pages-'));
  const url = 'sqlite://waymark-demo.db';
  return begin(directory, [], { WAYMARK_DATABASE_URL: url, ...settings });
}

/** A server in earnest, to which visitors bring their own token. */
export async function serve() {
  const directory = await mkdtemp(join(tmpdir(), 'waymark-pages-'));
  const env = { WAYMARK_DATABASE_URL: 'sqlite://waymark.db', WAYMARK_JWT_SECRET: 'a secret of these tests, long enough for HS256' };
  const waymark = command(directory, env);
  await waymark('migrate');
  await waymark('demo', '--users', '20');
  return begin(directory, ['serve'], env);
}

function command(directory, env) {
  return async (...words) => (await run(binary, words, { cwd: directory, env: { PATH: process.env.PATH, ...env } })).stdout.trim();
}

async function begin(directory, words, env) {
  let { child, address } = await listen(directory, words, env, 0);
  const port = new URL(address).port;
  return {
    address,
    waymark: command(directory, env),
    /** Puts these records into the database, beside the running server. */
    async importRecords(records) {
      await writeFile(join(directory, 'records.ndjson'), records.map((record) => `${JSON.stringify(record)}\n`).join(''));
      await this.waymark('import', 'records.ndjson');
    },
    /** The credentials that the server offers, by name. */
    async tokens() {
      const { credentials } = await (await fetch(`${address}/playground.json`)).json();
      return Object.fromEntries(credentials.map(({ name, token }) => [name, token]));
    },
    async halt() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    },
    /** Starts it again on the same port. */
    async resume() {
      ({ child } = await listen(directory, words, env, port));
    },
    async stop() {
      await this.halt();
      await rm(directory, { recursive: true });
    },
  };
}

async function listen(directory, words, env, port) {
  const child = spawn(binary, words, {
    cwd: directory,
    env: { PATH: process.env.PATH, ...env, WAYMARK_LISTEN: `127.0.0.1:${port}` },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  const address = await new Promise((resolve, reject) => {
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
      const found = /(?:Serving on|Open the playground:) (http:\S+?)\/?\s/.exec(said);
      if (found) resolve(found[1]);
    });
    child.on('exit', (code) => reject(new Error(`the server ended with ${code}: ${said}`)));
  });
  return { child, address };
}
