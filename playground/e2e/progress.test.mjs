// The progress page in a browser, over a real server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { accessible, fits, launch, leave, picture, visit } from './browser.mjs';
import { serve, tryIt } from './server.mjs';

const GAMES = 1_300;

let server;
let browser;

before(async () => {
  [server, browser] = await Promise.all([tryIt(), launch()]);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const credits = (page) => page.locator('.credit-amount').innerText();
const shown = (page) => page.getByRole('heading', { level: 1 }).waitFor();
const upToDate = (page) => page.locator('.live-live, .live-polling').waitFor();

test('a claim shows the credits at once, and a second browser sees it live', async () => {
  const page = await visit(browser, server.address, '/u/grace');
  const second = await visit(browser, server.address, '/u/grace');
  await Promise.all([shown(page), shown(second)]);
  // The user follows by the subscription; only strangers have to ask now and then.
  await Promise.all([page.locator('.live-live').waitFor(), second.locator('.live-live').waitFor()]);
  await picture(page, 'progress');
  await page.evaluate(() => (globalThis.isSameDocument = true));
  const before = Number(await credits(page));

  await page.getByRole('button', { name: 'Claim the reward of Quiz Night' }).click();
  await page.getByText('Claimed 4 credits.').waitFor();
  assert.equal(Number(await credits(page)), before + 4);
  assert.equal(await page.getByRole('button', { name: 'Claim the reward of Quiz Night' }).count(), 0);
  assert.ok(await page.evaluate(() => globalThis.isSameDocument), 'the page was not loaded anew');

  await second.waitForFunction((expected) => document.querySelector('.credit-amount')?.textContent === expected, String(before + 4));
  await second.locator('.timeline li').filter({ hasText: 'Reward claimed: 4 credits' }).first().waitFor();
  await leave(page);
  await leave(second);
});

test('what a game server records appears on the open page', async () => {
  const page = await visit(browser, server.address, '/u/grace');
  await shown(page);
  await upToDate(page);
  const { app } = await server.tokens();
  const steps = 'mutation { recordGoalSteps(input: { user: { handle: "grace" }, steps: [{ goalId: "rising-tide-2", add: 3 }] }) { results { completedSteps } } }';
  const answer = await fetch(`${server.address}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${app}` },
    body: JSON.stringify({ query: steps }),
  });
  const { data } = await answer.json();
  const done = data.recordGoalSteps.results[0].completedSteps;
  await page.locator('.goal').filter({ hasText: 'Explorer' }).getByText(`${done} of 30`).waitFor();
  await leave(page);
});

test('a stranger sees the public side, and the rest is kindly private', async () => {
  const page = await visit(browser, server.address, '/u/grace', { as: '' });
  await shown(page);
  await page.getByText('Only this person, and apps they use, can see it.').waitFor();
  assert.equal(await page.getByRole('alert').count(), 0);
  await page.getByRole('heading', { name: 'Emerald Sprint' }).first().waitFor();
  await leave(page);
});

test('the owner hides the profile and shows it again', async () => {
  const page = await visit(browser, server.address, '/u/grace');
  const visibility = page.getByLabel('Seen by');
  await visibility.selectOption('PRIVATE');
  await page.getByText('Your profile is private now.').waitFor();
  assert.equal((await fetch(`${server.address}/u/grace/card.svg`)).status, 404);
  const stranger = await visit(browser, server.address, '/u/grace', { as: '' });
  await stranger.getByRole('heading', { name: 'Nobody here' }).waitFor();
  await visibility.selectOption('PUBLIC');
  await page.getByText('Your games and collections are public now.').waitFor();
  await stranger.getByRole('button', { name: 'Try again' }).click();
  await stranger.getByRole('heading', { name: 'Grace' }).waitFor();
  const card = await visit(browser, server.address, '/u/grace/card.svg');
  await card.setViewportSize({ width: 520, height: 220 });
  await picture(card, 'card');
  await leave(card);
  await leave(page);
  await leave(stranger);
});

test('nobody is found, and the page says so', async () => {
  const page = await visit(browser, server.address, '/u/nobody');
  await page.getByRole('heading', { name: 'Nobody here' }).waitFor();
  await accessible(page);
  await leave(page);
});

test('a wrong token is named as such, and the right one opens the page', async () => {
  const earnest = await serve();
  try {
    const page = await visit(browser, earnest.address, '/u/grace');
    await page.getByLabel('Token').fill('nonsense');
    await page.getByRole('button', { name: 'Use' }).click();
    await page.getByRole('heading', { name: 'This token is not accepted' }).waitFor();
    await page.getByLabel('Token').fill(await earnest.waymark('token', '--user', 'grace'));
    await page.getByRole('button', { name: 'Use' }).click();
    await page.getByRole('heading', { name: 'Credits' }).waitFor();
    await page.locator('.credit-amount').waitFor();
    await leave(page, { forgive: /status of 401/ });
  } finally {
    await earnest.stop();
  }
});

test('an open page survives a restart of the server', async () => {
  const page = await visit(browser, server.address, '/u/grace');
  await shown(page);
  await upToDate(page);
  await server.halt();
  await page.locator('.live-offline').waitFor({ timeout: 15_000 });
  assert.ok(Number(await credits(page)) > 0, 'what was read stays on the page');
  await server.resume();
  await upToDate(page);
  // The server has other tokens now; the page took the new one by itself.
  const before = Number(await credits(page));
  await page.getByRole('button', { name: 'Claim the reward of Good Company' }).click();
  await page.getByText('Claimed 20 credits.').waitFor();
  assert.equal(Number(await credits(page)), before + 20);
  await leave(page, { forgive: /ERR_|status of 401|Failed to load resource/ });
});

test('1,300 games scroll smoothly, a hundred at a time', async () => {
  await server.importRecords(collector());
  const page = await visit(browser, server.address, '/u/collector', { as: '' });
  await page.getByText('1,300 games').waitFor();
  const rows = page.locator('.games li');
  assert.ok((await rows.count()) < 60, 'only the games in view are on the page');
  assert.equal(await rows.first().getAttribute('aria-setsize'), String(GAMES));
  const frames = await page.evaluate(scrollThrough);
  await page.getByRole('heading', { name: 'Game 1 of 1300', exact: true }).waitFor();
  assert.ok((await rows.count()) < 60);
  const sorted = frames.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  console.log(`${frames.length} frames, median ${median.toFixed(1)} ms, slowest ${sorted.at(-1).toFixed(1)} ms`);
  await leave(page);
});

/** Scrolls to the end, as fast as the list loads; answers how long each frame took. */
async function scrollThrough() {
  const box = document.querySelector('.games');
  const frames = [];
  let last = performance.now();
  const deadline = last + 60_000;
  while (performance.now() < deadline) {
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    frames.push(now - last);
    last = now;
    box.scrollTop += 240;
    const lowest = box.querySelector('li:last-of-type');
    if (lowest !== null && lowest.getAttribute('aria-posinset') === lowest.getAttribute('aria-setsize')) break;
  }
  return frames;
}

function collector() {
  const at = (number) => new Date(Date.UTC(2025, 0, 1) + number * 3_600_000).toISOString();
  const games = Array.from({ length: GAMES }, (_, index) => index + 1);
  return [
    { type: 'user', handle: 'collector', visibility: 'PUBLIC' },
    ...games.map((number) => ({ type: 'game', key: `many-${number}`, title: `Game ${number} of ${GAMES}`, platform: 'PC' })),
    ...games.flatMap((number) => [1, 2].map((position) => (
      { type: 'achievement', key: `many-${number}-${position}`, game: `many-${number}`, position, title: `Deed ${position}`, points: 5 }))),
    ...games.map((number) => (
      { type: 'unlock', user: 'collector', achievement: `many-${number}-1`, at: at(number), hardcore: number % 2 === 0 })),
  ];
}

test('everything can be done by the keyboard', async () => {
  const own = await visit(browser, server.address, '/u/ada');
  await shown(own);
  const reached = new Set();
  for (let presses = 0; presses < 80; presses += 1) {
    await own.keyboard.press('Tab');
    const { name, hasRing } = await own.evaluate(() => {
      const element = document.activeElement;
      return { name: element?.closest('summary')?.tagName ?? element?.getAttribute('aria-label') ?? element?.tagName, hasRing: getComputedStyle(element).outlineStyle !== 'none' };
    });
    assert.ok(hasRing, `${name} shows that it has the focus`);
    reached.add(name);
    if (name === 'List of games') break;
  }
  for (const name of ['SELECT', 'Show the dark theme', 'SUMMARY', 'List of games']) assert.ok(reached.has(name), `${name} is reached: ${[...reached]}`);
  const list = own.locator('.games');
  await own.keyboard.press('End');
  await own.waitForFunction(() => { const box = document.querySelector('.games'); return box.scrollTop + box.clientHeight >= box.scrollHeight - 2 || box.scrollHeight <= box.clientHeight; });
  assert.equal(await list.count(), 1);
  await own.getByLabel('Seen by').focus();
  await own.keyboard.press('ArrowUp');
  await own.getByText('Your games and collections are public now.').waitFor();
  await leave(own);
});

for (const scheme of ['light', 'dark']) {
  test(`axe-core finds nothing serious (${scheme})`, async () => {
    for (const [path, as] of [['/u/grace', 'grace'], ['/u/grace', ''], ['/u/mallory', 'mallory'], ['/u/newton', 'newton']]) {
      const page = await visit(browser, server.address, path, { as, scheme });
      await shown(page);
      await upToDate(page);
      await accessible(page);
      if (as === 'grace' && scheme === 'dark') await picture(page, 'progress-dark');
      await leave(page);
    }
  });
}

test('the page fits a phone', async () => {
  const page = await visit(browser, server.address, '/u/grace', { width: 360, height: 780 });
  await shown(page);
  await upToDate(page);
  await fits(page);
  await accessible(page);
  await picture(page, 'progress-phone');
  await leave(page);
});

test('the page loads without the editor', async () => {
  const page = await visit(browser, server.address, '/u/grace', { as: '' });
  await shown(page);
  const files = await page.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => name));
  assert.deepEqual(files.filter((name) => /monaco|graphiql|prettier|worker/.test(name)), []);
  await leave(page);
});
