import { type Client, Provider } from 'urql';
import { createContext, type ReactNode, useContext, useMemo, useSyncExternalStore } from 'react';

import { PictureFilter } from '../kit/Picture';
import { createClient } from './client';
import type { Session } from './session';

const Context = createContext<Session | undefined>(undefined);

export interface SessionProviderProps {
  session: Session;
  /** How a client is made for a credential. */
  create?: (session: Session) => Client;
  children: ReactNode;
}

/** Gives the parts of the page the session, and a client that belongs to the credential chosen now. */
export function SessionProvider({ session, create = createClient, children }: SessionProviderProps) {
  const version = useSyncExternalStore(session.subscribe, () => session.version);
  const client: Client = useMemo(() => create(session), [create, session, version]);
  return (
    <Context value={session}>
      <PictureFilter value={session.showsPicture}>
        <Provider value={client} key={version}>{children}</Provider>
      </PictureFilter>
    </Context>
  );
}

export function useSession(): Session {
  const session = useContext(Context);
  if (session === undefined) throw new Error('there is no session here');
  return session;
}
