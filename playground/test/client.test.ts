import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { parse, print } from 'graphql';
import { afterEach, expect, it } from 'vitest';

import { ProgressPageDocument } from '../src/gql/graphql';
import documents from '../src/gql/persisted-documents.json' with { type: 'json' };
import { createClient, createPlainClient } from '../src/shared/client';
import { Session } from '../src/shared/session';

let server: Server | undefined;

afterEach(() => server?.close());

const NOTHING = { getItem: () => null, setItem: () => undefined, removeItem: () => undefined };
const user = { handle: 'grace' };

it('a server that runs listed documents only gets the id of one, and no text', async () => {
  const { endpoint, bodies } = await recording();
  const session = new Session({ mode: 'serve', graphql: endpoint, credentials: [], trustedDocuments: true }, NOTHING);
  for (const create of [createClient, createPlainClient]) {
    await create(session).query(ProgressPageDocument, { user }).toPromise();
    const body = bodies.pop();
    expect(body?.['query']).toBeUndefined();
    expect(Object.keys(documents)).toContain(body?.['documentId']);
    expect(body?.['variables']).toEqual({ user });
  }
});

it('any other server gets the text, word for word as it is listed', async () => {
  const { endpoint, bodies } = await recording();
  const session = new Session({ mode: 'serve', graphql: endpoint, credentials: [] }, NOTHING);
  await createClient(session).query(ProgressPageDocument, { user }).toPromise();
  const [body] = bodies;
  expect(body?.['documentId']).toBeUndefined();
  const inOneOrder = (text: string) => print({ kind: parse(text).kind, definitions: [...parse(text).definitions].sort((a, b) => (print(a) < print(b) ? -1 : 1)) });
  const listed = Object.values(documents).map(inOneOrder);
  expect(listed.map(sorted)).toContain(sorted(inOneOrder(String(body?.['query']))));
});

/** The words of a text in the order of the alphabet: the list sorts the fields of its documents. */
function sorted(text: string): string {
  return text.split(/\s+/).sort().join(' ');
}

async function recording() {
  const bodies: Record<string, unknown>[] = [];
  const listening = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    bodies.push(JSON.parse(text));
    response.setHeader('Content-Type', 'application/json').end('{"data":{"viewer":null,"user":null}}');
  });
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  return { endpoint: `http://127.0.0.1:${(listening.address() as AddressInfo).port}/graphql`, bodies };
}
