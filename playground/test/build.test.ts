import { expect, it } from 'vitest';

import { pageAt } from '../build/addresses';
import { highlight } from '../build/highlight';
import { vendorChunk } from '../build/vendor-chunks';

it('our own modules are left to the bundler', () => {
  expect(vendorChunk('/work/playground/src/explore/main.ts')).toBeUndefined();
});

it.each([
  ['/p/node_modules/react-dom/client.js', 'react'],
  ['/p/node_modules/monaco-editor/esm/vs/editor/editor.api.js', 'monaco'],
  ['/p/node_modules/@graphiql/react/dist/index.js', 'graphiql'],
  ['/p/node_modules/a/node_modules/graphql/index.mjs', 'graphql'],
  ['\0vite/preload-helper.js', 'preload'],
  ['/p/node_modules/@urql/core/dist/urql-core.mjs', 'client'],
])('%s stands in a vendor chunk', (id, chunk) => {
  expect(vendorChunk(id)).toBe(chunk);
});

it('highlighted source is the source, escaped', () => {
  const html = highlight('# a < b\nquery Q($id: ID!) { user(by: { handle: "x&y" }) { handle } }');
  expect(html).toContain('<span class="comment"># a &lt; b</span>');
  expect(html).toContain('<span class="variable">$id</span>');
  expect(html.replace(/<[^>]+>/g, '')).toBe(
    '# a &lt; b\nquery Q($id: ID!) { user(by: { handle: &quot;x&amp;y&quot; }) { handle } }',
  );
});

it('every address of a page has its file', () => {
  expect(['/u/grace', '/admin', '/', '/u/', '/u/grace/card.svg', '/assets/a.js'].map(pageAt)).toEqual([
    '/u/index.html', '/admin.html', undefined, undefined, undefined, undefined,
  ]);
});
