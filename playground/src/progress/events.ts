import type { ProgressEventKind } from '../gql/graphql';
import { count, credits as amountOf, number, words } from '../shared/words';

/** Which part of a user's progress an event belongs to; chooses its mark. */
export type Area = 'season' | 'credits' | 'learning' | 'games' | 'cards' | 'profile';

const AREAS: readonly [RegExp, Area][] = [
  [/^(GOAL_|ENROLLED)/, 'season'],
  [/^(CREDITS_|BLOCK)/, 'credits'],
  [/^(RESOURCE_|INSTANCE_)/, 'learning'],
  [/^(ACHIEVEMENT_|AWARD_)/, 'games'],
  [/^(CARDS_|COLLECTION_|REWARD_)/, 'cards'],
];

export function areaOf(kind: ProgressEventKind | null | undefined): Area {
  return AREAS.find(([pattern]) => pattern.test(kind ?? ''))?.[1] ?? 'profile';
}

const SHOWN_TO: Readonly<Record<string, string>> = { PUBLIC: 'anyone', MEMBERS: 'members', PRIVATE: 'nobody but apps' };

/** Who did something, in words. */
export function by(actor: string): string {
  if (actor.startsWith('user:')) return 'by the user';
  return actor === 'operator' ? 'by an operator' : `by the app ${actor.replace(/^app:/, '')}`;
}

/** `4 credits`, whatever an event has there. */
function amount(value: unknown): string {
  const text = typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  if (text === '') return 'credits';
  return `${amountOf(text)} ${text === '1' ? 'credit' : 'credits'}`;
}

/** ` 2 of 5`, where both are numbers. */
function steps(done: unknown, total: unknown): string {
  return typeof done === 'number' && typeof total === 'number' ? `${number(done)} of ${number(total)}` : '';
}

type Changes = Readonly<Record<string, unknown>>;

/** What happened, in a few words; the thing it happened to is named beside them. */
export function sentence(kind: ProgressEventKind | null | undefined, raw: unknown): string {
  const changes: Changes = typeof raw === 'object' && raw !== null ? (raw as Changes) : {};
  const { added, completedSteps, totalSteps, credits, award, hardcore, points, progress, cards, visibility, provider } = changes;
  switch (kind) {
    case 'GOAL_STEPS':
      return [typeof added === 'number' ? `${count(added, 'step')} done` : 'Steps done', steps(completedSteps, totalSteps)].filter(Boolean).join(', now ');
    case 'GOAL_STEPS_CORRECTED':
      return ['Steps corrected', steps(completedSteps, totalSteps)].filter(Boolean).join(' to ');
    case 'GOAL_COMPLETED':
      return 'Goal completed';
    case 'GOAL_CLAIMED':
      return `Reward claimed: ${amount(credits)}`;
    case 'CREDITS_GRANTED':
      return `${capital(amount(credits))} granted`;
    case 'CREDITS_SPENT':
      return `${capital(amount(credits))} spent`;
    case 'CREDITS_REVOKED':
      return `${capital(amount(credits))} taken away`;
    case 'ACHIEVEMENT_UNLOCKED':
      return `Unlocked${hardcore === true ? ' in hardcore mode' : ''}${typeof points === 'number' ? `, ${count(points, 'point')}` : ''}`;
    case 'AWARD_EARNED':
      return typeof award === 'string' ? `Award earned: ${words(award).toLowerCase()}` : 'Award earned';
    case 'RESOURCE_PROGRESS':
      return typeof progress === 'number' ? `Worked on, ${progress} %` : 'Worked on';
    case 'RESOURCE_COMPLETED':
      return 'Completed';
    case 'RESOURCE_REOPENED':
      return 'Opened again';
    case 'CARDS_GRANTED':
      return typeof cards === 'object' && cards !== null ? `${count(Object.keys(cards).length, 'card')} collected` : 'Cards collected';
    case 'PROFILE_CHANGED':
      return typeof visibility === 'string' ? `Profile shown to ${SHOWN_TO[visibility] ?? 'others'}` : 'Profile changed';
    case 'ACCOUNT_LINKED':
    case 'ACCOUNT_UNLINKED':
      return `${kind === 'ACCOUNT_LINKED' ? 'Linked' : 'Unlinked'} an account${typeof provider === 'string' ? ` of ${provider}` : ''}`;
    default:
      return kind == null ? 'Something happened' : words(kind);
  }
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Whether a thing of the catalogue is meant, which has a title. */
export function hasTitle(subject: string): boolean {
  return /^(goal|season|resource|study_plan|game|achievement|collection|card):/.test(subject);
}
