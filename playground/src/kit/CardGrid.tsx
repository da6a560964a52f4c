import { useId } from 'react';

import { type FragmentType, read } from '../gql/fragment-masking';
import { type CardGridFragment, CardGridFragmentDoc } from '../gql/graphql';
import { hueOf } from '../shared/words';

type Owned = NonNullable<CardGridFragment['cards']>[number];

export interface CardGridProps {
  collection: FragmentType<typeof CardGridFragmentDoc>;
}

/** The cards of a collection: owned ones drawn, missing ones as empty outlines. */
export function CardGrid({ collection }: CardGridProps) {
  const { title, cards } = read(CardGridFragmentDoc, collection);
  if (cards == null || cards.length === 0) return <p className="empty">No cards yet.</p>;
  return (
    <ul className="card-grid" aria-label={`Cards of ${title}`}>
      {cards.map((owned) => (
        <Card key={owned.card.id} owned={owned} />
      ))}
    </ul>
  );
}

function Card({ owned: { card, isOwned, quantity } }: { owned: Owned }) {
  return (
    <li className={isOwned ? 'card' : 'card card-missing'}>
      <Face name={card.name} isOwned={isOwned} />
      <span className="card-name">{card.name}</span>
      <span className="card-rarity">{isOwned ? card.rarity : 'missing'}</span>
      {quantity > 1 && <span className="card-quantity" aria-label={`${quantity} of them`}>×{quantity}</span>}
    </li>
  );
}

/** A picture made of the card's name, because pictures of other hosts are not loaded. */
function Face({ name, isOwned }: { name: string; isOwned: boolean }) {
  const id = useId();
  const hue = hueOf(name);
  if (!isOwned) {
    return (
      <svg className="card-face" viewBox="0 0 60 60" aria-hidden="true">
        <rect x="1.5" y="1.5" width="57" height="57" rx="7" className="card-outline" />
        <text x="30" y="32" textAnchor="middle" dominantBaseline="central">?</text>
      </svg>
    );
  }
  const turn = hue % 60;
  return (
    <svg className="card-face" viewBox="0 0 60 60" aria-hidden="true">
      <defs>
        <linearGradient id={id} x2="1" y2="1">
          <stop stopColor={`hsl(${hue} 60% 62%)`} />
          <stop offset="1" stopColor={`hsl(${(hue + 45) % 360} 55% 42%)`} />
        </linearGradient>
      </defs>
      <rect width="60" height="60" rx="8" fill={`url(#${id})`} />
      <g fill="none" stroke="#fff" strokeOpacity=".45" transform={`rotate(${turn} 30 30)`}>
        <path d="M30 8l19 11v22L30 52 11 41V19z" strokeWidth="2" />
        <circle cx="30" cy="30" r={8 + (hue % 7)} strokeWidth="3" />
        <path d="M30 8v44M11 19l38 22M49 19L11 41" strokeWidth=".8" />
      </g>
    </svg>
  );
}
