import { type FragmentType, read } from '../gql/fragment-masking';
import { type ClaimRefusal, type GoalItemFragment, GoalItemFragmentDoc } from '../gql/graphql';
import { credits, number } from '../shared/words';
import { Picture } from './Picture';

const REFUSALS: Record<ClaimRefusal, string> = {
  ALREADY_CLAIMED: 'Claimed',
  BLOCKED: 'Claiming is blocked for now',
  GOAL_INCOMPLETE: 'Not complete yet',
  NOT_ENROLLED: 'Join the season to claim',
  SEASON_ENDED: 'The season is over',
  SEASON_NOT_STARTED: 'The season has not begun',
  SEASON_PAUSED: 'The season is paused',
  WEEK_NOT_STARTED: 'Its week is still to come',
};

/** One line on where a goal stands. */
export function standing(goal: Pick<GoalItemFragment, 'goalState' | 'claimRefusal' | 'completedSteps' | 'totalSteps'>): string {
  switch (goal.goalState) {
    case 'CLAIMED':
      return 'Claimed';
    case 'LOCKED':
      return 'Opens with its week';
    case 'MISSED':
      return 'Its week is over';
    case 'COMPLETE':
      return goal.claimRefusal == null ? 'Ready to claim' : REFUSALS[goal.claimRefusal];
    case 'OPEN':
      return `${number(goal.totalSteps - goal.completedSteps)} to go`;
  }
}

export interface GoalListProps {
  goals: readonly FragmentType<typeof GoalItemFragmentDoc>[];
  /** Claims a goal by its id; without it there are no buttons. */
  onClaim?: ((id: string) => void) | undefined;
  /** Goals whose claim is under way. */
  claiming?: ReadonlySet<string>;
}

/** Goals with their steps and rewards, and a button for those that can be claimed. */
export function GoalList({ goals, onClaim, claiming = new Set() }: GoalListProps) {
  return (
    <ul className="goal-list">
      {read(GoalItemFragmentDoc, goals).map((goal) => (
        <Goal key={goal.id} goal={goal} onClaim={onClaim} busy={claiming.has(goal.goal.id)} />
      ))}
    </ul>
  );
}

function Goal({ goal, onClaim, busy }: { goal: GoalItemFragment; onClaim?: GoalListProps['onClaim']; busy: boolean }) {
  const { title, completedSteps, totalSteps, reward } = goal;
  return (
    <li className={`goal goal-${goal.goalState.toLowerCase()}`}>
      <GoalMark state={goal.goalState} />
      <Picture address={goal.goal.thumbnail} className="goal-picture">{null}</Picture>
      <div className="goal-body">
        <p className="goal-title">{title}</p>
        {goal.goal.description !== '' && <p className="goal-description">{goal.goal.description}</p>}
        <Steps title={title} done={completedSteps} total={totalSteps} />
        <p className="goal-standing">
          <span>{number(completedSteps)} of {number(totalSteps)}</span>
          <span>{standing(goal)}</span>
        </p>
      </div>
      <div className="goal-side">
        <p className="goal-reward"><strong>+{credits(reward.credits)}</strong><span> {reward.credits === '1' ? 'credit' : 'credits'}</span></p>
        {onClaim !== undefined && goal.isClaimable && (
          <button type="button" className="goal-claim" disabled={busy} onClick={() => onClaim(goal.goal.id)}>
            {busy ? 'Claiming…' : 'Claim'}<span className="kit-hidden"> the reward of {title}</span>
          </button>
        )}
      </div>
    </li>
  );
}

/** A box for each step while they can be counted at a glance, else one bar. */
function Steps({ title, done, total }: { title: string; done: number; total: number }) {
  const boxes = total <= 12 ? total : 1;
  const width = 100 / boxes;
  return (
    <svg className="steps" viewBox="0 0 100 5" preserveAspectRatio="none" role="img" aria-label={`${title}: ${number(done)} of ${number(total)} steps`}>
      {Array.from({ length: boxes }, (_, box) => (
        <g key={box}>
          <rect className="steps-track" x={box * width} width={width - (boxes > 1 ? 1 : 0)} height="5" rx="1" />
          <rect className="steps-done" x={box * width} height="5" rx="1"
            width={boxes > 1 ? (box < done ? width - 1 : 0) : (100 * done) / Math.max(1, total)} />
        </g>
      ))}
    </svg>
  );
}

/** The state by its shape: a ring, a full ring, a tick, a lock, a dash. */
function GoalMark({ state }: { state: GoalItemFragment['goalState'] }) {
  return (
    <svg className="goal-mark" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
      <circle cx="12" cy="12" r="10" />
      {state === 'CLAIMED' && <path d="M7 12.5l3.4 3.4L17 9" />}
      {state === 'COMPLETE' && <path d="M12 6.5l1.7 3.5 3.8.5-2.8 2.7.7 3.8-3.4-1.8-3.4 1.8.7-3.8-2.8-2.7 3.8-.5z" />}
      {state === 'LOCKED' && <path d="M8.5 11.5h7v5h-7zM10 11.5V10a2 2 0 014 0v1.5" />}
      {state === 'MISSED' && <path d="M8 12h8" />}
    </svg>
  );
}
