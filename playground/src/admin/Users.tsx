import { useState } from 'react';
import { useQuery } from 'urql';

import { FindUsersDocument } from '../gql/graphql';
import { messageOf } from '../shared/errors';
import type { Tell } from '../shared/Announcer';
import { Empty, Panel } from '../shared/Parts';
import { dotted } from '../shared/words';
import { useDelayed } from './useDelayed';
import { UserView } from './UserView';

/** Finding users, and everything that is done to one of them. */
export function Users({ tell, chosen, onChoose }: { tell: Tell; chosen: string | undefined; onChoose: (id: string) => void }) {
  const [text, setText] = useState('');
  const wanted = useDelayed(text.trim());
  const [{ data, error, fetching }] = useQuery({ query: FindUsersDocument, variables: { text: wanted }, pause: wanted === '' });
  const found = wanted === '' ? [] : (data?.searchUsers?.nodes ?? []);
  return (
    <div className="panels">
      <Panel title="Users" className="side">
        <label className="field">Handle, id or account
          <input type="search" value={text} onChange={({ target }) => setText(target.value)} placeholder="gra" />
        </label>
        {error !== undefined && <p className="warning" role="alert">{messageOf(error)}</p>}
        {wanted !== '' && !fetching && found.length === 0 && error === undefined && <Empty>Nobody of this name.</Empty>}
        <ul className="choices">
          {found.map(({ id, handle, displayName, profileVisibility }) => (
            <li key={id}>
              <button type="button" aria-pressed={id === chosen} onClick={() => onChoose(id)}>
                <strong>{handle}</strong> <span className="soft">{dotted(displayName !== handle && displayName, profileVisibility.toLowerCase())}</span>
              </button>
            </li>
          ))}
        </ul>
        {data?.searchUsers?.pageInfo.hasNextPage === true && found.length > 0 && <p className="soft">There are more; write on to narrow it down.</p>}
      </Panel>
      {chosen === undefined ? <Panel title="One user"><Empty>Look for somebody, and choose them.</Empty></Panel> : <UserView key={chosen} id={chosen} tell={tell} />}
    </div>
  );
}
