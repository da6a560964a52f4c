// The progress page in a browser, over a real server.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
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
const upToDate = (page) => page.locator('.live-live, .live-polling, .live-still').waitFor();

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
  await second.locator('.ledger li').filter({ hasText: 'Goal reward: Quiz Night' }).waitFor();
  assert.equal(await second.locator('.timeline').filter({ hasText: 'by app' }).count(), 0, 'the lines do not all name the app');
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

test('what an operator does is told about the user, and not to them', async () => {
  const page = await visit(browser, server.address, '/u/newton', { as: 'admin' });
  await page.getByLabel('Seen by').selectOption('MEMBERS');
  await page.getByText('Newton’s games and collections are shown to members now.').waitFor();
  await page.getByLabel('Seen by').selectOption('PUBLIC');
  await page.getByText('Newton’s games and collections are public now.').waitFor();
  assert.equal(await page.getByText('Only me and apps').count(), 0);
  await leave(page);
});

test('bars of goals are of one length, with a button beside them or not', async () => {
  for (const width of [390, 1280, 1440]) {
    const page = await visit(browser, server.address, '/u/grace', { width });
    await shown(page);
    const widths = await page.evaluate(() => [...document.querySelectorAll('.goal-list')].map((list) => [...list.querySelectorAll('.steps')].filter((bar) => bar.checkVisibility()).map((bar) => Math.round(bar.getBoundingClientRect().width))));
    for (const ofList of widths) assert.equal(new Set(ofList).size <= 1, true, `${width}: ${ofList}`);
    assert.ok(widths.flat().length > 5);
    await fits(page);
    await leave(page);
  }
});

test('nothing stands beside nothing: the parts fill the page, and each is no higher than what is in it', async () => {
  await server.importRecords(album());
  for (const width of [1280, 1440]) {
    const page = await visit(browser, server.address, '/u/grace', { width });
    await shown(page);
    const [season, credits, learning] = await page.evaluate(() => ['season', 'credits', 'learning'].map((id) => document.getElementById(id).getBoundingClientRect().toJSON()));
    assert.ok(season.width > credits.width * 2, 'the season is as wide as the page');
    assert.equal(Math.round(credits.top), Math.round(learning.top));
    assert.ok(Math.abs(credits.height - learning.height) < 360, `${credits.height} beside ${learning.height}`);
    await leave(page);
  }
  const page = await visit(browser, server.address, '/u/album', { as: '' });
  await page.getByRole('heading', { name: 'A game without a platform' }).waitFor();
  const { height, rows } = await page.locator('.games').evaluate((box) => ({ height: box.clientHeight, rows: box.querySelector('ul').clientHeight }));
  assert.ok(height === rows && height < 220, `two games take ${height} px`);
  assert.match(await page.locator('.game-head').filter({ hasText: 'without a platform' }).innerText(), /\n\d+ months ago$/);
  assert.equal(await page.locator('.portrait').evaluate((portrait) => getComputedStyle(portrait).clipPath), 'inset(0px round 22px)');
  await leave(page);
});

test('no text runs out of what it stands in, at any width', async () => {
  for (const width of [390, 1280, 1440]) {
    const page = await visit(browser, server.address, '/u/album', { as: '', width });
    await shown(page);
    await page.locator('.card').first().waitFor();
    await fits(page);
    const out = await page.evaluate(() => [...document.querySelectorAll('.card, .award, .collection summary, .hero, .game')]
      .filter((box) => box.scrollWidth > box.clientWidth + 1).map((box) => `${box.className}: ${box.textContent}`));
    assert.deepEqual(out, []);
    await leave(page);
  }
});

test('on a phone one gets from part to part', async () => {
  const page = await visit(browser, server.address, '/u/grace', { width: 390, height: 844 });
  await shown(page);
  const way = page.getByRole('navigation', { name: 'Parts of this page' });
  for (const part of ['History', 'Games', 'Credits']) {
    await way.getByRole('link', { name: part }).click();
    const { top, bottom, window } = await page.locator(`#${part.toLowerCase()} h2`).evaluate((heading) => ({ ...heading.getBoundingClientRect().toJSON(), window: innerHeight }));
    const below = await way.evaluate((nav) => nav.getBoundingClientRect().bottom);
    assert.ok(top >= below - 1 && bottom <= window, `${part} stands at ${top}, below ${below}`);
  }
  await leave(page);
});

test('a page of 3,289 cards is small, is asked for once, and stays quiet', async () => {
  await server.importRecords(album());
  const page = await visit(browser, server.address, '/u/album', { as: '' });
  const asked = [];
  page.on('response', (response) => response.url().endsWith('/graphql') && asked.push(response));
  const began = performance.now();
  await page.reload();
  await page.locator('.collection summary').filter({ hasText: '1,097 of 3,289 cards' }).waitFor();
  await page.locator('.card').first().waitFor();
  const took = performance.now() - began;
  const nodes = () => page.evaluate(() => document.querySelectorAll('*').length);
  console.log(`3,289 cards: shown after ${Math.round(took)} ms, ${await nodes()} nodes`);
  assert.ok(await nodes() <= 3_000);
  // What is slow on a machine that does other things too is no fault of the page; that it takes as long as with all cards would be one.
  assert.ok(took < 6_000, `${took} ms`);
  await page.waitForTimeout(7_000);
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await page.waitForTimeout(500);
  assert.equal(asked.length, 1, 'one request, and none while nothing changes');
  assert.ok((await asked[0].body()).length < 60_000);

  await page.getByRole('button', { name: 'Show all 3,289 cards' }).click();
  const wall = page.getByRole('region', { name: /^All cards of / });
  await wall.waitFor();
  await page.getByLabel('Show').last().selectOption('missing');
  await page.getByText('2,192 cards').waitFor();
  await wall.locator('.card-missing').first().waitFor();
  assert.equal(await wall.locator('.card:not(.card-missing, .loading)').count(), 0);
  await wall.evaluate((box) => { box.scrollTop = box.scrollHeight; });
  await wall.getByText('Card 3287', { exact: true }).waitFor({ timeout: 60_000 });
  assert.ok(await nodes() <= 3_000);
  await leave(page);
});

/** Two games, one without a platform, and a collection of as many cards as there are in the largest real ones, with names of every length. */
function album() {
  const cards = Array.from({ length: 3_289 }, (_, index) => index);
  const name = (index) => (index % 17 === 0 ? `Supercalifragilisticexpialidocious the ${index}th` : `Card ${index}`);
  return [
    { type: 'user', handle: 'album', visibility: 'PUBLIC', displayName: 'Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch' },
    { type: 'collection', key: 'album', name: 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft' },
    ...cards.map((index) => ({ type: 'card', key: `album-${index}`, collection: 'album', position: index, name: name(index), rarity: 'rare' })),
    ...cards.filter((index) => index % 3 === 0).map((index) => ({ type: 'ownedCard', user: 'album', card: `album-${index}`, quantity: 1_500 })),
    { type: 'game', key: 'album-1', title: 'A game without a platform' },
    { type: 'game', key: 'album-2', title: 'Pneumonoultramicroscopicsilicovolcanoconiosis', platform: 'PC' },
    ...[1, 2].flatMap((game) => [
      { type: 'achievement', key: `album-${game}-1`, game: `album-${game}`, position: 1, title: 'Deed', points: 1_500 },
      { type: 'unlock', user: 'album', achievement: `album-${game}-1`, at: new Date(Date.now() - 280 * 86_400_000).toISOString(), hardcore: true },
    ]),
  ];
}

test('pictures of listed origins are shown, and all others are drawn', async () => {
  const pictures = await pictureServer();
  const own = await tryIt({ WAYMARK_IMAGE_ORIGINS: pictures.origin });
  try {
    const at = (name) => `${pictures.origin}/${name}.svg`;
    await own.importRecords([
      { type: 'user', handle: 'pictured', visibility: 'PUBLIC', avatarUrl: at('avatar') },
      { type: 'game', key: 'pictured-1', title: 'Shown', image: at('game') },
      { type: 'game', key: 'pictured-2', title: 'Broken', image: `${pictures.origin}/gone` },
      { type: 'game', key: 'pictured-3', title: 'Elsewhere', image: 'https://pictures.invalid/a.png' },
      ...[1, 2, 3].flatMap((game) => [
        { type: 'achievement', key: `pictured-${game}`, game: `pictured-${game}`, position: 1, title: 'Deed', points: 5, badge: at('badge') },
        { type: 'unlock', user: 'pictured', achievement: `pictured-${game}`, at: '2026-03-15T14:30:00Z', hardcore: true },
      ]),
      { type: 'collection', key: 'pictured', name: 'Pictures', image: at('collection'), reward: { key: 'pictured', name: 'Frame', value: '1', image: at('reward') } },
      { type: 'card', key: 'pictured-card', collection: 'pictured', position: 1, name: 'Portrait', image: at('card') },
      { type: 'ownedCard', user: 'pictured', card: 'pictured-card', quantity: 1 },
    ]);
    const page = await visit(browser, own.address, '/u/pictured', { as: '' });
    await shown(page);
    const loaded = () => page.evaluate(() => [...document.images].filter(({ naturalWidth, src }) => naturalWidth > 0 && !src.startsWith(location.origin)).map(({ src }) => new URL(src).pathname));
    await page.waitForFunction(() => [...document.images].filter(({ naturalWidth, src }) => naturalWidth > 0 && !src.startsWith(location.origin)).length >= 6);
    assert.deepEqual([...new Set(await loaded())].toSorted(), ['/avatar.svg', '/card.svg', '/collection.svg', '/game.svg', '/reward.svg']);
    for (const title of ['Broken', 'Elsewhere']) await page.locator('.game').filter({ hasText: title }).locator('svg.game-picture').waitFor();
    const faults = page.faults.filter((fault) => !fault.includes(new URL(pictures.origin).host));
    assert.deepEqual(faults.filter((fault) => !fault.includes('status of 404')), [], 'nothing else was asked for, and the policy refused nothing');
    await page.context().close();
  } finally {
    await own.stop();
    pictures.close();
  }
});

/** A host of pictures. */
async function pictureServer() {
  const listening = createServer((request, response) => {
    if (!request.url.endsWith('.svg')) return response.writeHead(404).end();
    return response.writeHead(200, { 'Content-Type': 'image/svg+xml' }).end('<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64" fill="tomato"/></svg>');
  });
  await new Promise((resolve) => listening.listen(0, '127.0.0.1', resolve));
  return { origin: `http://127.0.0.1:${listening.address().port}`, close: () => listening.close() };
}

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
