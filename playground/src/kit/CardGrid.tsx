import { type FragmentType, read } from '../gql/fragment-masking';
import { type CardGridItemFragment, CardGridItemFragmentDoc } from '../gql/graphql';
import { number } from '../shared/words';
import { Face, Picture } from './Picture';

export type CardItem = FragmentType<typeof CardGridItemFragmentDoc>;

export interface CardGridProps {
  /** What the cards belong to, for those who do not see the grid. */
  title: string;
  cards: readonly CardItem[];
}

/** Cards of a collection: owned ones with their picture, missing ones as empty outlines. */
export function CardGrid({ title, cards }: CardGridProps) {
  if (cards.length === 0) return <p className="kit-empty">No cards yet.</p>;
  return (
    <ul className="card-grid" aria-label={`Cards of ${title}`}>
      {read(CardGridItemFragmentDoc, cards).map((item) => <li key={item.card.id}><CardBody item={item} /></li>)}
    </ul>
  );
}

/** One card by itself, for grids of your own. */
export function Card({ card }: { card: CardItem }) {
  return <CardBody item={read(CardGridItemFragmentDoc, card)} />;
}

function CardBody({ item: { card, isOwned, quantity } }: { item: CardGridItemFragment }) {
  return (
    <div className={isOwned ? 'card' : 'card card-missing'}>
      {isOwned
        ? <Picture address={card.image} className="card-face"><Face name={card.name} className="card-face" /></Picture>
        : <span className="card-face card-outline" aria-hidden="true">?</span>}
      <span className="card-name">{card.name}</span>
      <span className="card-rarity">{isOwned ? card.rarity : 'missing'}</span>
      {quantity > 1 && <span className="card-quantity"><span aria-hidden="true">×{number(quantity)}</span><span className="kit-hidden">{number(quantity)} of them</span></span>}
    </div>
  );
}
