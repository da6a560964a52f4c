import { useState } from 'react';
import { useQuery } from 'urql';

import { OneUserDocument, type OneUserQuery, type ProfileSide } from '../gql/graphql';
import { Picture } from '../kit';
import { by, sentence } from '../progress/events';
import type { Tell } from '../shared/Announcer';
import { messageOf, whyMissing } from '../shared/errors';
import { Empty, Panel } from '../shared/Parts';
import { ROOT } from '../shared/root';
import { moment } from '../shared/time';
import { count, credits, number } from '../shared/words';
import { blockText, UserActions } from './UserActions';

const SIDES: readonly { side: ProfileSide; label: string }[] = [
  { side: 'SELF', label: 'As the user' },
  { side: 'PUBLIC', label: 'As the public' },
];

/** One user as one of two sides sees them, and what can be done. */
export function UserView({ id, tell }: { id: string; tell: Tell }) {
  const [side, setSide] = useState<ProfileSide>('SELF');
  const [{ data, error, fetching }, ask] = useQuery({ query: OneUserDocument, variables: { user: { id }, as: side } });
  const user = data?.user;
  const missing = (field: string) => whyMissing(error, 'user', field);
  return (
    <div className="stack">
      <Panel title={user?.displayName ?? 'One user'} aside={(
        <div className="sides" role="group" aria-label="Look at the user">
          {SIDES.map((one) => <button key={one.side} type="button" className="button" aria-pressed={one.side === side} onClick={() => setSide(one.side)}>{one.label}</button>)}
        </div>
      )}>
        {user != null ? <Facts user={user} missing={missing} />
          : fetching ? <p className="soft" role="status">Loading…</p>
            : <Empty>{error !== undefined ? messageOf(error) : side === 'PUBLIC' ? 'The public sees nobody here.' : 'This user is gone.'}</Empty>}
      </Panel>
      <UserActions id={id} name={user?.displayName ?? 'this user'} blocks={user?.credits?.blocks ?? []} tell={tell} onDone={() => ask({ requestPolicy: 'network-only' })} />
      {user?.history != null && <Latest events={user.history.nodes} />}
    </div>
  );
}

type Events = NonNullable<NonNullable<OneUserQuery['user']>['history']>['nodes'];

/** What happened to the user last, and who did it. */
function Latest({ events }: { events: Events }) {
  return (
    <Panel title="History">
      {events.length === 0 && <Empty>Nothing has happened yet.</Empty>}
      <ul className="rows">
        {events.map(({ number: at, kind, actor, subject, changes, occurredAt }) => (
          <li key={at}>
            <span><strong>{sentence(kind, changes)}</strong><br /><code className="soft">{subject}</code></span>
            <span className="soft">{by(actor)}<br /><time dateTime={occurredAt}>{moment(occurredAt)}</time></span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Facts({ user, missing }: { user: NonNullable<OneUserQuery['user']>; missing: (field: string) => string | undefined }) {
  const or = (field: string, text: string) => (missing(field) === 'private' ? 'private' : text);
  return (
    <>
      <dl className="facts">
        <div><dt>Handle</dt><dd><Picture address={user.avatarUrl} className="avatar">{null}</Picture><a href={`${ROOT}u/${user.handle}`}>{user.handle}</a>, {user.profileVisibility.toLowerCase()}</dd></div>
        <div><dt>Id</dt><dd><code>{user.id}</code></dd></div>
        <div><dt>Accounts</dt><dd>{or('accounts', user.accounts?.map(({ platform, id }) => `${platform} ${id}`).join(', ') || 'none')}</dd></div>
        <div><dt>Season</dt><dd>{or('season', user.season == null ? 'none' : `${user.season.season.title}, ${user.season.hasStartedProgram ? 'takes part' : 'not joined'}`)}</dd></div>
        <div><dt>Credits</dt><dd className="figure-credits">{or('credits', credits(user.credits?.available.credits ?? '0'))}</dd></div>
        <div><dt>Goals now</dt><dd>{or('goals', user.goals?.map(({ title, completedSteps, totalSteps }) => `${title} ${number(completedSteps)}/${number(totalSteps)}`).join(', ') || 'none')}</dd></div>
        <div><dt>Games</dt><dd>{count(user.games?.totalCount ?? 0, 'game')}: {user.games?.nodes.map(({ title, numAchieved, numPossible }) => `${title} ${number(numAchieved)}/${number(numPossible)}`).join(', ')}</dd></div>
        <div><dt>Collections</dt><dd>{user.collections?.nodes.map(({ title, collectedCount, size }) => `${title} ${number(collectedCount)}/${number(size)}`).join(', ')}</dd></div>
      </dl>
      {user.credits?.blocks.map(({ number: at, scope, reason }) => <p key={at} className="warning">{blockText({ scope, reason })}</p>)}
    </>
  );
}
