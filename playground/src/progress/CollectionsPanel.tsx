import { useMutation } from 'urql';

import { type FragmentType, read } from '../gql/fragment-masking';
import { ClaimRewardDocument, type CollectionItemFragment, CollectionItemFragmentDoc, CollectionsPartFragmentDoc, type RewardRefusal } from '../gql/graphql';
import { CardGrid, RingFigure } from '../kit';
import { messageOf, type Missing } from '../shared/errors';
import { Empty, NotShown, Panel } from '../shared/Parts';
import { duration } from '../shared/time';
import { count, idempotencyKey, words } from '../shared/words';
import type { Tell } from '../shared/Announcer';

const REFUSALS: Record<RewardRefusal, string> = {
  ALREADY_CLAIMED: 'claimed',
  BLOCKED: 'claiming is blocked for now',
  NOT_COMPLETED: 'for whoever completes it',
  OUT_OF_STOCK: 'none are left',
};

export interface CollectionsPanelProps {
  user: FragmentType<typeof CollectionsPartFragmentDoc> & { id: string };
  missing: Missing | undefined;
  mayAct: boolean;
  tell: Tell;
  onRetry: () => void;
}

/** The collections with their cards. */
export function CollectionsPanel({ user, missing, onRetry, ...props }: CollectionsPanelProps) {
  const { collections } = read(CollectionsPartFragmentDoc, user);
  const shown = collections?.nodes ?? [];
  return (
    <Panel title="Collections" className="wide" aside={shown.length > 0 && <span className="tag">{count(shown.length, 'collection')}</span>}>
      {collections == null ? (missing ? <NotShown why={missing} onRetry={onRetry} /> : <Empty>Nothing here yet.</Empty>)
        : shown.length === 0 ? <Empty>There are no collections now.</Empty>
          : <div className="collections">{shown.map((item) => <Collection key={item.id} item={item} userId={user.id} {...props} />)}</div>}
    </Panel>
  );
}

interface CollectionProps { item: FragmentType<typeof CollectionItemFragmentDoc>; userId: string; mayAct: boolean; tell: Tell }

function Collection({ item, ...props }: CollectionProps) {
  const collection = read(CollectionItemFragmentDoc, item);
  const { title, status, collectedCount, size, timeLeft } = collection;
  return (
    <details className="collection" open={collectedCount > 0 && status !== 'EXPIRED'}>
      <summary>
        <RingFigure label={`${title}: ${collectedCount} of ${size} cards`} ratio={size === 0 ? 0 : collectedCount / size} size={52} />
        <span>
          <span className="plan-title">{title}</span>
          <span className="soft">{collectedCount} of {count(size, 'card')} · {words(status).toLowerCase()}
            {timeLeft != null && timeLeft > 0 && ` · ${duration(timeLeft)} left`}</span>
        </span>
      </summary>
      {collection.collection.description !== '' && <p className="soft">{collection.collection.description}</p>}
      <CardGrid collection={collection} />
      <Reward collection={collection} {...props} />
    </details>
  );
}

function Reward({ collection, userId, mayAct, tell }: Omit<CollectionProps, 'item'> & { collection: CollectionItemFragment }) {
  const [{ fetching }, claim] = useMutation(ClaimRewardDocument);
  if (collection.reward == null) return null;
  const { isClaimed, refusal, reward } = collection.reward;
  const take = async () => {
    const { data, error } = await claim({ input: { user: { id: userId }, collectionId: collection.id, idempotencyKey: idempotencyKey() } });
    const refused = error ? messageOf(error) : data?.claimCollectionReward?.userErrors[0]?.message;
    tell(refused ?? `${reward.name} is yours.`, refused !== undefined);
  };
  return (
    <p className="reward">
      <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true"><path d="M4 10h16v10H4zM3 6h18v4H3zM12 6v14M12 6C9 6 7 2 9.5 2S12 6 12 6s0-4 2.500-4S15 6 12 6z" /></svg>
      <span><strong>{reward.name}</strong> <span className="soft">{isClaimed ? 'claimed' : refusal == null ? 'ready to claim' : REFUSALS[refusal]}</span></span>
      {mayAct && !isClaimed && refusal == null && <button type="button" className="button primary" disabled={fetching} onClick={() => void take()}>Claim<span className="hidden"> {reward.name}</span></button>}
    </p>
  );
}
