import { useState } from 'react';

import { type FragmentType, read } from '../gql/fragment-masking';
import { type LearningPartFragment, LearningPartFragmentDoc } from '../gql/graphql';
import { Ring } from '../kit';
import type { Missing } from '../shared/errors';
import { Empty, NotShown, Panel } from '../shared/Parts';
import { workload } from '../shared/time';
import { count, number } from '../shared/words';

type Plan = NonNullable<LearningPartFragment['studyPlanInstances']>[number];

/** How many plans are shown at first. */
const SHOWN = 5;

/** The study plans the user follows, each with a ring and its resources. */
export function LearningPanel({ user, missing, onRetry }: { user: FragmentType<typeof LearningPartFragmentDoc>; missing: Missing | undefined; onRetry: () => void }) {
  const { studyPlanInstances: plans } = read(LearningPartFragmentDoc, user);
  const [isWhole, setIsWhole] = useState(false);
  const shown = isWhole ? (plans ?? []) : (plans ?? []).slice(0, SHOWN);
  return (
    <Panel id="learning" title="Learning" aside={plans != null && plans.length > 0 && <span className="tag">{count(plans.length, 'plan')}</span>}>
      {plans == null ? (missing ? <NotShown why={missing} onRetry={onRetry} /> : <Empty>Nothing here yet.</Empty>)
        : plans.length === 0 ? <Empty>No study plan has been begun.</Empty>
          : <ul className="plans">{shown.map((plan) => <PlanRow key={plan.id} plan={plan} />)}</ul>}
      {plans != null && plans.length > shown.length && <button type="button" className="button more" onClick={() => setIsWhole(true)}>Show all {count(plans.length, 'plan')}</button>}
    </Panel>
  );
}

function PlanRow({ plan }: { plan: Plan }) {
  const [isOpen, setIsOpen] = useState(false);
  const minutes = plan.resources.filter(({ completed }) => !completed).reduce((sum, { resource }) => sum + (resource?.estimatedMinutes ?? 0), 0);
  return (
    <li className="plan">
      <Ring progress={plan} />
      <details onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
        <summary>
          <span className="plan-title">{plan.title}</span>
          <span className="soft">
            {number(plan.completedCount)} of {count(plan.total, 'resource')}{minutes > 0 && `, about ${workload(minutes)} to go`}
          </span>
        </summary>
        {isOpen && <ol className="resources">
          {plan.resources.map(({ resource, completed }, index) => (
            <li key={resource?.id ?? index} className={completed ? 'done' : ''}>
              <svg viewBox="0 0 16 16" width="16" height="16" role="img" aria-label={completed ? 'complete' : 'not complete'}>
                <rect x="1" y="1" width="14" height="14" rx="4" />
                {completed && <path d="M4.5 8.2l2.4 2.4L11.6 6" />}
              </svg>
              <span>{resource?.title ?? 'A resource that is not in the catalogue'}</span>
              {resource?.estimatedMinutes != null && <span className="soft">{workload(resource.estimatedMinutes)}</span>}
            </li>
          ))}
        </ol>}
      </details>
    </li>
  );
}
