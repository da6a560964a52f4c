import { useState } from 'react';
import { useQuery } from 'urql';

import { read } from '../gql/fragment-masking';
import { EditSeasonDocument, EndSeasonDocument, ImpactFragmentDoc, type ImpactFragment, PauseSeasonDocument, ResumeSeasonDocument, SeasonRowFragmentDoc, type SeasonRowFragment, SeasonsDocument } from '../gql/graphql';
import type { Tell } from '../shared/Announcer';
import { Empty, Panel } from '../shared/Parts';
import { day, duration } from '../shared/time';
import { idempotencyKey, words } from '../shared/words';
import { Field, Form, textOf } from './Form';
import { Impact } from './Impact';
import { useAction } from './useAction';

const DAY = 86_400;

/** Something that was tried and not done yet. */
interface Plan {
  readonly title: string;
  readonly impact: ImpactFragment;
  readonly carryOut: () => Promise<boolean>;
}

/** The seasons; what changes one is shown first, and done when that is confirmed. */
export function Seasons({ tell }: { tell: Tell }) {
  const [{ data }, ask] = useQuery({ query: SeasonsDocument });
  const [plan, setPlan] = useState<Plan>();
  const seasons = read(SeasonRowFragmentDoc, data?.seasons.nodes) ?? [];
  const carryOut = async () => {
    if (await plan?.carryOut()) ask({ requestPolicy: 'network-only' });
    setPlan(undefined);
  };
  return (
    <Panel title="Seasons">
      {data !== undefined && seasons.length === 0 && <Empty>There are no seasons.</Empty>}
      <ul className="seasons">
        {seasons.map((season) => <Row key={season.id} season={season} tell={tell} onPlan={setPlan} />)}
      </ul>
      {plan !== undefined && <Impact title={plan.title} impact={plan.impact} onConfirm={() => void carryOut()} onCancel={() => setPlan(undefined)} />}
    </Panel>
  );
}

function Row({ season, tell, onPlan }: { season: SeasonRowFragment; tell: Tell; onPlan: (plan: Plan) => void }) {
  const { plan, busy } = usePlans(season, tell, onPlan);
  const { title, state, startDate, endDate, timeLeft } = season;
  const isRunning = state === 'ACTIVE' || state === 'PAUSED';
  return (
    <li className="season-row">
      <div>
        <strong>{title}</strong> <span className="tag">{words(state)}</span>
        <p className="soft">{day(startDate)} to {day(endDate)}{isRunning && `, ${duration(timeLeft)} left`}</p>
      </div>
      <div className="buttons">
        {state === 'ACTIVE' && <button type="button" className="button" disabled={busy} onClick={() => void plan('pause')}>Pause…</button>}
        {state === 'PAUSED' && <button type="button" className="button" disabled={busy} onClick={() => void plan('resume')}>Resume…</button>}
        {isRunning && <button type="button" className="button danger" disabled={busy} onClick={() => void plan('end')}>End…</button>}
      </div>
      {state !== 'ENDED' && (
        <details>
          <summary>Edit</summary>
          <Form title={`Edit ${title}`} action="Preview…" busy={busy} onSubmit={async (values) => { await plan('edit', values); return false; }}>
            <Field label="Title" name="title" defaultValue={title} required maxLength={200} />
            <Field label="Days" name="days" type="number" min="1" max="3660" step="any" defaultValue={season.duration / DAY} required />
          </Form>
        </details>
      )}
    </li>
  );
}

/** Asks the server what a change would do; the plan carries it out. */
function usePlans(season: SeasonRowFragment, tell: Tell, onPlan: (plan: Plan) => void) {
  const { act, busy } = useAction(tell);
  const { id, key, title } = season;
  const run = async (what: 'pause' | 'resume' | 'end' | 'edit', dryRun: boolean, idempotent: string | null, values?: FormData) => {
    const input = { id, dryRun, idempotencyKey: idempotent };
    const said = dryRun ? undefined : () => `${title}: done.`;
    switch (what) {
      case 'pause':
        return (await act(PauseSeasonDocument, { input }, said))?.pauseSeason;
      case 'resume':
        return (await act(ResumeSeasonDocument, { input }, said))?.resumeSeason;
      case 'end':
        return (await act(EndSeasonDocument, { input }, said))?.endSeason;
      case 'edit': {
        const changed = { title: textOf(values ?? new FormData(), 'title'), duration: Math.round(Number(values?.get('days')) * DAY) };
        return (await act(EditSeasonDocument, { input: { key, ...changed, dryRun, idempotencyKey: idempotent } }, said))?.upsertSeason;
      }
    }
  };
  const plan = async (what: 'pause' | 'resume' | 'end' | 'edit', values?: FormData) => {
    const impact = read(ImpactFragmentDoc, (await run(what, true, null, values))?.affected);
    if (impact == null) return;
    const carryOut = async () => (await run(what, false, idempotencyKey(), values)) !== undefined;
    onPlan({ title: `${words(what)} ${title}`, impact, carryOut });
  };
  return { plan, busy };
}
