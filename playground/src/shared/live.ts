import { createClient, NetworkError } from 'graphql-sse';

/** How the page learns of changes. */
export type LiveStatus = 'connecting' | 'live' | 'polling' | 'still' | 'offline';

/** What the subscription tells of a change. */
export interface LiveEvent {
  readonly number: number;
  readonly kind: string | null;
  readonly cursor?: string;
}

export interface Following {
  readonly endpoint: string;
  /** The names of the user, as `UserBy` has them. */
  readonly user: Readonly<Record<string, unknown>>;
  /** The cursor of the last event that is known; what came later is told first. Without it, only what is to come. */
  readonly after?: string | undefined;
  /** Asked anew for every connection, because tokens change. */
  readonly token: () => string | undefined;
  /** Takes new credentials after a refusal; says whether it is worth another try. */
  readonly renew: () => Promise<boolean>;
  readonly onEvent: (event: LiveEvent) => void;
  readonly onStatus: (status: LiveStatus) => void;
  /** A connection stands. `complete`: nothing was missed, because it goes on behind a known event. */
  readonly onConnected: (complete: boolean) => void;
}

const SUBSCRIPTION = /* GraphQL */ `
  subscription UserProgress($user: UserBy!, $after: String) {
    userProgress(user: $user, after: $after) { number kind cursor }
  }
`;

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

/** The server ended the subscription, and said why. */
export class Ended extends Error {
  constructor(message: string, readonly code: unknown) {
    super(message);
  }
}

/** How long to wait before the next attempt: twice as long each time, with a bound, and never all pages at once. */
export function backoff(attempt: number, random: () => number = Math.random): number {
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt) * (0.5 + random() / 2);
}

/** What the end of a connection means for the next one. */
export function verdict(error: unknown): 'refused' | 'credential' | 'again' {
  const status = error instanceof NetworkError ? (error as { response?: { status?: number } }).response?.status : undefined;
  if (status === 401 || (error instanceof Ended && error.code === 'INVALID_CREDENTIAL')) return 'credential';
  if (status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429) return 'refused';
  return error instanceof NetworkError || error instanceof TypeError ? 'again' : 'refused';
}

/**
 * Follows the changes of a user by the subscription until the returned function is called: connects anew after every
 * loss, from the last event on. Where the server does not allow it, the status says `polling`, and it ends.
 */
export function follow(following: Following): () => void {
  const stop = new AbortController();
  void run(following, stop.signal);
  return () => stop.abort();
}

async function run(following: Following, stopped: AbortSignal): Promise<void> {
  let after = following.after;
  let attempt = 0;
  let renewed = false;
  following.onStatus('connecting');
  while (!stopped.aborted) {
    const connected = () => {
      attempt = 0;
      renewed = false;
      following.onStatus('live');
      following.onConnected(after !== undefined);
    };
    const remember = (cursor: string | undefined) => (after = cursor ?? after);
    try {
      await listen(following, after, stopped, connected, remember);
    } catch (error) {
      const next = verdict(error);
      if (stopped.aborted) return;
      if (next === 'credential' && !renewed) {
        renewed = true;
        if (await following.renew()) continue;
      }
      if (next !== 'again') return following.onStatus('polling');
    }
    if (stopped.aborted) return;
    following.onStatus('offline');
    await pause(backoff(attempt++), stopped);
  }
}

/** Resolves when the server ends the stream, and rejects when the connection is lost or was refused. */
function listen(
  { endpoint, user, token, onEvent }: Following,
  after: string | undefined,
  stopped: AbortSignal,
  onConnected: () => void,
  remember: (cursor: string | undefined) => void,
): Promise<void> {
  const bearer = token();
  let isStream = true;
  const client = createClient({
    url: endpoint,
    // A server that has no subscriptions answers with an error that is no stream.
    async fetchFn(...request: Parameters<typeof fetch>) {
      const response = await fetch(...request);
      isStream = !response.ok || (response.headers.get('Content-Type') ?? '').startsWith('text/event-stream');
      return response;
    },
    headers: bearer === undefined ? {} : { Authorization: `Bearer ${bearer}` },
    retryAttempts: 0,
    on: { connected: () => isStream && onConnected() },
  });
  return new Promise<void>((resolve, reject) => {
    const release = client.subscribe<{ userProgress: LiveEvent }>(
      { query: SUBSCRIPTION, variables: after === undefined ? { user } : { user, after } },
      {
        next({ data, errors }) {
          const [fault] = errors ?? [];
          if (fault !== undefined) reject(new Ended(fault.message, fault.extensions?.['code']));
          else if (data != null) {
            remember(data.userProgress.cursor);
            onEvent(data.userProgress);
          }
        },
        error: (error) => reject(isStream ? error : new Error('the server has no subscriptions')),
        complete: () => (isStream ? resolve() : reject(new Error('the server has no subscriptions'))),
      },
    );
    stopped.addEventListener('abort', release, { once: true });
  }).finally(() => client.dispose());
}

function pause(ms: number, stopped: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    stopped.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}
