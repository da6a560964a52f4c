import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, expect, it, vi } from 'vitest';

import { follow, type Following, type LiveStatus } from '../src/shared/live';

let server: Server | undefined;
let leave: (() => void) | undefined;

afterEach(() => {
  leave?.();
  server?.closeAllConnections();
  server?.close();
});

it('events are told, after the connection has been', async () => {
  const { said } = await following((_, response) => stream(response, [1, 2]));
  await vi.waitFor(() => expect(said).toEqual(['connecting', 'live', 'connected', 'event 1', 'event 2']));
});

it('after a loss the page goes on behind the last event', async () => {
  const { said, asked } = await following((number, response) => {
    stream(response, [number]);
    if (number === 1) setTimeout(() => response.destroy(), 50);
  });
  await vi.waitFor(() => expect(said.slice(-4)).toEqual(['offline', 'live', 'connected', 'event 2']), 4_000);
  expect(asked.map(({ variables }) => variables)).toEqual([{ user: { handle: 'grace' } }, { user: { handle: 'grace' }, after: 'c1' }]);
});

it('a server that ends the stream is asked again', async () => {
  const { said } = await following((number, response) => {
    stream(response, []);
    if (number === 1) response.end('event: complete\ndata:\n\n');
  });
  await vi.waitFor(() => expect(said.filter((one) => one === 'live')).toHaveLength(2), 4_000);
});

it('a refused token is renewed once', async () => {
  const { said, asked } = await following((number, response) => {
    if (number === 1) response.writeHead(401).end('{}');
    else stream(response, []);
  }, { renew: async () => true });
  await vi.waitFor(() => expect(said.at(-1)).toBe('connected'));
  expect(asked).toHaveLength(2);
});

it('a token that has expired meanwhile is renewed', async () => {
  const { said, asked } = await following((number, response) => {
    stream(response, []);
    const errors = [{ message: 'expired', extensions: { code: 'INVALID_CREDENTIAL' } }];
    if (number === 1) response.end(`event: next\ndata: ${JSON.stringify({ errors })}\n\nevent: complete\ndata:\n\n`);
  }, { renew: async () => true });
  await vi.waitFor(() => expect(asked).toHaveLength(2));
  await vi.waitFor(() => expect(said.at(-1)).toBe('connected'));
});

it.each([
  ['has no subscriptions', (_: number, response: ServerResponse) => response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"errors":[]}')],
  ['forbids it', (_: number, response: ServerResponse) => response.writeHead(403).end('{}')],
  ['does not know the field', (_: number, response: ServerResponse) => response.writeHead(400).end('{}')],
  ['answers with errors', (_: number, response: ServerResponse) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.end(`event: next\ndata: ${JSON.stringify({ errors: [{ message: 'no' }] })}\n\nevent: complete\ndata:\n\n`);
  }],
])('where the server %s, the page goes over to asking', async (_, answer) => {
  const { said } = await following(answer);
  await vi.waitFor(() => expect(said.at(-1)).toBe('polling'));
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(said.filter((one) => one === 'offline')).toEqual([]);
});

/** Follows a server that answers its first, second, … request so; what is told is collected. */
async function following(answer: (number: number, response: ServerResponse) => void, more: Partial<Following> = {}) {
  const asked: { variables: unknown }[] = [];
  const listening = createServer(async (request: IncomingMessage, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    asked.push(JSON.parse(text));
    answer(asked.length, response);
  });
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const said: string[] = [];
  leave = follow({
    endpoint: `http://127.0.0.1:${(listening.address() as AddressInfo).port}/graphql`,
    user: { handle: 'grace' },
    token: () => 'abc',
    renew: async () => false,
    onEvent: ({ number }) => said.push(`event ${number}`),
    onStatus: (status: LiveStatus) => said.push(status),
    onConnected: () => said.push('connected'),
    ...more,
  });
  return { said, asked };
}

function stream(response: ServerResponse, numbers: number[]): void {
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  response.flushHeaders();
  for (const number of numbers) {
    response.write(`event: next\ndata: ${JSON.stringify({ data: { userProgress: { number, kind: 'GOAL_STEPS', cursor: `c${number}` } } })}\n\n`);
  }
}
