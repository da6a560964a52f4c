// The operator's page in a browser, over a real server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { accessible, fits, launch, leave, picture, visit } from './browser.mjs';
import { serve, tryIt } from './server.mjs';

let server;
let browser;

before(async () => {
  [server, browser] = await Promise.all([tryIt(), launch()]);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const open = async (tab, options) => {
  const page = await visit(browser, server.address, '/admin', options);
  await page.getByRole('link', { name: tab, exact: true }).click();
  return page;
};

const find = async (page, handle) => {
  await page.getByLabel('Handle, id or account').fill(handle);
  await page.locator('.choices').getByRole('button', { name: new RegExp(`^${handle}\\b`) }).click();
  await page.locator('.figure-credits').waitFor();
};

test('only an admin gets in', async () => {
  const page = await visit(browser, server.address, '/admin', { as: 'app' });
  await page.getByRole('heading', { name: 'For operators' }).waitFor();
  await accessible(page);
  await page.getByLabel('View as').selectOption('admin');
  await page.getByRole('link', { name: 'Seasons' }).waitFor();
  await leave(page);
});

test('a user is found, and seen as two sides see them', async () => {
  const page = await open('Users');
  await find(page, 'grace');
  assert.match(await page.locator('.figure-credits').innerText(), /^\d/);
  await page.getByRole('button', { name: 'As the public' }).click();
  await page.locator('.figure-credits', { hasText: 'private' }).waitFor();
  await page.getByLabel('Handle, id or account').fill('ada');
  await page.locator('.choices').getByRole('button', { name: /^ada\b/ }).click();
  await page.getByRole('button', { name: 'As the public' }).click();
  await page.getByText('The public sees nobody here.').waitFor();
  await leave(page);
});

test('grant, block, lift and verify go through the public mutations, and refusals are shown', async () => {
  const page = await open('Users');
  await find(page, 'grace');
  const credits = () => page.locator('.figure-credits').innerText().then((text) => Number(text.replaceAll(',', '')));
  const before = await credits();
  const grant = page.getByRole('form', { name: 'Grant credits' });
  await grant.getByLabel('Amount').fill('2.5');
  await grant.getByRole('button').click();
  await page.getByText('Granted 2.5 credits.').waitFor();
  await page.locator('.figure-credits', { hasText: String(before + 2.5) }).waitFor();

  await page.locator('.rows li').filter({ hasText: '2.5 credits granted' }).filter({ hasText: 'by ' }).waitFor();

  for (const [amount, words] of [['-1', /An amount is more than 0/], ['ten', /^Expected a decimal number/]]) {
    await grant.getByLabel('Amount').fill(amount);
    await grant.getByRole('button').click();
    await page.locator('.notice.bad').filter({ hasText: words }).waitFor();
  }

  const block = page.getByRole('form', { name: 'Block' });
  await block.getByLabel('Reason').fill('Disputed purchase');
  await block.getByRole('button').click();
  const question = page.getByRole('dialog', { name: 'Block Grace?' });
  await accessible(page);
  await question.getByRole('button', { name: 'Leave it as it is' }).click();
  assert.equal(await page.getByText('Claiming is blocked: Disputed purchase').count(), 0, 'it was asked first');
  await block.getByRole('button').click();
  await question.getByRole('button', { name: 'Block' }).click();
  await page.getByText('Claiming is blocked: Disputed purchase').first().waitFor();
  await accessible(page);
  await picture(page, 'admin');
  await page.getByRole('button', { name: 'Lift the block Disputed purchase' }).click();
  await page.getByText('The block is lifted.').waitFor();
  await page.getByText('Claiming is blocked: Disputed purchase').first().waitFor({ state: 'detached' });

  const unlock = page.getByRole('form', { name: 'Unlock an achievement' });
  await unlock.getByLabel('Achievement').fill('no-such-thing');
  await unlock.getByRole('button').click();
  await page.getByText('UNKNOWN_ACHIEVEMENT').waitFor();
  await unlock.getByLabel('Achievement').fill('14402-01');
  await unlock.getByRole('button').click();
  await page.getByText(/^(Unlocked|It was unlocked already)\.$/).waitFor();

  await page.getByRole('form', { name: 'Check the numbers' }).getByRole('button').click();
  await page.getByText('1 user checked, no difference.').waitFor();
  // A request that cannot be read has this status.
  await leave(page, { forgive: /status of 400/ });
});

test('a season is paused and resumed once the preview is confirmed', async () => {
  const page = await open('Seasons');
  const row = page.locator('.season-row').filter({ hasText: 'Rising Tide' });
  await row.getByRole('button', { name: 'Pause…' }).click();
  const dialog = page.getByRole('dialog', { name: /Pause Season 2/ });
  await dialog.getByText('Active → Paused').waitFor();
  assert.match(await dialog.innerText(), /Users taking part\s+\d+/);
  await accessible(page);
  await dialog.getByRole('button', { name: 'Leave it as it is' }).click();
  await row.getByText('Active').waitFor();
  await row.getByRole('button', { name: 'Pause…' }).click();
  await dialog.getByRole('button', { name: 'Do it' }).click();
  await row.getByText('Paused').waitFor();
  await row.getByRole('button', { name: 'Resume…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Do it' }).click();
  await row.getByText('Active').waitFor();
  await row.locator('summary').click();
  await row.getByLabel('Title').fill('Season 2: High Tide');
  await row.getByRole('button', { name: 'Preview…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Do it' }).click();
  await page.locator('.season-row strong', { hasText: 'High Tide' }).waitFor();
  await leave(page);
});

test('a key is issued, works, and is revoked', async () => {
  const page = await open('Keys');
  await page.getByLabel('Name').fill('arcade');
  await page.getByRole('button', { name: 'Issue' }).click();
  const secret = await page.locator('.secret code').innerText();
  assert.match(secret, /^wmk_/);
  const scopes = async () => {
    const answer = await fetch(`${server.address}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${secret}` },
      body: JSON.stringify({ query: '{ viewer { scopes } }' }),
    });
    return (await answer.json()).data?.viewer.scopes;
  };
  // The form offers the least first.
  assert.deepEqual(await scopes(), ['PROFILES_READ']);
  await page.getByRole('button', { name: 'Revoke… arcade' }).click();
  await page.getByRole('dialog', { name: 'Revoke arcade?' }).getByRole('button', { name: 'Leave it as it is' }).click();
  assert.deepEqual(await scopes(), ['PROFILES_READ'], 'it was asked first');
  await page.getByRole('button', { name: 'Revoke… arcade' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
  await page.getByText('The key is revoked.').waitFor();
  // Credentials are kept for a second.
  await page.waitForTimeout(1_200);
  assert.equal(await scopes(), undefined);
  await accessible(page);
  await page.getByRole('link', { name: 'Audit log' }).click();
  await page.locator('.rows li').first().waitFor();
  await accessible(page);
  await leave(page);
});

test('the catalogue is searched by title, on a phone too', async () => {
  const page = await open('Catalogue', { width: 360, height: 780, scheme: 'dark' });
  await page.getByLabel('Title of a game or resource').fill('sort');
  await page.getByText('Quicksort in Depth').first().waitFor();
  await fits(page);
  await accessible(page);
  await leave(page);
});

test('the address has the tab and the user, for later and for others', async () => {
  const page = await open('Users');
  await find(page, 'grace');
  assert.match(page.url(), /\/admin\?tab=users&user=user:[0-9A-Z]{26}$/);
  await page.reload();
  await page.locator('.figure-credits').waitFor();
  await page.getByRole('heading', { name: 'Grace' }).waitFor();
  await page.getByRole('link', { name: 'Keys' }).click();
  assert.match(page.url(), /\?tab=keys$/);
  await page.getByRole('heading', { name: 'API keys' }).waitFor();
  await page.goBack();
  await page.getByRole('heading', { name: 'Grace' }).waitFor();
  await leave(page);
});

test('the audit log says what stands elsewhere', async () => {
  const fresh = await tryIt();
  try {
    const page = await visit(browser, fresh.address, '/admin?tab=audit-log');
    await page.getByText(/What is done for a user, such as grants and blocks, stands in the history of that user/).waitFor();
    assert.equal(await page.getByText('Nothing has been done yet').count(), 0);
    await leave(page);
  } finally {
    await fresh.stop();
  }
});

test('a server to which visitors bring their own key tells where it goes', async () => {
  const earnest = await serve();
  try {
    const page = await visit(browser, earnest.address, '/admin');
    await page.getByText(/Put it into the field “Token” in the bar above/).waitFor();
    await page.getByLabel('Token').fill(await earnest.waymark('key', 'create', '--name', 'ops', '--scope', 'admin'));
    await page.getByRole('button', { name: 'Use' }).click();
    await page.getByRole('link', { name: 'Seasons' }).waitFor();
    await leave(page);
  } finally {
    await earnest.stop();
  }
});
