import { useVirtualizer } from '@tanstack/react-virtual';
import { useCallback, useEffect, useRef, useState } from 'react';
import { useClient } from 'urql';
import { map, pipe } from 'wonka';

import { read } from '../gql/fragment-masking';
import { CardListFragmentDoc, type CollectionItemFragment, MoreCardsDocument, type UserBy } from '../gql/graphql';
import { Card, CardGrid } from '../kit';
import { Empty, NotShown } from '../shared/Parts';
import { count } from '../shared/words';
import { usePages } from './usePages';

/** As wide as a card of the kit at least is, with the gap beside it; and about as high. */
const CARD_WIDTH = 102;
const ROW_HEIGHT = 156;
const OVERSCAN = 2;

type Which = 'all' | 'owned' | 'missing';
const IS_OWNED: Record<Which, boolean | null> = { all: null, owned: true, missing: false };

/** Whether a collection has more cards than come with the page. */
export function isLarge(collection: CollectionItemFragment): boolean {
  return read(CardListFragmentDoc, collection.cards)?.pageInfo.hasNextPage === true;
}

interface CardsProps { by: UserBy; collection: CollectionItemFragment }

/** The cards of a collection: all of a small one; of a large one those that are owned first, and all on demand. */
export function Cards({ by, collection }: CardsProps) {
  const [isWhole, setIsWhole] = useState(false);
  const cards = read(CardListFragmentDoc, collection.cards);
  const owned = read(CardListFragmentDoc, collection.owned);
  if (cards == null || owned == null) return <NotShown why="failed" />;
  if (!isLarge(collection)) return <CardGrid title={collection.title} cards={cards.nodes} />;
  if (isWhole) return <Wall by={by} collection={collection} />;
  const shown = owned.nodes.length > 0 ? owned.nodes : cards.nodes;
  return (
    <>
      <CardGrid title={collection.title} cards={shown} />
      <button type="button" className="button more" onClick={() => setIsWhole(true)}>Show all {count(collection.size, 'card')}</button>
    </>
  );
}

/** Any number of cards in a box that scrolls, a hundred at a time; only those in view are on the page. */
function Wall({ by, collection }: CardsProps) {
  const [which, setWhich] = useState<Which>('all');
  const list = useCards(by, collection, which);
  const choose = (value: string) => setWhich(value as Which);
  return (
    <>
      <div className="filters">
        <label>Show
          <select value={which} onChange={({ target }) => choose(target.value)}>
            <option value="all">all cards</option><option value="owned">owned cards</option><option value="missing">missing cards</option>
          </select>
        </label>
        <span className="soft" role="status">{list.isLoading ? 'Loading…' : count(list.total, 'card')}</span>
      </div>
      {list.failed ? <NotShown why="failed" onRetry={list.retry} />
        : !list.isLoading && list.total === 0 ? <Empty>{which === 'missing' ? 'No card is missing.' : 'No card is owned yet.'}</Empty>
          : <Rows key={which} title={collection.title} {...list} />}
    </>
  );
}

const keyOf = ({ card }: { card: { id: string } }) => card.id;

function useCards(by: UserBy, { id, collection, collectedCount, ...first }: CollectionItemFragment, which: Which) {
  const client = useClient();
  const [tries, setTries] = useState(0);
  const ask = useCallback((after: string | null, afresh: boolean) => pipe(
    client.query(MoreCardsDocument, { user: by, collection: collection.id, isOwned: IS_OWNED[which], after }, afresh || tries > 0 ? { requestPolicy: 'network-only' } : {}),
    map(({ data, error }) => ({ page: read(CardListFragmentDoc, data?.user?.collection?.cardsConnection), error })),
  ), [client, by, collection.id, which, tries]);
  const begun = { all: first.cards, owned: first.owned, missing: undefined }[which];
  const list = usePages(ask, begun === undefined ? undefined : (read(CardListFragmentDoc, begun) ?? null), keyOf, collectedCount);
  return { ...list, retry: () => setTries(tries + 1) };
}

function Rows({ title, elements, total, more }: Pick<ReturnType<typeof useCards>, 'elements' | 'total' | 'more'> & { title: string }) {
  const box = useRef<HTMLDivElement>(null);
  const columns = useColumns(box);
  const rows = useVirtualizer({
    count: Math.ceil(Math.max(total, elements.length) / columns),
    getScrollElement: () => box.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: OVERSCAN,
  });
  const visible = rows.getVirtualItems();
  const end = ((visible.at(-1)?.index ?? 0) + 1) * columns;
  useEffect(() => {
    if (end >= elements.length) more?.();
  }, [end, elements.length, more]);
  const grid = { gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))` };
  return (
    <div ref={box} className="wall" style={{ height: rows.getTotalSize() }} tabIndex={0} role="region" aria-label={`All cards of ${title}`}>
      <ul style={{ height: rows.getTotalSize() }}>
        {visible.map(({ index, key, start }) => (
          <li key={key} data-index={index} ref={rows.measureElement} style={{ transform: `translateY(${start}px)` }}>
            <ul className="wall-row" style={grid}>
              {Array.from({ length: Math.min(columns, total - index * columns) }, (_, column) => {
                const card = elements[index * columns + column];
                return <li key={column}>{card === undefined ? <div className="card loading" aria-label="Loading" /> : <Card card={card} />}</li>;
              })}
            </ul>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** How many cards stand side by side. */
function useColumns(box: React.RefObject<HTMLElement | null>): number {
  const [columns, setColumns] = useState(3);
  useEffect(() => {
    if (box.current === null) return undefined;
    const observer = new ResizeObserver(([entry]) => setColumns(Math.max(1, Math.floor((entry?.contentRect.width ?? 0) / CARD_WIDTH))));
    observer.observe(box.current);
    return () => observer.disconnect();
  }, [box]);
  return columns;
}
