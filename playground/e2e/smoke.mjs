// Opens the playground in headless Chromium and runs its first example:
//   node e2e/smoke.mjs [address] [screenshot.png]
// Without an address (or with "-") it serves dist/ itself, with invented answers.
import assert from 'node:assert/strict';

import { chromium } from 'playwright-core';

import { serve } from './serve.mjs';

const [givenAddress = '-', screenshot] = process.argv.slice(2);
const own = givenAddress === '-' ? await serve() : undefined;
const address = own?.address ?? givenAddress;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});

try {
  const page = await browser.newPage({
    viewport: { width: 1440, height: 900 },
    colorScheme: process.env.COLOR_SCHEME === 'dark' ? 'dark' : 'light',
  });
  const faults = watch(page);

  const started = Date.now();
  await page.goto(address, { waitUntil: 'commit' });
  await page.locator('#preview .query').waitFor();
  assert.match(await page.locator('#preview .query').innerText(), /query Profile/, 'the page shows an example before the editor');

  await page.locator('.graphiql-query-editor .view-line').first().waitFor();
  await page.locator('#preview').waitFor({ state: 'detached' });
  console.log(`editor ready after ${Date.now() - started} ms`);

  const run = page.getByRole('button', { name: /execute query/i });
  const [request] = await Promise.all([
    page.waitForRequest((candidate) => candidate.url().endsWith('/graphql') && candidate.postData()?.includes('query Profile')),
    run.click(),
  ]);
  assert.deepEqual(request.postDataJSON().variables, { user: { handle: 'grace' } }, 'the variables of the example are sent');
  const offered = await page.locator('#credentials option').count();
  if (offered > 1) assert.match(request.headers().authorization ?? '', /^Bearer ./, 'the first credential is sent');

  await page.locator('.graphiql-response .view-line').first().waitFor();
  const answer = await page.evaluate(() => {
    const models = globalThis.__MONACO.editor.getModels();
    return JSON.parse(models.find((model) => model.uri.path.endsWith('response.json')).getValue());
  });
  assert.ok(answer.data?.user?.handle, `the answer has the user: ${JSON.stringify(answer).slice(0, 500)}`);
  assert.equal(answer.errors, undefined, 'the answer has no errors');

  // Time for the editor to mark what the schema does not know.
  await page.waitForTimeout(1500);
  assert.equal(await page.locator('.graphiql-query-editor .squiggly-error').count(), 0, 'the example fits the schema');

  const tabs = await page.getByRole('tab').allInnerTexts();
  assert.ok(tabs.length >= 5, `the examples are open as tabs: ${tabs}`);

  if (screenshot) await page.screenshot({ path: screenshot });
  assert.deepEqual(faults, [], 'no errors, no policy violations, no other hosts');
  console.log(`ok: ${address}, tabs: ${tabs.map((tab) => tab.trim()).join(', ')}`);
} finally {
  await browser.close();
  await own?.close();
}

/** Collects everything the page should not do. */
function watch(page) {
  const faults = [];
  const host = new URL(address).host;
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith('http') && url.host !== host) faults.push(`request to ${url.host}`);
  });
  page.on('requestfailed', (request) => faults.push(`failed: ${request.url()} (${request.failure()?.errorText})`));
  page.on('response', (response) => response.status() >= 400 && faults.push(`${response.status()}: ${response.url()}`));
  page.on('pageerror', (error) => faults.push(`uncaught: ${error.message}`));
  // A violation of the Content-Security-Policy is reported as an error on the console.
  page.on('console', (message) => message.type() === 'error' && faults.push(`console: ${message.text()}`));
  return faults;
}
