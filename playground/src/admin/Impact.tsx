import type { ImpactFragment } from '../gql/graphql';
import { moment } from '../shared/time';
import { number, words } from '../shared/words';
import { Dialog } from './Dialog';

/** Who is affected by a change that has not been made yet, and the question whether to make it. */
export function Impact({ title, impact, onConfirm, onCancel }: { title: string; impact: ImpactFragment; onConfirm: () => void; onCancel: () => void }) {
  const counted = (value: number | null | undefined) => (value == null ? 'not counted' : number(value));
  const rows: [string, string][] = [
    ['State', change(impact.stateBefore && words(impact.stateBefore), words(impact.stateAfter))],
    ['Begins', change(impact.startDateBefore && moment(impact.startDateBefore), moment(impact.startDateAfter))],
    ['Ends', change(impact.endDateBefore && moment(impact.endDateBefore), moment(impact.endDateAfter))],
    ['Users taking part', counted(impact.enrolledUsers)],
    ['Goals under way', counted(impact.goalsUnderWay)],
    ['Complete and not claimed', counted(impact.unclaimedGoals)],
    ...impact.movedSeasons.map(({ id, startDateBefore, startDateAfter }): [string, string] => [id, change(moment(startDateBefore), moment(startDateAfter))]),
  ];
  return (
    <Dialog title={`${title}?`} action="Do it" onConfirm={onConfirm} onCancel={onCancel}>
      <dl className="facts">{rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
    </Dialog>
  );
}

function change(before: string | null | undefined, after: string): string {
  return before == null || before === after ? after : `${before} → ${after}`;
}
