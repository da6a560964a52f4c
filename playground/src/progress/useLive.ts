import { useEffect, useState } from 'react';
import { useClient } from 'urql';

import { NewestEventDocument, ProgressChangedDocument, type UserBy } from '../gql/graphql';
import { renew } from '../shared/client';
import { isUnreachable, whyMissing } from '../shared/errors';
import { follow, type LiveStatus } from '../shared/live';
import { useSession } from '../shared/SessionContext';
import { ALL_PARTS, type Parts, partsTouched, PUBLIC_PARTS } from './parts';

/** Events that come together are answered by one request. */
const GATHER_MS = 80;
/** And in a stream of events the page asks no more often than this, so that it stays within a visitor's rate. */
const SPACING_MS = 1_500;
const POLL_MS = 4_000;
const POLL_PUBLIC_MS = 20_000;

/** Keeps the page up to date: by the subscription, and where that is not allowed by asking now and then. */
export function useLive(user: UserBy, enabled: boolean): LiveStatus {
  const client = useClient();
  const session = useSession();
  const [status, setStatus] = useState<LiveStatus>('connecting');

  useEffect(() => {
    if (!enabled) return undefined;
    let stopped = false;
    let gathering: ReturnType<typeof setTimeout> | undefined;
    let poll: ReturnType<typeof setTimeout> | undefined;
    const kinds = new Set<string | null>();

    const refresh = (parts: Parts) =>
      client.query(ProgressChangedDocument, { user, ...parts }, { requestPolicy: 'network-only' }).toPromise();

    let last = -SPACING_MS;
    const gather = (kind: string | null) => {
      kinds.add(kind);
      gathering ??= setTimeout(() => {
        gathering = undefined;
        last = performance.now();
        const parts = partsTouched(kinds);
        kinds.clear();
        void refresh(parts);
      }, Math.max(GATHER_MS, last + SPACING_MS - performance.now()));
    };

    let newest: number | undefined;
    const ask = async () => {
      if (document.hidden) return POLL_MS;
      const { data, error } = await client.query(NewestEventDocument, { user }, { requestPolicy: 'network-only' }).toPromise();
      if (stopped) return POLL_MS;
      if (isUnreachable(error)) {
        setStatus('offline');
        newest = undefined;
        return POLL_MS / 4;
      }
      setStatus('polling');
      if (whyMissing(error, 'user') === 'private') {
        await refresh(PUBLIC_PARTS);
        return POLL_PUBLIC_MS;
      }
      const number = data?.user?.history?.nodes[0]?.number;
      if (number !== newest) await refresh(ALL_PARTS);
      newest = number;
      return POLL_MS;
    };
    const keepAsking = async () => {
      const pause = await ask();
      if (!stopped) poll = setTimeout(() => void keepAsking(), pause);
    };

    const leave = follow({
      endpoint: session.endpoint,
      user: { ...user },
      token: () => session.token,
      renew: () => renew(session),
      onEvent: ({ kind }) => gather(kind),
      onConnected: () => void refresh(ALL_PARTS),
      onStatus: (next) => {
        if (stopped) return;
        setStatus(next);
        if (next === 'polling') void keepAsking();
      },
    });
    return () => {
      stopped = true;
      leave();
      clearTimeout(gathering);
      clearTimeout(poll);
    };
  }, [client, session, user, enabled]);

  return status;
}
