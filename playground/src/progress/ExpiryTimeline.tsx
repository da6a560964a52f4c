import { day, relative } from '../shared/time';
import { count, credits } from '../shared/words';

interface Lot {
  readonly expiresAt?: string | null;
  readonly amount: { readonly credits: string };
}

/** How many dates the list names. */
const LISTED = 6;
const HEIGHT = 92;
const GROUND = 68;
const TALLEST = 48;
/** How much of the width the axis takes; the rest is for the last label. */
const AXIS = 94;

/** Where each amount stands on the axis, 0 to 100, and how high it is, 0 to 1. */
export function place(lots: readonly Lot[], now: number): { x: number; height: number }[] {
  const times = lots.map(({ expiresAt }) => (expiresAt == null ? undefined : Date.parse(expiresAt)));
  const last = Math.max(now + 1, ...times.filter((time) => time !== undefined));
  const most = Math.max(1e-9, ...lots.map(({ amount }) => Number(amount.credits)));
  return lots.map(({ amount }, at) => ({
    x: times[at] === undefined ? 100 : Math.max(0, Math.min(100, (100 * (times[at] - now)) / (last - now))),
    height: Math.max(0.08, Number(amount.credits) / most),
  }));
}

/** When credits expire: a bar for each amount on an axis of time, and the same as a list. */
export function ExpiryTimeline({ lots, now }: { lots: readonly Lot[]; now: number }) {
  const expiring = lots.filter(({ expiresAt }) => expiresAt != null);
  if (expiring.length === 0) return lots.length === 0 ? null : <p className="soft">These credits never expire.</p>;
  const places = place(expiring, now);
  const last = expiring.at(-1)?.expiresAt;
  return (
    <figure className="expiry">
      <figcaption>When they expire</figcaption>
      <svg width="100%" height={HEIGHT} role="img" aria-label={`${count(expiring.length, 'date')} on which credits expire; the list below has the next`}>
        <line className="axis" x1="2%" x2="98%" y1={GROUND} y2={GROUND} />
        {places.map(({ x, height }, index) => {
          const at = `${2 + (x * AXIS) / 100}%`;
          const top = GROUND - height * TALLEST;
          return (
            <g key={index} className={index === 0 ? 'expiry-bar next' : 'expiry-bar'}>
              <line x1={at} x2={at} y1={GROUND} y2={top} />
              <circle cx={at} cy={top} r="4.5" />
              {(index === 0 || x - (places[index - 1]?.x ?? 0) > 6) && <text x={at} y={top - 8} textAnchor="middle">{index + 1}</text>}
            </g>
          );
        })}
        <text className="axis-label" x="2%" y={HEIGHT - 8}>now</text>
        {last != null && <text className="axis-label" x="98%" y={HEIGHT - 8} textAnchor="end">{day(last)}</text>}
      </svg>
      <ol className="expiry-list">
        {expiring.slice(0, LISTED).map(({ expiresAt, amount }, index) => (
          <li key={index}>
            <strong>{credits(amount.credits)}</strong> <time dateTime={expiresAt ?? undefined}>{relative(expiresAt ?? '', now)}</time>
          </li>
        ))}
      </ol>
      {expiring.length > LISTED && <p className="soft">and on {count(expiring.length - LISTED, 'later date')}</p>}
    </figure>
  );
}
