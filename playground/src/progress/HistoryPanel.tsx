import { useMemo, useState } from 'react';
import { useQuery } from 'urql';

import { type FragmentType, read } from '../gql/fragment-masking';
import { EventListFragmentDoc, type EventRowFragment, EventRowFragmentDoc, HistoryPartFragmentDoc, MoreHistoryDocument, SubjectTitlesDocument, type UserBy } from '../gql/graphql';
import type { Missing } from '../shared/errors';
import { groupBy } from '../shared/group';
import { Empty, NotShown, Panel } from '../shared/Parts';
import { day, moment, relative } from '../shared/time';
import { areaOf, hasTitle, sentence } from './events';
import { Mark } from './Mark';

const MOST_TITLES = 100;

export interface HistoryPanelProps {
  by: UserBy;
  user: FragmentType<typeof HistoryPartFragmentDoc>;
  missing: Missing | undefined;
  now: number;
  onRetry: () => void;
}

/** Everything that happened to the user, the newest first. */
export function HistoryPanel({ by, user, missing, now, onRetry }: HistoryPanelProps) {
  const first = read(EventListFragmentDoc, read(HistoryPartFragmentDoc, user).history);
  const [after, setAfter] = useState<string[]>([]);
  const cursors = first?.pageInfo.endCursor == null ? [] : after;
  return (
    <Panel title="History" className="wide">
      {first == null ? (missing ? <NotShown why={missing} onRetry={onRetry} /> : <Empty>Nothing has happened yet.</Empty>)
        : first.nodes.length === 0 ? <Empty>Nothing has happened yet.</Empty>
          : (
            <>
              <Events events={read(EventRowFragmentDoc, first.nodes)} now={now} />
              {cursors.map((cursor, at) => (
                <Older key={cursor} by={by} after={cursor} now={now} isLast={at === cursors.length - 1} onMore={(next) => setAfter([...cursors, next])} />
              ))}
              {cursors.length === 0 && first.pageInfo.hasNextPage && <MoreButton onClick={() => setAfter([first.pageInfo.endCursor ?? ''])} />}
            </>
          )}
    </Panel>
  );
}

function MoreButton({ onClick }: { onClick: () => void }) {
  return <button type="button" className="button more" onClick={onClick}>Show older events</button>;
}

function Older({ by, after, now, isLast, onMore }: { by: UserBy; after: string; now: number; isLast: boolean; onMore: (cursor: string) => void }) {
  const [{ data, fetching, error }, again] = useQuery({ query: MoreHistoryDocument, variables: { user: by, after } });
  const page = read(EventListFragmentDoc, data?.user?.history);
  if (page == null) return fetching || error === undefined ? <p className="soft" role="status">Loading…</p> : <NotShown why="failed" onRetry={again} />;
  return (
    <>
      <Events events={read(EventRowFragmentDoc, page.nodes)} now={now} />
      {isLast && page.pageInfo.hasNextPage && <MoreButton onClick={() => onMore(page.pageInfo.endCursor ?? '')} />}
    </>
  );
}

function Events({ events, now }: { events: readonly EventRowFragment[]; now: number }) {
  const titles = useTitles(events);
  const days = useMemo(() => groupBy(events, ({ occurredAt }) => day(occurredAt)), [events]);
  return [...days].map(([date, ofDay]) => (
    <section key={date} className="day">
      <h3>{date}</h3>
      <ol className="timeline">
        {ofDay.map((event) => (
          <li key={event.number}>
            <Mark area={areaOf(event.kind)} />
            <p>
              {titles.has(event.subject) && <strong>{titles.get(event.subject)} </strong>}
              <span>{sentence(event.kind, event.changes)}</span>
              {!event.actor.startsWith('user:') && <span className="soft"> by {event.actor.replace(':', ' ')}</span>}
            </p>
            <time dateTime={event.occurredAt} title={moment(event.occurredAt)}>{relative(event.occurredAt, now)}</time>
          </li>
        ))}
      </ol>
    </section>
  ));
}

/** What the things are called that events are about. The page stands without them. */
function useTitles(events: readonly EventRowFragment[]): ReadonlyMap<string, string> {
  const ids = useMemo(
    () => [...new Set(events.map(({ subject }) => subject).filter(hasTitle))].sort().slice(0, MOST_TITLES),
    [events],
  );
  const [{ data }] = useQuery({ query: SubjectTitlesDocument, variables: { ids }, pause: ids.length === 0 });
  return useMemo(
    () => new Map(data?.nodes.flatMap((node) => (node != null && 'title' in node ? [[node.id, node.title] as const] : [])) ?? []),
    [data],
  );
}
