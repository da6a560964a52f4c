import { useMemo, useState } from 'react';
import { useQuery } from 'urql';

import { type FragmentType, read } from '../gql/fragment-masking';
import { EventListFragmentDoc, type EventRowFragment, EventRowFragmentDoc, HistoryPartFragmentDoc, MoreHistoryDocument, SubjectTitlesDocument, type UserBy } from '../gql/graphql';
import { Picture } from '../kit';
import type { Missing } from '../shared/errors';
import { groupBy } from '../shared/group';
import { Empty, NotShown, Panel } from '../shared/Parts';
import { day, moment, relative } from '../shared/time';
import { areaOf, by, hasTitle, sentence } from './events';
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
export function HistoryPanel({ by: name, user, missing, now, onRetry }: HistoryPanelProps) {
  const first = read(EventListFragmentDoc, read(HistoryPartFragmentDoc, user).history);
  const [after, setAfter] = useState<string[]>([]);
  const cursors = first?.pageInfo.endCursor == null ? [] : after;
  return (
    <Panel id="history" title="History" className="wide">
      {first == null ? (missing ? <NotShown why={missing} onRetry={onRetry} /> : <Empty>Nothing has happened yet.</Empty>)
        : first.nodes.length === 0 ? <Empty>Nothing has happened yet.</Empty>
          : (
            <>
              <Events events={read(EventRowFragmentDoc, first.nodes)} now={now} />
              {cursors.map((cursor, at) => (
                <Older key={cursor} name={name} after={cursor} now={now} isLast={at === cursors.length - 1} onMore={(next) => setAfter([...cursors, next])} />
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

function Older({ name, after, now, isLast, onMore }: { name: UserBy; after: string; now: number; isLast: boolean; onMore: (cursor: string) => void }) {
  const [{ data, fetching, error }, again] = useQuery({ query: MoreHistoryDocument, variables: { user: name, after } });
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
  const subjects = useSubjects(events);
  const days = useMemo(() => groupBy(events, ({ occurredAt }) => day(occurredAt)), [events]);
  return [...days].map(([date, ofDay]) => (
    <section key={date} className="day">
      <h3>{date}</h3>
      <ol className="timeline">
        {ofDay.map((event) => (
          <li key={event.number}>
            <Picture address={subjects.get(event.subject)?.picture} className="mark-picture"><Mark area={areaOf(event.kind)} /></Picture>
            <p>
              {subjects.has(event.subject) && <strong>{subjects.get(event.subject)?.title} </strong>}
              <span>{sentence(event.kind, event.changes)}</span>
              {event.actor === 'operator' && <span className="soft"> by an operator</span>}
            </p>
            <time dateTime={event.occurredAt} title={`${moment(event.occurredAt)}, ${by(event.actor)}`}>{relative(event.occurredAt, now)}</time>
          </li>
        ))}
      </ol>
    </section>
  ));
}

interface Subject { title: string; picture: string | null }

/** What the things are called that events are about, and their pictures. The page stands without them. */
function useSubjects(events: readonly EventRowFragment[]): ReadonlyMap<string, Subject> {
  const ids = useMemo(
    () => [...new Set(events.map(({ subject }) => subject).filter(hasTitle))].sort().slice(0, MOST_TITLES),
    [events],
  );
  const [{ data }] = useQuery({ query: SubjectTitlesDocument, variables: { ids }, pause: ids.length === 0 });
  return useMemo(
    () => new Map(data?.nodes.flatMap((node) => {
      if (node == null || !('title' in node)) return [];
      return [[node.id, { title: node.title, picture: ('picture' in node ? node.picture : null) ?? null }] as const];
    }) ?? []),
    [data],
  );
}
