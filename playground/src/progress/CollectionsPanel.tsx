import { useState } from 'react';
import { useMutation } from 'urql';

import { type FragmentType, read } from '../gql/fragment-masking';
import { ClaimRewardDocument, type CollectionItemFragment, CollectionItemFragmentDoc, CollectionsPartFragmentDoc, type RewardRefusal, type UserBy } from '../gql/graphql';
import { Picture, RingFigure } from '../kit';
import { messageOf, type Missing } from '../shared/errors';
import { Empty, NotShown, Panel } from '../shared/Parts';
import { duration } from '../shared/time';
import { count, dotted, idempotencyKey, number, words } from '../shared/words';
import type { Acting } from './acting';
import { Cards, isLarge } from './Cards';

/** How many collections are open at first. */
const OPEN = 4;

const REFUSALS: Record<RewardRefusal, string> = {
  ALREADY_CLAIMED: 'claimed',
  BLOCKED: 'claiming is blocked for now',
  NOT_COMPLETED: 'for whoever completes it',
  OUT_OF_STOCK: 'none are left',
};

export interface CollectionsPanelProps {
  by: UserBy;
  user: FragmentType<typeof CollectionsPartFragmentDoc> & { id: string };
  missing: Missing | undefined;
  acting: Acting;
  onRetry: () => void;
}

/** The collections with their cards. */
export function CollectionsPanel({ user, missing, onRetry, ...props }: CollectionsPanelProps) {
  const { collections } = read(CollectionsPartFragmentDoc, user);
  const shown = collections?.nodes ?? [];
  const total = collections?.totalCount ?? shown.length;
  const opened = new Set(shown.filter(({ collectedCount, status }) => collectedCount > 0 && status !== 'EXPIRED').slice(0, OPEN));
  return (
    <Panel id="collections" title="Collections" className="wide" aside={shown.length > 0 && <span className="tag">{count(total, 'collection')}</span>}>
      {collections == null ? (missing ? <NotShown why={missing} onRetry={onRetry} /> : <Empty>Nothing here yet.</Empty>)
        : shown.length === 0 ? <Empty>There are no collections now.</Empty>
          : <div className="collections">{shown.map((item) => <Collection key={item.id} item={item} opened={opened.has(item)} userId={user.id} {...props} />)}</div>}
      {total > shown.length && shown.length > 0 && <p className="soft">The first {number(shown.length)} are shown.</p>}
    </Panel>
  );
}

interface CollectionProps { item: FragmentType<typeof CollectionItemFragmentDoc>; opened: boolean; by: UserBy; userId: string; acting: Acting }

function Collection({ item, opened, by, ...props }: CollectionProps) {
  const collection = read(CollectionItemFragmentDoc, item);
  const { title, status, collectedCount, size, timeLeft } = collection;
  const [isOpen, setIsOpen] = useState(opened);
  return (
    <details className={isOpen && isLarge(collection) ? 'collection large' : 'collection'} open={isOpen} onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
      <summary>
        <RingFigure label={`${title}: ${number(collectedCount)} of ${count(size, 'card')}`} ratio={size === 0 ? 0 : collectedCount / size} size={52} />
        <Picture address={collection.collection.image} className="collection-picture">{null}</Picture>
        <span>
          <span className="plan-title">{title}</span>
          <span className="soft">
            {dotted(`${number(collectedCount)} of ${count(size, 'card')}`, words(status).toLowerCase(), timeLeft != null && timeLeft > 0 && `${duration(timeLeft)} left`)}
          </span>
        </span>
      </summary>
      {isOpen && (
        <>
          {collection.collection.description !== '' && <p className="soft">{collection.collection.description}</p>}
          <Cards by={by} collection={collection} />
          <Reward collection={collection} {...props} />
        </>
      )}
    </details>
  );
}

function Reward({ collection, userId, acting: { mayAct, isOwn, name, tell } }: { collection: CollectionItemFragment; userId: string; acting: Acting }) {
  const [{ fetching }, claim] = useMutation(ClaimRewardDocument);
  if (collection.reward == null) return null;
  const { isClaimed, refusal, reward } = collection.reward;
  const take = async () => {
    const { data, error } = await claim({ input: { user: { id: userId }, collectionId: collection.id, idempotencyKey: idempotencyKey() } });
    const refused = error ? messageOf(error) : data?.claimCollectionReward?.userErrors[0]?.message;
    tell(refused ?? (isOwn ? `${reward.name} is yours.` : `${reward.name} was claimed for ${name}.`), refused !== undefined);
  };
  return (
    <p className="reward">
      <Picture address={reward.image} className="reward-picture">
        <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true"><path d="M4 10h16v10H4zM3 6h18v4H3zM12 6v14M12 6C9 6 7 2 9.5 2S12 6 12 6s0-4 2.500-4S15 6 12 6z" /></svg>
      </Picture>
      <span><strong>{reward.name}</strong> <span className="soft">{isClaimed ? 'claimed' : refusal == null ? 'ready to claim' : REFUSALS[refusal]}</span></span>
      {mayAct && !isClaimed && refusal == null && <button type="button" className="button primary" disabled={fetching} onClick={() => void take()}>Claim<span className="hidden"> {reward.name}</span></button>}
    </p>
  );
}
