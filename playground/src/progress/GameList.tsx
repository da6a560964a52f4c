import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, useEffect, useRef } from 'react';

import { type FragmentType, read } from '../gql/fragment-masking';
import { GameRowFragmentDoc } from '../gql/graphql';
import { Face, Medal, Picture } from '../kit';
import { relative } from '../shared/time';
import { number } from '../shared/words';

const ROW_HEIGHT = 76;
const OVERSCAN = 8;
const BORDERS = 2;

type Masked = FragmentType<typeof GameRowFragmentDoc> & { id: string };

export interface GameListProps {
  games: readonly Masked[];
  /** How many there are, loaded or not. */
  total: number;
  /** Loads the next page; undefined when all are there. */
  more: (() => void) | undefined;
  now: number;
}

/** Any number of games in a box that scrolls; only those in view are on the page. */
export function GameList({ games, total, more, now }: GameListProps) {
  const box = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: Math.max(total, games.length),
    getScrollElement: () => box.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: OVERSCAN,
  });
  const visible = rows.getVirtualItems();
  const last = visible.at(-1)?.index ?? 0;
  useEffect(() => {
    if (last >= games.length - OVERSCAN) more?.();
  }, [last, games.length, more]);
  return (
    <div ref={box} className="games" style={{ height: rows.getTotalSize() + BORDERS }} tabIndex={0} role="region" aria-label="List of games">
      <ul style={{ height: rows.getTotalSize() }}>
        {visible.map(({ index, key, start }) => {
          const game = games[index];
          return (
            <li key={key} data-index={index} ref={rows.measureElement} aria-setsize={total} aria-posinset={index + 1} style={{ transform: `translateY(${start}px)` }}>
              {game === undefined ? <div className="game loading" aria-label="Loading" /> : <GameRow game={game} now={now} />}
            </li>
          );
        })}
      </ul>
    </div>
  );
}

const GameRow = memo(function GameRow({ game, now }: { game: Masked; now: number }) {
  const row = read(GameRowFragmentDoc, game);
  return (
    <article className="game">
      <div className="game-head">
        <Picture address={row.game.image} className="game-picture"><Face name={row.title} className="game-picture" /></Picture>
        <div>
          <h4>{row.title}</h4>
          <p className="soft">
            {row.game.platform}{row.game.platform != null && row.lastUnlockedAt != null && ' · '}
            {row.lastUnlockedAt != null && <time dateTime={row.lastUnlockedAt}>{relative(row.lastUnlockedAt, now)}</time>}
          </p>
        </div>
      </div>
      <Bars {...row} />
      <p className="game-score"><strong>{number(row.scoreAchieved)}</strong><span className="soft"> / {number(row.possibleScore)} points</span></p>
      <p className="game-awards">{row.awards.map(({ award }) => <Medal key={award} award={award} />)}</p>
    </article>
  );
});

interface Counts { title: string; numAchieved: number; numAchievedHardcore: number; numPossible: number }

/** Two bars: all that is unlocked, and below it, hatched, what was unlocked in hardcore mode. */
function Bars({ title, numAchieved, numAchievedHardcore, numPossible }: Counts) {
  const share = (number: number) => `${numPossible === 0 ? 0 : (100 * number) / numPossible}%`;
  return (
    <div className="game-bars">
      <svg width="100%" height="20" role="img" aria-label={`${title}: ${number(numAchieved)} of ${number(numPossible)} achievements, ${number(numAchievedHardcore)} of them hardcore`}>
        <rect className="bar-track" width="100%" height="9" rx="3" />
        <rect className="bar-soft" width={share(numAchieved)} height="9" rx="3" />
        <rect className="bar-track" y="12" width="100%" height="7" rx="3" />
        <rect className="bar-hard" y="12" width={share(numAchievedHardcore)} height="7" rx="3" />
        <rect y="12" width={share(numAchievedHardcore)} height="7" rx="3" fill="url(#hatch)" />
      </svg>
      <p>{number(numAchieved)} / {number(numPossible)}<span className="soft"> · {number(numAchievedHardcore)} hardcore</span></p>
    </div>
  );
}
