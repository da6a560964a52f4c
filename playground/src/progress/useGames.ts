import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useClient } from 'urql';
import { pipe, subscribe } from 'wonka';

import { type FragmentType, read } from '../gql/fragment-masking';
import { type Award, type GameListFragment, GameListFragmentDoc, type GameSummaryOrder, MoreGamesDocument, type UserBy } from '../gql/graphql';

export interface GameFilter {
  readonly award: Award | null;
  readonly orderBy: GameSummaryOrder;
}

export const ALL_GAMES: GameFilter = { award: null, orderBy: 'LAST_UNLOCKED' };

type Masked = FragmentType<typeof GameListFragmentDoc>;

/**
 * The games of a user, a hundred at a time. The first page of all games comes with the page itself; every page is
 * watched, so that a change of one game is seen wherever it stands.
 */
export function useGames(user: UserBy, filter: GameFilter, first: Masked | null | undefined) {
  const client = useClient();
  const [pages, setPages] = useState<readonly GameListFragment[]>([]);
  const [failed, setFailed] = useState(false);
  const leave = useRef<(() => void)[]>([]);
  const asked = useRef(new Set<string>());
  const isAll = filter.award === null && filter.orderBy === 'LAST_UNLOCKED';

  const load = useCallback((at: number, after: string | null) => {
    const cursor = `${at} ${after}`;
    if (asked.current.has(cursor)) return;
    asked.current.add(cursor);
    setFailed(false);
    const answers = client.query(MoreGamesDocument, { user, after, award: filter.award, orderBy: filter.orderBy });
    const { unsubscribe } = pipe(answers, subscribe(({ data, error }) => {
      const page = read(GameListFragmentDoc, data?.user?.games);
      if (page != null) setPages((before) => Object.assign([...before], { [at]: page }));
      else if (error !== undefined) {
        asked.current.delete(cursor);
        setFailed(true);
      }
    }));
    leave.current.push(unsubscribe);
  }, [client, user, filter]);

  useEffect(() => {
    setPages([]);
    asked.current.clear();
    if (!isAll) load(0, null);
    return () => leave.current.splice(0).forEach((unsubscribe) => unsubscribe());
  }, [load, isAll]);

  const all = useMemo(() => {
    const firstPage = isAll ? read(GameListFragmentDoc, first) : undefined;
    return [...(firstPage == null ? [] : [firstPage]), ...pages];
  }, [isAll, first, pages]);

  // A game that moved up while later pages were read stands on two of them.
  const games = useMemo(() => {
    const seen = new Set<string>();
    return all.flatMap(({ nodes }) => nodes).filter(({ id }) => !seen.has(id) && seen.add(id));
  }, [all]);

  const end = all.at(-1)?.pageInfo;
  const more = useCallback(() => {
    if (end?.hasNextPage === true && end.endCursor != null) load(pages.length, end.endCursor);
  }, [end, load, pages.length]);

  return {
    games,
    total: all[0]?.totalCount ?? games.length,
    isLoading: all.length === 0 && !failed,
    failed,
    /** Loads the next page, once. */
    more: end?.hasNextPage === true ? more : undefined,
  };
}
