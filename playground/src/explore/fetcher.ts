import type { Fetcher } from '@graphiql/toolkit';
import { getOperationAST } from 'graphql';
import { createClient } from 'graphql-sse';

/** The bearer token of the next request; `undefined` is anonymous. */
export type CurrentToken = () => string | undefined;

type Params = Parameters<Fetcher>[0];

/** Runs queries and mutations by POST and subscriptions as server-sent events, both with the same headers. */
export function createFetcher(endpoint: string, currentToken: CurrentToken): Fetcher {
  return (params, options) => {
    const headers = requestHeaders(currentToken(), options?.headers);
    const operation = options?.documentAST && getOperationAST(options.documentAST, params.operationName);
    return operation?.operation === 'subscription' ? subscribe(endpoint, params, headers) : post(endpoint, params, headers);
  };
}

/** The headers of one request: an entry of the editor's headers tab wins over the chosen credential. */
export function requestHeaders(token: string | undefined, fromEditor: Record<string, unknown> = {}): Headers {
  const headers = new Headers();
  if (token !== undefined) headers.set('Authorization', `Bearer ${token}`);
  for (const [name, value] of Object.entries(fromEditor)) headers.set(name, String(value));
  return headers;
}

async function post(endpoint: string, params: Params, headers: Headers) {
  headers.set('Accept', 'application/graphql-response+json, application/json');
  headers.set('Content-Type', 'application/json');
  const response = await fetch(endpoint, { method: 'POST', headers, body: JSON.stringify(params) });
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`The server answered ${response.status} ${response.statusText}: ${text || 'nothing'}`);
  }
}

function subscribe(endpoint: string, { query, variables, operationName }: Params, headers: Headers) {
  const client = createClient({ url: endpoint, headers: Object.fromEntries(headers), retryAttempts: 0 });
  return client.iterate<Record<string, unknown>, Record<string, unknown>>({ query, variables, ...(operationName == null ? {} : { operationName }) });
}
