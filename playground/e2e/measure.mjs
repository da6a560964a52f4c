// How soon the first page is there, cold: `npm run measure`. WAYMARK_BINARY should name a release build, and nothing else
// should be running. The shell with the example is meant to be there within 1.5 s, the editor within 2.5 s.
import { launch } from './browser.mjs';
import { tryIt } from './server.mjs';

const ATTEMPTS = 7;

const [server, browser] = await Promise.all([tryIt(), launch()]);
const times = [];
for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
  // A context has a cache of its own.
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  const started = Date.now();
  await page.goto(server.address, { waitUntil: 'commit' });
  await page.locator('#preview .query').waitFor();
  const shell = Date.now() - started;
  await page.locator('.graphiql-query-editor .view-line').first().waitFor();
  await page.locator('#preview').waitFor({ state: 'detached' });
  times.push({ shell, editor: Date.now() - started });
  await context.close();
}
await browser.close();
await server.stop();
const median = (name) => times.map((time) => time[name]).toSorted((a, b) => a - b)[Math.floor(ATTEMPTS / 2)];
console.table(times);
console.log(`medians: shell ${median('shell')} ms, editor ${median('editor')} ms`);
