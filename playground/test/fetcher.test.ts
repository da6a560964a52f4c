import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { parse } from 'graphql';
import { afterEach, expect, it } from 'vitest';

import { createFetcher, requestHeaders } from '../src/explore/fetcher';

let server: Server | undefined;

afterEach(() => server?.close());

it('an anonymous request has no Authorization header', () => {
  expect(requestHeaders(undefined).has('Authorization')).toBe(false);
});

it('the chosen credential is sent as a bearer token', () => {
  expect(requestHeaders('abc').get('Authorization')).toBe('Bearer abc');
});

it('an entry of the headers tab wins, whatever its case', () => {
  const headers = requestHeaders('abc', { authorization: 'Bearer other', 'X-Trace': 1 });
  expect(headers.get('Authorization')).toBe('Bearer other');
  expect(headers.get('x-trace')).toBe('1');
});

it('a query is answered by one POST', async () => {
  const endpoint = await serve(({ method, headers }, response) => {
    response.end(JSON.stringify({ data: { method, authorization: headers.authorization } }));
  });
  const answer = await createFetcher(endpoint, () => 'abc')({ query: '{ a }' });
  expect(answer).toEqual({ data: { method: 'POST', authorization: 'Bearer abc' } });
});

it('an answer that is not JSON is reported with its status', async () => {
  const endpoint = await serve((_, response) => response.writeHead(502).end('no server'));
  await expect(createFetcher(endpoint, () => undefined)({ query: '{ a }' })).rejects.toThrow('502 Bad Gateway: no server');
});

it('a subscription is read as server-sent events, with the credential', async () => {
  const endpoint = await serve(({ headers }, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    for (const n of [1, 2]) {
      response.write(`event: next\ndata: ${JSON.stringify({ data: { n, as: headers.authorization } })}\n\n`);
    }
    response.end('event: complete\ndata:\n\n');
  });
  const query = 'subscription Numbers { n }';
  const events = await createFetcher(endpoint, () => 'abc')({ query, operationName: 'Numbers' }, { documentAST: parse(query) });
  const received = [];
  for await (const event of events as AsyncIterable<unknown>) received.push(event);
  expect(received).toEqual([1, 2].map((n) => ({ data: { n, as: 'Bearer abc' } })));
});

/** Starts a server that answers every request so; resolves to its address. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const listening = createServer(answer);
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(listening.address() as AddressInfo).port}/graphql`;
}
