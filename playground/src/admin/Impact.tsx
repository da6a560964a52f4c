import { useEffect, useRef } from 'react';

import type { ImpactFragment } from '../gql/graphql';
import { moment } from '../shared/time';
import { words } from '../shared/words';

/** Who is affected by a change that has not been made yet, and the question whether to make it. */
export function Impact({ title, impact, onConfirm, onCancel }: { title: string; impact: ImpactFragment; onConfirm: () => void; onCancel: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const rows: [string, string][] = [
    ['State', change(impact.stateBefore && words(impact.stateBefore), words(impact.stateAfter))],
    ['Begins', change(impact.startDateBefore && moment(impact.startDateBefore), moment(impact.startDateAfter))],
    ['Ends', change(impact.endDateBefore && moment(impact.endDateBefore), moment(impact.endDateAfter))],
    ['Users taking part', String(impact.enrolledUsers ?? 'not counted')],
    ['Goals under way', String(impact.goalsUnderWay ?? 'not counted')],
    ['Complete and not claimed', String(impact.unclaimedGoals ?? 'not counted')],
    ...impact.movedSeasons.map(({ id, startDateBefore, startDateAfter }): [string, string] => [id, change(moment(startDateBefore), moment(startDateAfter))]),
  ];
  return (
    <dialog ref={dialog} className="impact" aria-labelledby="impact" onCancel={onCancel}>
      <h2 id="impact">{title}?</h2>
      <dl className="facts">{rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
      <p className="buttons">
        <button type="button" className="button" onClick={onCancel}>Leave it as it is</button>
        <button type="button" className="button primary" onClick={onConfirm}>Do it</button>
      </p>
    </dialog>
  );
}

function change(before: string | null | undefined, after: string): string {
  return before == null || before === after ? after : `${before} → ${after}`;
}
