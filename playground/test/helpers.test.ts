import { readFileSync } from 'node:fs';

import { CombinedError } from '@urql/core';
import { NetworkError } from 'graphql-sse';
import { buildSchema, GraphQLError, isInterfaceType, isObjectType } from 'graphql';
import { describe, expect, it } from 'vitest';

import { refusalOf } from '../src/admin/useAction';
import { howToEnter } from '../src/admin/Page';
import { addressOf, placeOf, TABS } from '../src/admin/useAddress';
import { blockText } from '../src/admin/UserActions';
import { entryText } from '../src/progress/CreditsPanel';
import { by, sentence } from '../src/progress/events';
import { place } from '../src/progress/ExpiryTimeline';
import { groupGoals } from '../src/progress/goals';
import { visibilityTold } from '../src/progress/Hero';
import { ALL_PARTS, partsTouched } from '../src/progress/parts';
import { weeks } from '../src/progress/SeasonClock';
import { explain } from '../src/progress/Trouble';
import { allowed } from '../src/shared/allowed';
import { PARTS, POSSIBLE_TYPES } from '../src/shared/client';
import { plainly, whyMissing } from '../src/shared/errors';
import { backoff, verdict } from '../src/shared/live';
import { duration, relative, workload } from '../src/shared/time';
import { count, credits, dotted, idempotencyKey, initials, number } from '../src/shared/words';

const schema = buildSchema(readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'));
const fault = (code: string, ...path: string[]) =>
  new CombinedError({ graphQLErrors: [new GraphQLError('no', { path, extensions: { code } })] });

describe('the cache knows the schema', () => {
  it('which types stand behind an interface', () => {
    for (const type of Object.values(schema.getTypeMap()).filter(isInterfaceType)) {
      const possible = schema.getPossibleTypes(type).map(({ name }) => name).sort();
      expect(POSSIBLE_TYPES[type.name as keyof typeof POSSIBLE_TYPES]).toEqual(possible);
    }
  });

  it('which types have no id of their own', () => {
    for (const name of PARTS) {
      const type = schema.getType(name);
      expect(isObjectType(type) && !type.getInterfaces().some((one) => one.name === 'Node'), name).toBe(true);
    }
  });
});

describe('what is missing', () => {
  it('is private when the server forbids it', () => {
    expect(whyMissing(fault('FORBIDDEN', 'user', 'credits'), 'user', 'credits')).toBe('private');
  });

  it('has failed with any other code', () => {
    expect(whyMissing(fault('INTERNAL', 'user', 'credits', 'ledger'), 'user', 'credits')).toBe('failed');
  });

  it('is simply not there when no error says why', () => {
    expect(whyMissing(fault('FORBIDDEN', 'user', 'season'), 'user', 'credits')).toBeUndefined();
    expect(whyMissing(undefined, 'user')).toBeUndefined();
  });
});

describe('what a visitor is told', () => {
  it.each([
    [undefined, 'Nobody here'],
    [fault('INVALID_CREDENTIAL'), 'This token is not accepted'],
    [fault('INTERNAL', 'user'), 'This page could not be loaded'],
    [new CombinedError({ networkError: new TypeError('fetch failed') }), 'The server does not answer'],
  ])('%# %s', (error, title) => {
    expect(explain('grace', error, true).title).toBe(title);
  });
});

describe('the parts that an event changes', () => {
  it('are asked for again, and no others', () => {
    expect(partsTouched(['GOAL_CLAIMED'])).toEqual({ season: true, credits: true, learning: false, games: false, collections: false, history: true });
    expect(partsTouched(['CARDS_GRANTED', 'AWARD_EARNED'])).toMatchObject({ games: true, collections: true, credits: false });
  });

  it('are all for a kind that came later than this page', () => {
    expect(partsTouched(['GOAL_STEPS', 'SOMETHING_NEW'])).toEqual(ALL_PARTS);
    expect(partsTouched([null])).toEqual(ALL_PARTS);
  });

  it('are known for every kind of the schema', () => {
    const kinds = Object.keys((schema.getType('ProgressEventKind') as unknown as { getValues(): { name: string }[] }).getValues().reduce((all, { name }) => ({ ...all, [name]: 1 }), {}));
    const unknown = kinds.filter((kind) => partsTouched([kind]) === ALL_PARTS);
    expect(unknown).toEqual(['ERASED', 'MERGED', 'USER_CREATED']);
  });
});

describe('after a lost connection', () => {
  it('the pauses grow up to a bound', () => {
    expect([0, 1, 2, 10].map((attempt) => backoff(attempt, () => 1))).toEqual([500, 1_000, 2_000, 10_000]);
    expect(backoff(2, () => 0)).toBe(1_000);
  });

  it('the page tries again, unless the server has refused', () => {
    const answered = (status: number) => new NetworkError({ ok: false, status, statusText: 'no' } as never);
    expect(verdict(new NetworkError(new TypeError('fetch failed')))).toBe('again');
    expect(verdict(answered(503))).toBe('again');
    expect(verdict(answered(429))).toBe('again');
    expect(verdict(answered(401))).toBe('credential');
    expect(verdict(answered(403))).toBe('refused');
    expect(verdict(new Error('the server has no subscriptions'))).toBe('refused');
  });
});

it('goals of this week and of the season are what can be worked on; other weeks are earlier or to come', () => {
  const goal = (week: number | null) => ({ goal: { week } });
  const titles = (currentWeek: number | undefined) => {
    const { now, earlier, coming } = groupGoals([goal(1), goal(null), goal(3), goal(4), goal(2), goal(5)], currentWeek);
    return [now, earlier, coming].map((groups) => groups.map(({ title }) => title));
  };
  expect(titles(3)).toEqual([['This week', 'All season'], ['Week 2', 'Week 1'], ['Week 4', 'Week 5']]);
  expect(titles(undefined)).toEqual([['All season'], ['Week 5', 'Week 4', 'Week 3', 'Week 2', 'Week 1'], []]);
});

it('a season has as many weeks as begin in it', () => {
  expect(weeks({ duration: 15 * 86_400, weekLength: 7 * 86_400, timeLeft: 86_400 })).toEqual({ all: 3, passed: 2 });
});

it('amounts stand at their dates, the latest at the end', () => {
  const at = (ms: number, amount: string) => ({ expiresAt: new Date(ms).toISOString(), amount: { credits: amount } });
  expect(place([at(1_000, '5'), at(2_000, '10')], 0)).toEqual([{ x: 50, height: 0.5 }, { x: 100, height: 1 }]);
  expect(place([at(-5, '0')], 0)).toEqual([{ x: 0, height: 0.08 }]);
});

it('events are told in words, also those with changes of another shape', () => {
  expect(sentence('GOAL_STEPS', { added: 1, completedSteps: 2, totalSteps: 5 })).toBe('1 step done, now 2 of 5');
  expect(sentence('AWARD_EARNED', { award: 'BEATEN_HARDCORE' })).toBe('Award earned: beaten hardcore');
  expect(sentence('CARDS_GRANTED', null)).toBe('Cards collected');
  expect(sentence(null, {})).toBe('Something happened');
  expect(sentence('GOAL_STEPS', { added: 1_200, completedSteps: 1_200, totalSteps: 5_000 })).toBe('1,200 steps done, now 1,200 of 5,000');
  expect(sentence('GOAL_STEPS', {})).toBe('Steps done');
  expect(sentence('CREDITS_GRANTED', { credits: '1250.5' })).toBe('1,250.5 credits granted');
  expect(sentence('GOAL_CLAIMED', { credits: '1' })).toBe('Reward claimed: 1 credit');
  expect(['user:01ABC', 'operator', 'app:demo'].map(by)).toEqual(['by the user', 'by an operator', 'by the app demo']);
});

it('refusals of any mutation are found', () => {
  expect(refusalOf({ grantCredits: { userErrors: [{ code: 'BLOCKED', message: 'no' }] } })).toBe('No (BLOCKED)');
  expect(refusalOf({ unlock: { userErrors: [], results: [{ error: null }, { error: { code: 'X', message: 'y' } }] } })).toBe('Y (X)');
  expect(refusalOf({ grantCredits: { userErrors: [] } })).toBeUndefined();
});

it('a credential is described by what it allows', () => {
  expect(allowed({ kind: 'APP', scopes: ['ADMIN'] })).toBe('may do everything');
  expect(allowed({ kind: 'ANONYMOUS', scopes: [] })).toContain('public profiles');
  expect(allowed({ kind: 'USER', scopes: [], user: null })).toContain('nothing is recorded');
});

describe('words for people', () => {
  it('name the two largest units of a length of time', () => {
    expect([0, 61, 3_661, 90_000, 61 * 86_400 + 3_600].map(duration)).toEqual(['0 seconds', '1 minute', '1 hour, 1 minute', '1 day, 1 hour', '61 days']);
  });

  it('say how long ago it was', () => {
    const now = Date.parse('2026-11-21T12:00:00Z');
    expect(relative('2026-11-21T11:59:40Z', now)).toBe('just now');
    expect(relative('2026-11-18T12:00:00Z', now)).toBe('3 days ago');
    expect(relative('2026-11-21T14:00:00Z', now)).toBe('in 2 hours');
  });

  it('keep amounts exact', () => {
    expect(['0', '1250.5', '1234567.000001'].map(credits)).toEqual(['0', '1,250.5', '1,234,567.000001']);
    expect([count(1, 'game'), count(1_300, 'game')]).toEqual(['1 game', '1,300 games']);
  });

  it('stand for names', () => {
    expect(['Grace', 'Ada Lovelace', 'x'].map(initials)).toEqual(['GR', 'AL', 'X']);
  });

  it('make keys that differ', () => {
    expect(idempotencyKey()).toMatch(/^[0-9a-f]{32}$/);
    expect(idempotencyKey()).not.toBe(idempotencyKey());
  });
});

it('a grant that is the reward of a goal is called so in the ledger', () => {
  const claims = [{ subject: 'goal:quiz', changes: { credits: '4', lot: 3 } }];
  const titleOf = (goal: string) => (goal === 'goal:quiz' ? 'Quiz Night' : undefined);
  const entry = { kind: 'GRANT' as const, lot: 3, reason: null };
  expect(entryText(entry, claims, titleOf)).toBe('Goal reward: Quiz Night');
  expect(entryText(entry, claims, () => undefined)).toBe('Goal reward');
  expect(entryText({ ...entry, lot: 4, reason: 'Community prize' }, claims, titleOf)).toBe('Grant: Community prize');
  expect(entryText({ ...entry, kind: 'SPEND' }, claims, titleOf)).toBe('Spend');
});

it('what is told of a change is said to the owner, or of the user to those who act for them', () => {
  expect(visibilityTold('PRIVATE', { isOwn: true, name: 'Grace' })).toBe('Your profile is private now.');
  expect(visibilityTold('PRIVATE', { isOwn: false, name: 'Grace' })).toBe('Grace’s profile is private now.');
  expect(visibilityTold('PUBLIC', { isOwn: false, name: 'Grace' })).toBe('Grace’s games and collections are public now.');
});

it('work is counted in hours, never in days', () => {
  expect([45, 60, 390, 24_480, 150_000, 0].map(workload)).toEqual(['45 min', '1 h', '6 h 30 min', '408 h', '2,500 h', '0 min']);
});

it('parts that there are have a dot between them, and no others', () => {
  expect([dotted('PC', '9 months ago'), dotted(null, '9 months ago'), dotted('PC', false), dotted('', undefined)]).toEqual(['PC · 9 months ago', '9 months ago', 'PC', '']);
  expect(number(3_289)).toBe('3,289');
});

describe('the operator’s page', () => {
  it('has an address for every tab and user', () => {
    for (const tab of TABS) expect(placeOf(addressOf({ tab }))).toEqual({ tab });
    const place = { tab: 'Users' as const, user: 'user:01ARZ3NDEKTSV4RRFFQ69G5FAV' };
    expect(addressOf(place)).toBe('?tab=users&user=user:01ARZ3NDEKTSV4RRFFQ69G5FAV');
    expect(placeOf(addressOf(place))).toEqual(place);
    expect(placeOf('?tab=nonsense')).toEqual({ tab: 'Users' });
  });

  it('says how to become an operator on either kind of server', () => {
    expect(howToEnter(true)).toContain('View as');
    expect(howToEnter(false)).toMatch(/field “Token”.*key create/);
  });

  it('says what a block keeps from', () => {
    expect(blockText({ scope: 'CLAIM', reason: 'a dispute' })).toBe('Claiming is blocked: a dispute');
    expect(blockText({ scope: 'ALL', reason: 'a dispute' })).toBe('Claiming and spending are blocked: a dispute');
  });
});

it('where a value stands in the request does not reach people', () => {
  const amount = 'a decimal number in a string with at most six decimals, such as "12.5", and not "ten"';
  expect(plainly(`input.amount.credits takes ${amount}`)).toBe(`Expected ${amount}`);
  expect(plainly('input.steps.0.setTo takes a whole number, and not 1.5')).toBe('Expected a whole number, and not 1.5');
  expect(plainly('a handle has 2 to 20 letters and digits')).toBe('A handle has 2 to 20 letters and digits');
});
