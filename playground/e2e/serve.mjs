// Serves dist/ as the Waymark server does (same Content-Security-Policy, a playground.json) with invented
// answers to GraphQL: node e2e/serve.mjs [port] [schema file]
import { createReadStream, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

import { graphql } from 'graphql';

import { inventedSchema } from './invented.mjs';

const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "worker-src 'self' blob:",
  "connect-src 'self'",
].join('; ');

const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
  '.ttf': 'font/ttf',
};

const CONFIG = {
  mode: 'try',
  graphql: '/graphql',
  credentials: [
    { name: 'grace', title: 'Grace, a player with goals and credits', token: 'token-of-grace' },
    { name: 'ada', title: 'Ada, a learner', token: 'token-of-ada' },
  ],
};

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
const schemaFile = fileURLToPath(new URL('../../schema.graphql', import.meta.url));

/** Starts the server on loopback and answers its address and a function that stops it. */
export async function serve({ port = 0, schema = schemaFile, config = CONFIG } = {}) {
  const executable = inventedSchema(readFileSync(schema, 'utf8'));
  const server = createServer((request, response) => {
    answer(request, response, executable, config).catch((error) => {
      response.writeHead(500).end(String(error));
    });
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    address: `http://127.0.0.1:${server.address().port}`,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

async function answer(request, response, schema, config) {
  const { pathname } = new URL(request.url, 'http://localhost');
  if (pathname === '/graphql') return json(response, await execute(request, schema));
  if (pathname === '/playground.json') return json(response, config);
  const file = join(dist, normalize(pathname === '/' ? '/index.html' : pathname));
  const found = await stat(file).catch(() => undefined);
  if (!file.startsWith(dist) || !found?.isFile()) return response.writeHead(404).end('not found');
  response.writeHead(200, {
    'Content-Security-Policy': CONTENT_SECURITY_POLICY,
    'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream',
    'X-Content-Type-Options': 'nosniff',
  });
  createReadStream(file).pipe(response);
}

async function execute(request, schema) {
  let body = '';
  for await (const chunk of request) body += chunk;
  const { query, variables, operationName } = JSON.parse(body);
  const result = await graphql({ schema, source: query, variableValues: variables, operationName });
  // The smoke test reads here that the chosen credential was sent.
  return { ...result, extensions: { authorization: request.headers.authorization ?? null } };
}

function json(response, value) {
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [port = '4173', schema = schemaFile] = process.argv.slice(2);
  const { address } = await serve({ port: Number(port), schema });
  console.log(address);
}
