import type { MouseEvent } from 'react';
import { useQuery } from 'urql';

import { read } from '../gql/fragment-masking';
import { ViewerPartFragmentDoc, WhoAmIDocument } from '../gql/graphql';
import { useAnnouncer } from '../shared/Announcer';
import { messageOf } from '../shared/errors';
import { useSession } from '../shared/SessionContext';
import { Audit } from './Audit';
import { Catalogue } from './Catalogue';
import { Keys } from './Keys';
import { Seasons } from './Seasons';
import { addressOf, type Tab, TABS, useAddress } from './useAddress';
import { Users } from './Users';

/** What operators do, each through the same mutations that everybody's programs use. */
export function Page() {
  const [{ data, error, fetching }, ask] = useQuery({ query: WhoAmIDocument });
  const { offersCredentials } = useSession();
  const [{ tab, user }, go] = useAddress();
  const { tell, announcer } = useAnnouncer();
  const viewer = read(ViewerPartFragmentDoc, data?.viewer);
  if (viewer?.scopes.includes('ADMIN') !== true) {
    return (
      <main className="page trouble">
        <h1>{fetching ? 'One moment' : 'For operators'}</h1>
        {!fetching && <p role="alert">{error === undefined ? howToEnter(offersCredentials) : messageOf(error)}</p>}
        {error !== undefined && <button type="button" className="button" onClick={() => ask({ requestPolicy: 'network-only' })}>Try again</button>}
      </main>
    );
  }
  return (
    <main className="page admin">
      <h1 className="hidden">Operate</h1>
      <nav className="tabs" aria-label="Parts of this page">
        {TABS.map((name) => <TabLink key={name} name={name} isHere={name === tab} onGo={() => go({ tab: name })} />)}
      </nav>
      {tab === 'Users' && <Users tell={tell} chosen={user} onChoose={(id) => go({ tab, user: id })} />}
      {tab === 'Seasons' && <Seasons tell={tell} />}
      {tab === 'Keys' && <Keys tell={tell} />}
      {tab === 'Catalogue' && <Catalogue />}
      {tab === 'Audit log' && <Audit />}
      {announcer}
    </main>
  );
}

/** How one becomes an operator on a server that offers credentials, or on one to which visitors bring their own. */
export function howToEnter(offersCredentials: boolean): string {
  const how = offersCredentials ? 'Choose it under “View as” in the bar above.' : 'Put it into the field “Token” in the bar above; `waymark key create --name NAME --scope admin` makes one.';
  return `This page needs an API key with the scope admin. ${how}`;
}

function TabLink({ name, isHere, onGo }: { name: Tab; isHere: boolean; onGo: () => void }) {
  const follow = (event: MouseEvent) => {
    // With a key held down it is to open elsewhere.
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    onGo();
  };
  return <a href={addressOf({ tab: name })} aria-current={isHere ? 'page' : undefined} onClick={follow}>{name}</a>;
}
