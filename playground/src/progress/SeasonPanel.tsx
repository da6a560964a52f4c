import { useState } from 'react';
import { useMutation } from 'urql';

import { type FragmentType, read } from '../gql/fragment-masking';
import { ClaimGoalsDocument, EnrollDocument, SeasonPartFragmentDoc, type SeasonPartFragment } from '../gql/graphql';
import { GoalList } from '../kit';
import { messageOf, type Missing } from '../shared/errors';
import { Empty, NotShown, Panel } from '../shared/Parts';
import { count, credits as amountOf, idempotencyKey } from '../shared/words';
import type { Acting } from './acting';
import { type GoalGroup, groupGoals } from './goals';
import { SeasonClock } from './SeasonClock';

type Season = NonNullable<SeasonPartFragment['season']>;

export interface SeasonPanelProps {
  user: FragmentType<typeof SeasonPartFragmentDoc> & { id: string };
  missing: Missing | undefined;
  acting: Acting;
  now: number;
  onRetry: () => void;
}

/** The season with its clock and the goals of the user. */
export function SeasonPanel({ user, missing, ...props }: SeasonPanelProps) {
  const { season } = read(SeasonPartFragmentDoc, user);
  if (season == null) {
    return (
      <Panel id="season" title="Season" className="wide">
        {missing ? <NotShown why={missing} onRetry={props.onRetry} /> : <Empty>There is no season yet.</Empty>}
      </Panel>
    );
  }
  return (
    <Panel id="season" title={season.season.title} className="wide" aside={<span className="tag">{season.hasStartedProgram ? 'Taking part' : 'Not joined'}</span>}>
      <SeasonClock season={season} now={props.now} />
      <Goals userId={user.id} season={season} {...props} />
    </Panel>
  );
}

function Goals({ userId, season, acting }: { userId: string; season: Season; acting: Acting }) {
  const { mayAct, tell } = acting;
  const { claiming, claim } = useClaim(userId, tell);
  const claimable = season.goals.filter(({ isClaimable }) => isClaimable).map(({ goal }) => goal.id);
  const groups = groupGoals(season.goals, season.currentWeek?.number);
  const list = { onClaim: mayAct ? (id: string) => void claim([id]) : undefined, claiming };
  return (
    <>
      {mayAct && !season.hasStartedProgram && season.state !== 'ENDED' && <Join userId={userId} season={season} acting={acting} />}
      {mayAct && claimable.length > 1 && (
        <p className="claim-all">
          <span>{count(claimable.length, 'reward')} to claim</span>
          <button type="button" className="button" disabled={claiming.size > 0} onClick={() => void claim(claimable)}>Claim all</button>
        </p>
      )}
      {season.goals.length === 0 && <Empty>This season has no goals.</Empty>}
      {groups.now.map((group) => <Group key={group.title} group={group} {...list} />)}
      <Weeks title="Earlier weeks" groups={groups.earlier} {...list} />
      <Weeks title="Coming weeks" groups={groups.coming} {...list} />
    </>
  );
}

type Goal = Season['goals'][number];
type ListProps = { onClaim: ((id: string) => void) | undefined; claiming: ReadonlySet<string> };

function Group({ group, ...list }: { group: GoalGroup<Goal> } & ListProps) {
  return <><h3>{group.title}</h3><GoalList goals={group.goals} {...list} /></>;
}

/** Weeks that are not now: closed, unless there is something to claim. */
function Weeks({ title, groups, ...list }: { title: string; groups: readonly GoalGroup<Goal>[] } & ListProps) {
  if (groups.length === 0) return null;
  const goals = groups.flatMap((group) => group.goals);
  const claimed = goals.filter(({ goalState }) => goalState === 'CLAIMED').length;
  return (
    <details className="goal-group" open={goals.some(({ isClaimable }) => isClaimable)}>
      <summary>{title}<span className="tag">{claimed} of {count(goals.length, 'goal')} claimed</span></summary>
      {groups.map((group) => <Group key={group.title} group={group} {...list} />)}
    </details>
  );
}

/** Claims goals. What the answer holds is on the page at once, because objects are kept under their ids. */
function useClaim(userId: string, tell: Acting['tell']) {
  const [, mutate] = useMutation(ClaimGoalsDocument);
  const [claiming, setClaiming] = useState<ReadonlySet<string>>(new Set());
  const claim = async (goalIds: string[]) => {
    setClaiming(new Set(goalIds));
    const { data, error } = await mutate({ input: { user: { id: userId }, goalIds, idempotencyKey: idempotencyKey() } });
    setClaiming(new Set());
    if (error !== undefined) return tell(messageOf(error), true);
    const results = data?.claimGoals?.results ?? [];
    const refused = results.find((result) => result.error != null && result.status === 'REFUSED');
    if (refused?.error != null) return tell(refused.error.message, true);
    const amounts = results.map(({ credits }) => credits?.credits).filter((amount) => amount !== undefined).map(amountOf);
    tell(`Claimed ${amounts.join(' + ')} credits.`);
  };
  return { claiming, claim };
}

function Join({ userId, season, acting: { isOwn, name, tell } }: { userId: string; season: Season; acting: Acting }) {
  const [{ fetching }, enroll] = useMutation(EnrollDocument);
  const join = async () => {
    const { data, error } = await enroll({ input: { user: { id: userId }, seasonId: season.season.id, idempotencyKey: idempotencyKey() } });
    const refused = error ? messageOf(error) : data?.enrollInSeason?.userErrors[0]?.message;
    tell(refused ?? `${isOwn ? 'You take' : `${name} takes`} part in ${season.season.title} now.`, refused !== undefined);
  };
  return (
    <p className="claim-all">
      <span>{isOwn ? 'Join the season to collect credits for its goals.' : `${name} does not take part yet.`}</span>
      <button type="button" className="button primary" disabled={fetching} onClick={() => void join()}>{isOwn ? 'Join' : 'Enrol'}</button>
    </p>
  );
}
