import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Plugin } from 'vite';

/** Which page stands at an address; the server's own routes say the same. */
export function pageAt(path: string): string | undefined {
  if (/^\/u\/[^/]+$/.test(path) && path !== '/u/index.html') return '/u/index.html';
  return path === '/admin' ? '/admin.html' : undefined;
}

/** Answers the addresses of the pages while developing. */
export function addresses(): Plugin {
  const rewrite = (request: IncomingMessage, _: ServerResponse, next: () => void) => {
    const [path = '/'] = (request.url ?? '/').split('?');
    request.url = pageAt(path) ?? request.url;
    next();
  };
  return {
    name: 'addresses',
    configureServer: (server) => void server.middlewares.use(rewrite),
    configurePreviewServer: (server) => void server.middlewares.use(rewrite),
  };
}
