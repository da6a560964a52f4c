import type { SeasonPartFragment } from '../gql/graphql';
import { day, duration } from '../shared/time';

type Season = NonNullable<SeasonPartFragment['season']>;

const STATES: Record<Season['state'], string> = {
  ACTIVE: 'Running',
  ENDED: 'Over',
  NOT_STARTED: 'Not begun',
  PAUSED: 'Paused',
};

/** How many weeks a season has, and how many of them are behind. */
export function weeks(season: { duration: number; weekLength: number; timeLeft: number }) {
  const all = Math.max(1, Math.ceil(season.duration / season.weekLength));
  return { all, passed: Math.min(all, (season.duration - season.timeLeft) / season.weekLength) };
}

/** The season's weeks as a bar: passed weeks are hatched, the current one is framed. */
export function SeasonClock({ season, now }: { season: Season; now: number }) {
  const { title, endDate, startDate, ...lengths } = season.season;
  const { all, passed } = weeks({ ...lengths, timeLeft: season.timeLeft });
  const week = season.currentWeek;
  const left = season.state === 'ACTIVE' ? (Date.parse(endDate) - now) / 1000 : season.timeLeft;
  const width = 100 / all;
  const label = week == null ? `${title}: ${STATES[season.state]}` : `${title}: week ${week.number} of ${all}`;
  return (
    <div className="season-clock">
      <dl className="figures">
        <div><dt>State</dt><dd className={`state state-${season.state.toLowerCase()}`}>{STATES[season.state]}</dd></div>
        {week != null && <div><dt>Week</dt><dd>{week.number} <small>of {all}{week.title == null ? '' : `, ${week.title}`}</small></dd></div>}
        {week != null && <div><dt>Left this week</dt><dd>{duration(season.state === 'ACTIVE' ? (Date.parse(week.endDate) - now) / 1000 : week.timeLeft)}</dd></div>}
        <div><dt>{season.state === 'NOT_STARTED' ? 'Begins' : season.state === 'ENDED' ? 'Ended' : 'Left'}</dt>
          <dd>{season.state === 'NOT_STARTED' ? day(startDate) : season.state === 'ENDED' ? day(endDate) : duration(left)}</dd></div>
      </dl>
      <svg className="weeks" width="100%" height="34" role="img" aria-label={label}>
        {Array.from({ length: all }, (_, index) => {
          const share = Math.max(0, Math.min(1, passed - index));
          const [x, inner] = [index * width, width - 0.6];
          return (
            <g key={index}>
              <rect className="weeks-track" x={`${x}%`} y="2" width={`${inner}%`} height="16" rx="4" />
              {share > 0 && <rect className="weeks-passed" x={`${x}%`} y="2" width={`${inner * share}%`} height="16" rx="4" />}
              {share >= 1 && <rect x={`${x}%`} y="2" width={`${inner}%`} height="16" rx="4" fill="url(#hatch)" />}
              {week?.number === index + 1 && <rect className="weeks-current" x={`${x}%`} y="1" width={`${inner}%`} height="18" rx="5" />}
              <text className={week?.number === index + 1 ? 'current' : ''} x={`${x + inner / 2}%`} y="31" textAnchor="middle">{index + 1}</text>
            </g>
          );
        })}
      </svg>
    </div>
  );
}
