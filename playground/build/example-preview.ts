import { readFileSync } from 'node:fs';

import type { Plugin } from 'vite';

import { highlight } from './highlight';

const PLACEHOLDER = '<!-- example -->';

/** Writes one example into the page at build time: there is something to read before any script runs. */
export function examplePreview(file: string): Plugin {
  return {
    name: 'example-preview',
    transformIndexHtml: (html) => html.replace(PLACEHOLDER, () => highlight(readFileSync(file, 'utf8').trimEnd())),
  };
}
