import type { ProgressChangedQueryVariables } from '../gql/graphql';

/** The parts of the page that can be asked for by themselves. */
export type Parts = Omit<ProgressChangedQueryVariables, 'user'>;

export const ALL_PARTS: Parts = { season: true, credits: true, learning: true, games: true, collections: true, history: true };
const NO_PARTS: Parts = { season: false, credits: false, learning: false, games: false, collections: false, history: false };
/** What anybody may see of a public profile. */
export const PUBLIC_PARTS: Parts = { ...NO_PARTS, games: true, collections: true };

const TOUCHED: readonly [RegExp, readonly (keyof Parts)[]][] = [
  [/^GOAL_CLAIMED$/, ['season', 'credits']],
  [/^(GOAL_|ENROLLED)/, ['season']],
  [/^CREDITS_/, ['credits']],
  // A block decides what can be claimed.
  [/^BLOCK/, ['credits', 'season', 'collections']],
  [/^(RESOURCE_|INSTANCE_)/, ['learning']],
  [/^(ACHIEVEMENT_|AWARD_)/, ['games']],
  [/^(CARDS_|COLLECTION_|REWARD_)/, ['collections']],
  [/^(PROFILE_|ACCOUNT_)/, []],
];

/** The parts that events of these kinds have changed; everything for a kind that this page does not know. */
export function partsTouched(kinds: Iterable<string | null>): Parts {
  const parts = { ...NO_PARTS, history: true };
  for (const kind of kinds) {
    const touched = TOUCHED.find(([pattern]) => kind !== null && pattern.test(kind))?.[1];
    if (touched === undefined) return ALL_PARTS;
    for (const part of touched) parts[part] = true;
  }
  return parts;
}
