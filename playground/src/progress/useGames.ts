import { useCallback } from 'react';
import { useClient } from 'urql';
import { map, pipe } from 'wonka';

import { type FragmentType, read } from '../gql/fragment-masking';
import { type Award, GameListFragmentDoc, type GameSummaryOrder, MoreGamesDocument, type UserBy } from '../gql/graphql';
import { usePages } from './usePages';

export interface GameFilter {
  readonly award: Award | null;
  readonly orderBy: GameSummaryOrder;
}

export const ALL_GAMES: GameFilter = { award: null, orderBy: 'LAST_UNLOCKED' };

const idOf = ({ id }: { id: string }) => id;

/** The games of a user, a hundred at a time. The first page of all games comes with the page itself. */
export function useGames(user: UserBy, filter: GameFilter, first: FragmentType<typeof GameListFragmentDoc> | null | undefined) {
  const client = useClient();
  const isAll = filter.award === null && filter.orderBy === 'LAST_UNLOCKED';
  const ask = useCallback((after: string | null, afresh: boolean) => pipe(
    client.query(MoreGamesDocument, { user, after, award: filter.award, orderBy: filter.orderBy }, afresh ? { requestPolicy: 'network-only' } : {}),
    map(({ data, error }) => ({ page: read(GameListFragmentDoc, data?.user?.games), error })),
  ), [client, user, filter]);
  return usePages(ask, isAll ? (read(GameListFragmentDoc, first) ?? null) : undefined, idOf);
}
