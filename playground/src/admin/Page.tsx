import { useState } from 'react';
import { useQuery } from 'urql';

import { read } from '../gql/fragment-masking';
import { ViewerPartFragmentDoc, WhoAmIDocument } from '../gql/graphql';
import { useAnnouncer } from '../shared/Announcer';
import { messageOf } from '../shared/errors';
import { Audit } from './Audit';
import { Catalogue } from './Catalogue';
import { Keys } from './Keys';
import { Seasons } from './Seasons';
import { Users } from './Users';

const TABS = ['Users', 'Seasons', 'Keys', 'Catalogue', 'Audit log'] as const;
type Tab = (typeof TABS)[number];

/** What operators do, each through the same mutations that everybody's programs use. */
export function Page() {
  const [{ data, error, fetching }, ask] = useQuery({ query: WhoAmIDocument });
  const [tab, setTab] = useState<Tab>('Users');
  const { tell, announcer } = useAnnouncer();
  const viewer = read(ViewerPartFragmentDoc, data?.viewer);
  if (viewer?.scopes.includes('ADMIN') !== true) {
    return (
      <main className="page trouble">
        <h1>{fetching ? 'One moment' : 'For operators'}</h1>
        {!fetching && <p role="alert">{error === undefined ? 'This page needs an API key with the scope admin. Choose it in the bar above.' : messageOf(error)}</p>}
        {error !== undefined && <button type="button" className="button" onClick={() => ask({ requestPolicy: 'network-only' })}>Try again</button>}
      </main>
    );
  }
  return (
    <main className="page admin">
      <h1 className="hidden">Operate</h1>
      <nav className="tabs" aria-label="Parts of this page">
        {TABS.map((name) => <button key={name} type="button" aria-current={name === tab ? 'page' : undefined} onClick={() => setTab(name)}>{name}</button>)}
      </nav>
      {tab === 'Users' && <Users tell={tell} />}
      {tab === 'Seasons' && <Seasons tell={tell} />}
      {tab === 'Keys' && <Keys tell={tell} />}
      {tab === 'Catalogue' && <Catalogue />}
      {tab === 'Audit log' && <Audit />}
      {announcer}
    </main>
  );
}
