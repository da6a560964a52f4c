import { type FragmentType, read } from '../gql/fragment-masking';
import { type Award, AwardCaseItemFragmentDoc } from '../gql/graphql';
import { day } from '../shared/time';
import { words } from '../shared/words';
import { Picture } from './Picture';

/** What an award is called: each has its own letter and shape, so that colour is not needed. */
const SHAPES: Record<Award, { path: string; letter: string }> = {
  MASTERED: { letter: 'M', path: 'M16 2l4 7 8 1-6 6 2 8-8-4-8 4 2-8-6-6 8-1z' },
  COMPLETED: { letter: 'C', path: 'M16 3l11 6.5v13L16 29 5 22.5v-13z' },
  BEATEN_HARDCORE: { letter: 'H', path: 'M5 5h22v14l-11 9L5 19z' },
  BEATEN: { letter: 'B', path: 'M16 3a13 13 0 110 26 13 13 0 010-26z' },
};

export interface AwardCaseProps {
  games: readonly FragmentType<typeof AwardCaseItemFragmentDoc>[];
}

/** The highest awards of some games, as medals. Games without an award are left out. */
export function AwardCase({ games }: AwardCaseProps) {
  return (
    <ul className="award-case">
      {read(AwardCaseItemFragmentDoc, games).map(({ id, title, highestAward, game }) =>
        highestAward == null ? null : (
          <li key={id} className="award">
            <span className="award-face">
              <Picture address={game.image} className="award-picture">{null}</Picture>
              <Medal award={highestAward.award} size={44} />
            </span>
            <span className="award-game">{title}</span>
            <span className="award-date">{words(highestAward.award)}, {day(highestAward.earnedAt)}</span>
          </li>
        ),
      )}
    </ul>
  );
}

/** One award as a medal. */
export function Medal({ award, size = 24 }: { award: Award; size?: number }) {
  const { letter, path } = SHAPES[award];
  return (
    <svg className={`medal medal-${award.toLowerCase()}`} viewBox="0 0 32 32" width={size} height={size} role="img" aria-label={words(award)}>
      <path d={path} />
      <text x="16" y="17" textAnchor="middle" dominantBaseline="central" aria-hidden="true">{letter}</text>
    </svg>
  );
}
