// The editor in a browser, over a real server.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';

import { accessible, fits, launch, leave, picture, visit } from './browser.mjs';
import { tryIt } from './server.mjs';

let server;
let browser;

before(async () => {
  [server, browser] = await Promise.all([tryIt(), launch()]);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const ready = async (page) => {
  await page.locator('.graphiql-query-editor .view-line').first().waitFor();
  await page.locator('#preview').waitFor({ state: 'detached' });
};

const answerOf = (page) => page.waitForFunction(() => {
  const model = globalThis.__MONACO.editor.getModels().find(({ uri }) => uri.path.endsWith('response.json'));
  try {
    return JSON.parse(model.getValue());
  } catch {
    return undefined;
  }
}).then((handle) => handle.jsonValue());

const run = (page) => page.getByRole('button', { name: /execute query/i }).click();

test('the first run answers the whole profile', async () => {
  const page = await visit(browser, server.address, '/');
  await ready(page);
  await page.locator('#allowed a').waitFor();
  await run(page);
  const { data, errors } = await answerOf(page);
  assert.equal(errors, undefined);
  assert.equal(data.user.handle, 'grace');
  // Time for the editor to mark what the schema does not know.
  await page.waitForTimeout(1_500);
  assert.equal(await page.locator('.graphiql-query-editor .squiggly-error').count(), 0, 'the example fits the schema');
  await page.setViewportSize({ width: 1440, height: 900 });
  await picture(page, 'playground');
  await page.getByRole('link', { name: 'Progress page' }).click();
  await page.getByRole('heading', { level: 1, name: 'Grace' }).waitFor();
  await leave(page);
});

test('an example opens in a tab of its own and runs as the credential it is meant for', async () => {
  const page = await visit(browser, server.address, '/', { width: 1440 });
  await ready(page);
  await page.getByRole('button', { name: /^RecordSteps/ }).click();
  await page.getByRole('tab', { name: 'RecordSteps' }).waitFor();
  await page.getByLabel('Run as').selectOption('app');
  await page.getByText('reads and records everybody’s progress.').waitFor();
  await run(page);
  const { data, errors } = await answerOf(page);
  assert.equal(errors, undefined);
  assert.equal(data.recordGoalSteps.results[0].id, 'goal:rising-tide-2');
  await leave(page);
});

test('documentation, history and the explorer open beside the editor', async () => {
  const page = await visit(browser, server.address, '/', { width: 1440 });
  await ready(page);
  for (const name of [/documentation explorer/i, /show history/i, /graphiql explorer/i]) {
    await page.getByRole('button', { name }).click();
    await page.getByRole('button', { name: new RegExp(name.source.replace('show', '(show|hide)'), 'i') }).first().waitFor();
  }
  await page.locator('.graphiql-explorer-root, .doc-explorer-contents').first().waitFor();
  await leave(page);
});

test('every panel, and every page of the documentation, begins at its top', async () => {
  const page = await visit(browser, server.address, '/', { width: 1440, height: 700 });
  await ready(page);
  const box = page.locator('.graphiql-plugin');
  const scrolled = () => box.evaluate((panel) => panel.scrollTop);
  await box.evaluate((panel) => panel.scrollTo(0, 500));
  assert.ok(await scrolled() > 0, 'the examples are longer than the panel');
  await page.getByRole('button', { name: /documentation explorer/i }).click();
  await page.locator('.graphiql-doc-explorer').waitFor();
  assert.equal(await scrolled(), 0);
  await box.evaluate((panel) => panel.scrollTo(0, 500));
  await page.locator('.graphiql-doc-explorer').getByRole('link', { name: 'Mutation', exact: true }).first().click();
  await page.locator('.graphiql-doc-explorer-title').filter({ hasText: 'Mutation' }).waitFor();
  assert.equal(await scrolled(), 0);
  await leave(page);
});

test('what Live follows is done in a second window, as it says', async () => {
  const first = await visit(browser, server.address, '/', { width: 1440 });
  await ready(first);
  await first.getByRole('button', { name: /^Live .*second window/ }).click();
  await first.getByRole('tab', { name: 'Live' }).waitFor();
  await run(first);
  const second = await visit(browser, server.address, '/', { width: 1440 });
  await ready(second);
  await second.getByRole('button', { name: /^ClaimGoal/ }).click();
  await second.getByRole('tab', { name: 'ClaimGoal' }).waitFor();
  await run(second);
  const { data } = await answerOf(second);
  assert.equal(data.claimGoals.results[0].status, 'CLAIMED');
  const seen = await answerOf(first);
  assert.equal(seen.data.userProgress.kind, 'GOAL_CLAIMED');
  await leave(first);
  await leave(second);
});

test('every example does on the demo data what it says', async () => {
  const folder = new URL('../src/explore/examples/', import.meta.url);
  const fresh = await tryIt();
  try {
    const tokens = await fresh.tokens();
    for (const file of (await readdir(folder)).filter((name) => name.endsWith('.graphql')).toSorted()) {
      const query = await readFile(new URL(file, folder), 'utf8');
      if (/^subscription/m.test(query)) continue;
      const variables = JSON.parse(await readFile(new URL(file.replace(/graphql$/, 'json'), folder), 'utf8').catch(() => '{}'));
      const as = /\.(\w+)\.graphql$/.exec(file)?.[1] ?? 'grace';
      const answer = await fetch(`${fresh.address}/graphql`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${tokens[as]}` },
        body: JSON.stringify({ query, variables }),
      });
      const { data, errors } = await answer.json();
      assert.equal(errors, undefined, `${file}: ${JSON.stringify(errors)}`);
      assert.deepEqual(complaints(data), [], file);
    }
  } finally {
    await fresh.stop();
  }
});

/** What an answer refuses, and things that are not there. */
function complaints(value, path = '') {
  if (value === null || typeof value !== 'object') return [];
  const entries = Object.entries(value);
  return entries.flatMap(([key, inner]) => {
    const here = `${path}.${key}`;
    if (key === 'userErrors' && inner.length > 0) return [`${here}: ${inner[0].message}`];
    if ((key === 'error' || (key === 'title' && path !== '')) && (key === 'error' ? inner !== null : inner === null)) return [`${here}: ${JSON.stringify(inner)}`];
    if (/^\.(nodes|users)\.\d+$/.test(here) && inner === null) return [`${here} is null`];
    return complaints(inner, here);
  });
}

test('the example is there before the editor, which comes by itself', async () => {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  let comes;
  const held = new Promise((resolve) => { comes = resolve; });
  await page.route(/monaco/, async (route) => {
    await held;
    await route.continue();
  });
  await page.goto(server.address, { waitUntil: 'commit' });
  await page.locator('#preview .query').waitFor();
  assert.equal(await page.locator('.graphiql-query-editor').count(), 0);
  comes();
  await ready(page);
  await context.close();
});

test('the editor fits a phone, and axe-core finds nothing serious', async () => {
  const phone = await visit(browser, server.address, '/', { width: 360, height: 780 });
  await ready(phone);
  await fits(phone);
  await leave(phone);
  for (const scheme of ['light', 'dark']) {
    const page = await visit(browser, server.address, '/', { width: 1440, scheme });
    await ready(page);
    await page.locator('#allowed a').waitFor();
    // The editor itself is a work of its own.
    await accessible(page, ['.graphiql-editors', '.graphiql-response', '.graphiql-toolbar', '.graphiql-sessions', '.graphiql-sidebar']);
    await leave(page);
  }
});
