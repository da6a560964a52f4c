import { ROOT } from './root';

/** A credential that the server offers for trying things out. */
export interface Credential {
  readonly name: string;
  readonly title: string;
  readonly token: string;
}

/** What the server says about itself in `playground.json`. */
export interface PlaygroundConfig {
  /** `try`: demo credentials are offered. `serve`: the visitor brings a token. */
  readonly mode: 'try' | 'serve';
  /** Address of the GraphQL endpoint, on the origin of the page. */
  readonly graphql: string;
  readonly credentials: readonly Credential[];
  /** Whether the server runs the documents on its list only, by their ids. */
  readonly trustedDocuments?: boolean;
  /** Where pictures of other hosts may come from; `*` stands for all. */
  readonly imageOrigins?: readonly string[];
}

/** What holds when the server says nothing: visitors bring a token, and the address is the usual one. */
export const ANONYMOUS_CONFIG: PlaygroundConfig = { mode: 'serve', graphql: `${ROOT}graphql`, credentials: [] };

const TIMEOUT_MS = 5_000;

/** Reads `playground.json` of the server. Rejects when it is missing, late or malformed. */
export async function loadConfig(): Promise<PlaygroundConfig> {
  const response = await fetch(`${ROOT}playground.json`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return parseConfig(await response.json(), document.baseURI);
}

/** Checks the shape of `playground.json`; `base` is the address of the page. */
export function parseConfig(value: unknown, base: string): PlaygroundConfig {
  if (!isRecord(value)) throw new TypeError('it is not an object');
  const { mode, graphql, credentials } = value;
  if (mode !== 'try' && mode !== 'serve') throw new TypeError('`mode` is neither "try" nor "serve"');
  if (typeof graphql !== 'string') throw new TypeError('`graphql` is not a string');
  // A token must never be sent to another host.
  if (new URL(graphql, base).origin !== new URL(base).origin) throw new TypeError('`graphql` is on another origin');
  if (!Array.isArray(credentials) || !credentials.every(isCredential)) {
    throw new TypeError('`credentials` is not a list of name, title and token');
  }
  const imageOrigins = value['imageOrigins'];
  return {
    mode,
    graphql,
    credentials,
    ...(value['trustedDocuments'] === true ? { trustedDocuments: true } : {}),
    ...(Array.isArray(imageOrigins) ? { imageOrigins: imageOrigins.filter((origin) => typeof origin === 'string') } : {}),
  };
}

/** Whether the policy of the page lets pictures from this address be loaded. */
export function allowsPicture({ imageOrigins = [] }: Pick<PlaygroundConfig, 'imageOrigins'>, address: string, base: string): boolean {
  const origin = originOf(address, base);
  return origin !== undefined && (imageOrigins.includes('*') || [base, ...imageOrigins].some((allowed) => originOf(allowed) === origin));
}

/** The origin of an address of the web. */
function originOf(address: string, base?: string): string | undefined {
  try {
    const { origin, protocol } = new URL(address, base);
    return protocol === 'https:' || protocol === 'http:' ? origin : undefined;
  } catch {
    return undefined;
  }
}

function isCredential(value: unknown): value is Credential {
  return isRecord(value) && ['name', 'title', 'token'].every((key) => typeof value[key] === 'string');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
