// Headless Chromium, and what no page may ever do.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
}

/**
 * A page of a visitor of its own. `as` is the name of the credential to choose, '' for nobody. Its `faults` must be
 * empty in the end; a test that stops the server forgives what comes of it.
 */
export async function visit(browser, address, path, { as, width = 1280, height = 900, scheme = 'light' } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme });
  const page = await context.newPage();
  if (as !== undefined) await page.addInitScript((name) => sessionStorage.setItem('waymark:as', sessionStorage.getItem('waymark:as') ?? name), as);
  page.faults = watch(page, address);
  await page.goto(address + path);
  return page;
}

function watch(page, address) {
  const faults = [];
  const { host } = new URL(address);
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith('http') && url.host !== host) faults.push(`request to ${url.host}`);
  });
  page.on('pageerror', (error) => faults.push(`uncaught: ${error.message}`));
  // A violation of the Content-Security-Policy is reported as an error on the console.
  page.on('console', (message) => {
    // The page of a profile that not everybody sees has this status, and shows it to those who do.
    const isProfile = /\/u\/\w+$/.test(message.location().url) && message.text().includes('status of 404');
    if (message.type() === 'error' && !isProfile) faults.push(`console: ${message.text()}`);
  });
  return faults;
}

/** Closes a visitor's page, of which nothing may have been wrong. */
export async function leave(page, { forgive } = {}) {
  const faults = page.faults.filter((fault) => !forgive?.test(fault));
  await page.context().close();
  assert.deepEqual(faults, [], 'no errors, no violation of the policy, no other host');
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Fails when axe-core finds a serious violation. */
export async function accessible(page, exclude = []) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate((without) => globalThis.axe.run({ exclude: without }), exclude);
  const serious = violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 160)).join(' | ')}`);
  assert.deepEqual(serious, [], `axe-core on ${page.url()}`);
}

/** Fails when the page is wider than its window. */
export async function fits(page) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= window, `${page.url()} is ${wide} wide in a window of ${window}`);
}

/** Keeps a picture of the page in the folder that SCREENSHOTS names, for the documentation. */
export async function picture(page, name) {
  const folder = process.env.SCREENSHOTS;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled' });
}
