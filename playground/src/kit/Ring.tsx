import { useId } from 'react';

import { type FragmentType, read } from '../gql/fragment-masking';
import { RingFragmentDoc } from '../gql/graphql';
import { number } from '../shared/words';

const RADIUS = 42;
const LENGTH = 2 * Math.PI * RADIUS;

/** How much of the circle is drawn: a full one only for what is done, and a visible one for what has begun. */
export function arc(ratio: number): number {
  if (ratio >= 1) return 1;
  return ratio <= 0 ? 0 : Math.min(0.985, Math.max(0.015, ratio));
}

/** Percent for people: 100 only when all is done. */
export function percent(ratio: number): number {
  return ratio >= 1 ? 100 : Math.max(0, Math.min(99, Math.floor(ratio * 100)));
}

export interface RingProps {
  progress: FragmentType<typeof RingFragmentDoc>;
  /** Width and height in pixels. */
  size?: number;
}

/** Any kind of progress as a ring with its percentage. */
export function Ring({ progress, size = 72 }: RingProps) {
  const { title, done, total, ratio } = read(RingFragmentDoc, progress);
  return <RingFigure label={`${title}: ${number(done)} of ${number(total)}`} ratio={ratio} size={size} />;
}

/** The drawing by itself, for numbers of your own. */
export function RingFigure({ label, ratio, size = 72 }: { label: string; ratio: number; size?: number }) {
  const title = useId();
  const complete = ratio >= 1;
  return (
    <svg className={complete ? 'ring ring-complete' : 'ring'} viewBox="0 0 100 100" width={size} height={size} role="img" aria-labelledby={title}>
      <title id={title}>{`${label}, ${percent(ratio)} %`}</title>
      <circle className="ring-track" cx="50" cy="50" r={RADIUS} />
      {ratio > 0 && <circle className="ring-arc" cx="50" cy="50" r={RADIUS} strokeDasharray={`${arc(ratio) * LENGTH} ${LENGTH}`} transform="rotate(-90 50 50)" />}
      {complete ? (
        <path className="ring-tick" d="M34 51l11 11 21-23" />
      ) : (
        <text className="ring-text" x="50" y="51" textAnchor="middle" dominantBaseline="central">{percent(ratio)}%</text>
      )}
    </svg>
  );
}
