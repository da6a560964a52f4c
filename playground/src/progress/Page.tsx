import { useEffect, useMemo } from 'react';
import { type CombinedError, useQuery } from 'urql';

import { read } from '../gql/fragment-masking';
import {
  EventListFragmentDoc, GoalItemFragmentDoc, HeroPartFragmentDoc, HistoryPartFragmentDoc, type ProgressPageQuery, ProgressPageDocument,
  SeasonPartFragmentDoc, type UserBy, ViewerPartFragmentDoc,
} from '../gql/graphql';
import { whyMissing } from '../shared/errors';
import { NotShown, Panel } from '../shared/Parts';
import { useAnnouncer } from '../shared/Announcer';
import { words } from '../shared/words';
import type { Acting } from './acting';
import { CollectionsPanel } from './CollectionsPanel';
import { CreditsPanel } from './CreditsPanel';
import { GamesPanel } from './GamesPanel';
import { Hero } from './Hero';
import { HistoryPanel } from './HistoryPanel';
import { LearningPanel } from './LearningPanel';
import { SeasonPanel } from './SeasonPanel';
import { Loading, Trouble } from './Trouble';
import { useLive } from './useLive';
import { useNow } from './useNow';

/** Everything about one user. */
export function Page({ handle }: { handle: string }) {
  const by: UserBy = useMemo(() => ({ handle }), [handle]);
  const [{ data, error, fetching }, ask] = useQuery({ query: ProgressPageDocument, variables: { user: by } });
  const retry = () => ask({ requestPolicy: 'network-only' });
  if (data?.user != null) return <Progress key={data.user.id} by={by} data={data} error={error} onRetry={retry} />;
  if (fetching) return <Loading />;
  return <Trouble handle={handle} error={error} onRetry={retry} />;
}

interface ProgressProps {
  by: UserBy;
  data: ProgressPageQuery;
  error: CombinedError | undefined;
  onRetry: () => void;
}

function Progress({ by, data, error, onRetry }: ProgressProps) {
  const { tell, announcer } = useAnnouncer();
  const viewer = read(ViewerPartFragmentDoc, data.viewer);
  const now = useNow(viewer.now);
  const user = data.user as NonNullable<ProgressPageQuery['user']>;
  const { displayName } = read(HeroPartFragmentDoc, user);
  const isOwn = viewer.user?.id === user.id;
  const mayAct = isOwn || viewer.scopes.some((scope) => scope === 'ADMIN' || scope === 'PROGRESS_WRITE');
  const acting: Acting = { mayAct, isOwn, name: displayName, tell };
  const isStranger = OWN_FIELDS.every((field) => whyMissing(error, 'user', field) === 'private');
  const status = useLive(by, read(EventListFragmentDoc, read(HistoryPartFragmentDoc, user).history)?.pageInfo.startCursor ?? undefined, isStranger);
  useEffect(() => {
    document.title = `${displayName} · Waymark`;
  }, [displayName]);
  const part = (field: string) => ({ user, missing: whyMissing(error, 'user', field), onRetry });
  const goals = read(SeasonPartFragmentDoc, user).season?.goals;
  const titleOf = (goal: string) => read(GoalItemFragmentDoc, goals?.find((one) => one.goal.id === goal))?.title;
  return (
    <main className="page">
      <Hatch />
      <Hero user={user} status={status} acting={acting} />
      <Sections hidden={isStranger ? OWN_SECTIONS : []} />
      <div className="panels">
        {!isStranger && (
          <>
            <SeasonPanel {...part('season')} acting={acting} now={now} />
            <CreditsPanel {...part('credits')} now={now} titleOf={titleOf} />
            <LearningPanel {...part('studyPlanInstances')} />
          </>
        )}
        <GamesPanel {...part('games')} by={by} now={now} />
        <CollectionsPanel {...part('collections')} by={by} acting={acting} />
        {isStranger
          ? <Panel title="Season, credits, learning, history" className="wide"><NotShown why="private" /></Panel>
          : <HistoryPanel {...part('history')} by={by} now={now} />}
      </div>
      {announcer}
    </main>
  );
}

/** What only the user and apps may see. */
const OWN_FIELDS = ['season', 'credits', 'studyPlanInstances', 'history'];
const OWN_SECTIONS = ['season', 'credits', 'learning', 'history'];

const SECTIONS = ['season', 'credits', 'learning', 'games', 'collections', 'history'];

/** The way to each part of the page. */
function Sections({ hidden }: { hidden: readonly string[] }) {
  return (
    <nav className="sections" aria-label="Parts of this page">
      {SECTIONS.filter((section) => !hidden.includes(section)).map((section) => <a key={section} href={`#${section}`}>{words(section)}</a>)}
    </nav>
  );
}

/** The pattern that tells areas apart for those who do not see their colours. */
function Hatch() {
  return (
    <svg className="defs" width="0" height="0" aria-hidden="true">
      <pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <rect className="hatch" width="2" height="6" />
      </pattern>
    </svg>
  );
}
