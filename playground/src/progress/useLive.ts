import { useEffect, useRef, useState } from 'react';
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
/** A page that is come back to is asked for again when what it shows is older than this. */
const STALE_MS = 20_000;

/**
 * Keeps the page up to date behind `newest`, the cursor of the newest event that it shows: by the subscription, and where there is
 * none by asking now and then for the newest event. Strangers may ask for neither; for them the page is read again when
 * they come back to it.
 */
export function useLive(user: UserBy, newest: string | undefined, isStranger: boolean): LiveStatus {
  const client = useClient();
  const session = useSession();
  const [status, setStatus] = useState<LiveStatus>(isStranger ? 'still' : 'connecting');
  const first = useRef(newest);

  useEffect(() => {
    if (!isStranger) return undefined;
    setStatus('still');
    let read = performance.now();
    const comeBack = () => {
      if (document.hidden || performance.now() - read < STALE_MS) return;
      read = performance.now();
      void client.query(ProgressChangedDocument, { user, ...PUBLIC_PARTS }, { requestPolicy: 'network-only' }).toPromise();
    };
    document.addEventListener('visibilitychange', comeBack);
    return () => document.removeEventListener('visibilitychange', comeBack);
  }, [client, user, isStranger]);

  useEffect(() => {
    if (isStranger) return undefined;
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

    let seen = first.current;
    const ask = async () => {
      if (document.hidden) return POLL_MS;
      const { data, error } = await client.query(NewestEventDocument, { user }, { requestPolicy: 'network-only' }).toPromise();
      if (stopped) return undefined;
      if (isUnreachable(error)) {
        setStatus('offline');
        return POLL_MS / 4;
      }
      // The user has been hidden meanwhile, or the credential taken back: there is nothing to ask for any more.
      if (whyMissing(error, 'user') === 'private' || (data?.user === null && error === undefined)) {
        setStatus('still');
        await refresh(PUBLIC_PARTS);
        return undefined;
      }
      setStatus('polling');
      // What went wrong just now says nothing about what is new.
      if (error !== undefined && data?.user == null) return POLL_MS;
      const cursor = data?.user?.history?.pageInfo.startCursor ?? undefined;
      if (cursor !== seen) await refresh(ALL_PARTS);
      seen = cursor;
      return POLL_MS;
    };
    const keepAsking = async () => {
      const pause = await ask();
      if (!stopped && pause !== undefined) poll = setTimeout(() => void keepAsking(), pause);
    };

    const leave = follow({
      endpoint: session.endpoint,
      user: { ...user },
      after: first.current,
      token: () => session.token,
      renew: () => renew(session),
      onEvent: ({ kind }) => gather(kind),
      onConnected: (complete) => {
        if (!complete) void refresh(ALL_PARTS);
      },
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
  }, [client, session, user, isStranger]);

  return status;
}
