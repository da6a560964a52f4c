// Does what docs/kit.md says, to the letter, in a clean directory, and looks at what comes of it.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { accessible, fits, launch, picture } from './browser.mjs';
import { tryIt } from './server.mjs';

const run = promisify(execFile);
const repository = fileURLToPath(new URL('../..', import.meta.url));
const page = await readFile(join(repository, 'docs/kit.md'), 'utf8');

/** What the registry had when this was written: what is published later is no fault of ours. */
const BEFORE = '2026-11-30';
const MINUTES = 10;

let directory;
let server;
let browser;
let dev;
let port;

before(async () => {
  port = await freePort();
  directory = await mkdtemp(join(tmpdir(), 'waymark-kit-'));
  await symlink(repository, join(directory, 'waymark'));
  [server, browser] = await Promise.all([tryIt({ WAYMARK_CORS_ORIGINS: `http://localhost:${port}` }), launch()]);
});

after(async () => {
  if (dev !== undefined) process.kill(-dev.pid);
  await browser?.close();
  await server?.stop();
  await rm(directory, { recursive: true, force: true });
});

/** The code of the section that tells how the kit is taken over, in its order. */
function blocks() {
  const section = page.slice(page.indexOf('## Take it over'), page.indexOf('## Good to know'));
  return [...section.matchAll(/^ {3}```(\S+) ?(\S*)\n([\s\S]*?)^ {3}```$/gm)].map(([, language, what, code]) => ({ language, what, code: code.replaceAll(/^ {3}/gm, '') }));
}

const here = (text) => text.replaceAll('http://127.0.0.1:8080', server.address).replaceAll(':5173', `:${port}`);

test('a fresh project that follows docs/kit.md compiles, and looks right', { timeout: MINUTES * 60_000 }, async () => {
  const { grace } = await server.tokens();
  let folder = directory;
  const steps = blocks();
  assert.deepEqual(steps.filter(({ what }) => what !== '').map(({ what }) => what), ['server', 'dev']);
  for (const { language, what, code } of steps) {
    if (what !== '') continue;
    if (language === 'sh') folder = await shell(here(code), folder);
    else await keep(here(code), folder);
  }
  await writeFile(join(folder, '.env.local'), `VITE_TOKEN=${grace}\n`);
  dev = spawn('npx', ['vite', '--port', String(port), '--strictPort'], { cwd: folder, detached: true, stdio: 'ignore' });
  await look(`http://localhost:${port}/`);
});

async function look(address) {
  for (const width of [390, 1280, 1440]) {
    const context = await browser.newContext({ viewport: { width, height: 900 } });
    const visited = await context.newPage();
    const faults = [];
    visited.on('pageerror', (error) => faults.push(error.message));
    visited.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
    for (let tries = 0; ; tries += 1) {
      try {
        await visited.goto(address);
        break;
      } catch (error) {
        if (tries > 60) throw error;
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
    await visited.getByRole('heading', { name: 'Grace' }).waitFor({ timeout: 60_000 });
    await visited.locator('.card').first().waitFor();
    await picture(visited, `kit-${width}`);
    await fits(visited);
    if (width === 1280) await accessible(visited);
    const style = (selector, property) => visited.locator(selector).first().evaluate((element, name) => getComputedStyle(element)[name], property);
    // What has no colour is drawn in black.
    for (const [selector, property] of [['.steps-track', 'fill'], ['.steps-done', 'fill'], ['.ring-track', 'stroke'], ['.ring-arc', 'stroke'], ['.credit-badge circle', 'fill'], ['.medal', 'fill']]) {
      assert.doesNotMatch(await style(selector, property), /^(rgb\(0, 0, 0\)|none)$/, selector);
    }
    assert.equal(await style('.ring-track', 'fill'), 'none');
    assert.notEqual(await style('.goal-claim', 'backgroundColor'), 'rgba(0, 0, 0, 0)', 'the button looks like one');
    assert.equal(await style('.kit-hidden', 'position'), 'absolute');
    assert.equal(await style('.goal-list', 'listStyleType'), 'none');
    const bars = await visited.evaluate(() => [...document.querySelectorAll('.steps')].map((bar) => Math.round(bar.getBoundingClientRect().width)));
    assert.equal(new Set(bars).size, 1, `bars are of one length: ${bars}`);
    if (width === 1440) {
      await visited.getByRole('button', { name: 'Claim the reward of Quiz Night' }).click();
      await visited.getByRole('button', { name: 'Claim the reward of Quiz Night' }).waitFor({ state: 'detached' });
    }
    assert.deepEqual(faults, []);
    await context.close();
  }
}

/** Carries commands out as a shell does; answers the folder in which they end. */
async function shell(commands, folder) {
  const env = { ...process.env, CI: '1', npm_config_yes: 'true', npm_config_before: BEFORE, npm_config_audit: 'false', npm_config_fund: 'false' };
  try {
    const { stdout } = await run('bash', ['-euc', `${commands}\npwd`], { cwd: folder, env, maxBuffer: 1 << 26 });
    return stdout.trimEnd().split('\n').at(-1);
  } catch (error) {
    throw new Error(`${commands}\n${error.stdout}\n${error.stderr}`);
  }
}

/** Writes a file, whose name is the comment it begins with. */
async function keep(code, folder) {
  const name = /^(?:\/\/|#) (\S+)\n/.exec(code)?.[1];
  assert.ok(name !== undefined, `a file of docs/kit.md has no name: ${code.slice(0, 80)}`);
  await mkdir(dirname(join(folder, name)), { recursive: true });
  await writeFile(join(folder, name), code);
}

async function freePort() {
  const probe = createServer();
  await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port: free } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return free;
}
