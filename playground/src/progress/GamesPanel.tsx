import { useState } from 'react';

import { type FragmentType, read } from '../gql/fragment-masking';
import { type Award, FirstGamesFragmentDoc, type GameSummaryOrder, type UserBy } from '../gql/graphql';
import { AwardCase } from '../kit';
import type { Missing } from '../shared/errors';
import { Empty, NotShown, Panel } from '../shared/Parts';
import { count, words } from '../shared/words';
import { GameList } from './GameList';
import { ALL_GAMES, type GameFilter, useGames } from './useGames';

const AWARDS: readonly Award[] = ['MASTERED', 'COMPLETED', 'BEATEN_HARDCORE', 'BEATEN'];

export interface GamesPanelProps {
  by: UserBy;
  user: FragmentType<typeof FirstGamesFragmentDoc>;
  missing: Missing | undefined;
  now: number;
  onRetry: () => void;
}

/** The games the user has played, with what was achieved in softcore and hardcore mode. */
export function GamesPanel({ by, user, missing, now, onRetry }: GamesPanelProps) {
  const first = read(FirstGamesFragmentDoc, user);
  const [filter, setFilter] = useState<GameFilter>(ALL_GAMES);
  const list = useGames(by, filter, first.games);
  if (first.games == null && missing !== undefined) {
    return <Panel id="games" title="Games" className="wide"><NotShown why={missing} onRetry={onRetry} /></Panel>;
  }
  const mastered = first.mastered?.nodes ?? [];
  return (
    <Panel id="games" title="Games" className="wide" aside={<span className="tag">{count(list.total, 'game')}</span>}>
      {mastered.length > 0 && <><h3>Mastered</h3><AwardCase games={mastered} /></>}
      <Filters filter={filter} onChange={setFilter} />
      {list.failed ? <NotShown why="failed" onRetry={() => setFilter({ ...filter })} />
        : !list.isLoading && list.elements.length === 0
          ? <Empty>{filter.award === null ? 'No game has been played yet.' : `No game is ${words(filter.award).toLowerCase()} yet.`}</Empty>
          : <GameList games={list.elements} total={list.total} more={list.more} now={now} />}
    </Panel>
  );
}

function Filters({ filter, onChange }: { filter: GameFilter; onChange: (filter: GameFilter) => void }) {
  return (
    <div className="filters">
      <label>Show
        <select value={filter.award ?? ''} onChange={({ target }) => onChange({ ...filter, award: (target.value || null) as Award | null })}>
          <option value="">all games</option>
          {AWARDS.map((award) => <option key={award} value={award}>{words(award).toLowerCase()}</option>)}
        </select>
      </label>
      <label>Order
        <select value={filter.orderBy} onChange={({ target }) => onChange({ ...filter, orderBy: target.value as GameSummaryOrder })}>
          <option value="LAST_UNLOCKED">last played first</option>
          <option value="SCORE">highest score first</option>
        </select>
      </label>
      <p className="legend" aria-hidden="true">
        <svg width="22" height="10"><rect className="bar-soft" width="22" height="10" rx="3" /></svg> unlocked
        <svg width="22" height="10"><rect className="bar-hard" width="22" height="10" rx="3" /><rect width="22" height="10" rx="3" fill="url(#hatch)" /></svg> hardcore
      </p>
    </div>
  );
}
