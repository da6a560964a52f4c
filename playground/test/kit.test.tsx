import { readdirSync, readFileSync } from 'node:fs';

import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';

import { makeFragmentData } from '../src/gql/fragment-masking';
import {
  AwardCaseItemFragmentDoc, CardGridItemFragmentDoc, CreditBadgeFragmentDoc, type GoalItemFragment, GoalItemFragmentDoc, RingFragmentDoc,
} from '../src/gql/graphql';
import { AwardCase, CardGrid, CreditBadge, GoalList, PictureFilter, Ring } from '../src/kit';
import { standing } from '../src/kit/GoalList';
import { arc, percent } from '../src/kit/Ring';

/** Data of a fragment, without the names of its types. */
const fake: (data: object, document: never) => never = (data, document) => makeFragmentData(data as never, document) as never;

const GOAL = {
  id: 'goal_progress:u:g', title: 'Quiz Night', completedSteps: 2, totalSteps: 3, goalState: 'OPEN', isClaimed: false, isClaimable: false,
  claimedAt: null, claimRefusal: 'GOAL_INCOMPLETE', reward: { credits: '4' }, goal: { id: 'goal:g', description: '', week: 4, thumbnail: null },
} as GoalItemFragment;

const goals = (...goal: Partial<GoalItemFragment>[]) => goal.map((one) => fake({ ...GOAL, ...one }, GoalItemFragmentDoc as never));

describe('the ring', () => {
  it('is full only when all is done', () => {
    expect([0, 0.001, 0.999, 1].map(percent)).toEqual([0, 0, 99, 100]);
    expect(arc(0)).toBe(0);
    expect(arc(0.999)).toBeLessThan(1);
    expect(arc(0.001)).toBeGreaterThan(0.01);
    expect(arc(1)).toBe(1);
  });

  it('says in words what it draws', () => {
    const progress = fake({ id: 'x', title: 'Algorithms', kind: 'STUDY_PLAN', done: 3, total: 7, ratio: 3 / 7, state: 'IN_PROGRESS' }, RingFragmentDoc as never);
    expect(renderToStaticMarkup(<Ring progress={progress} />)).toContain('Algorithms: 3 of 7, 42 %');
  });
});

describe('the goal list', () => {
  it('has a button only for what can be claimed, and only where claiming is possible', () => {
    const claimable = goals({}, { id: '2', title: 'Marathon', goalState: 'COMPLETE', isClaimable: true, claimRefusal: null });
    expect(renderToStaticMarkup(<GoalList goals={claimable} />)).not.toContain('<button');
    const html = renderToStaticMarkup(<GoalList goals={claimable} onClaim={() => undefined} />);
    expect(html.match(/<button/g)).toHaveLength(1);
    expect(html).toContain('the reward of Marathon');
  });

  it('does not offer a claim that is under way', () => {
    const html = renderToStaticMarkup(<GoalList goals={goals({ goalState: 'COMPLETE', isClaimable: true })} onClaim={() => undefined} claiming={new Set(['goal:g'])} />);
    expect(html).toContain('disabled');
    expect(html).toContain('Claiming…');
  });

  it('draws a box for each step while they can be counted', () => {
    const boxes = (totalSteps: number) => renderToStaticMarkup(<GoalList goals={goals({ totalSteps })} />).match(/steps-track/g)?.length;
    expect([boxes(3), boxes(12), boxes(30)]).toEqual([3, 12, 1]);
  });

  it.each([
    [{ goalState: 'OPEN' as const }, '1 to go'],
    [{ goalState: 'COMPLETE' as const, claimRefusal: null }, 'Ready to claim'],
    [{ goalState: 'COMPLETE' as const, claimRefusal: 'BLOCKED' as const }, 'Claiming is blocked for now'],
    [{ goalState: 'CLAIMED' as const }, 'Claimed'],
    [{ goalState: 'MISSED' as const }, 'Its week is over'],
    [{ goalState: 'LOCKED' as const }, 'Opens with its week'],
  ])('says where a goal stands: %o', (goal, text) => {
    expect(standing({ ...GOAL, ...goal })).toBe(text);
  });
});

it('the award case leaves out games without an award', () => {
  const games = [
    fake({ id: '1', title: 'Emerald Sprint', highestAward: { award: 'MASTERED' as const, earnedAt: '2026-11-20T00:00:00Z' }, game: { id: 'game:1', image: null } }, AwardCaseItemFragmentDoc as never),
    fake({ id: '2', title: 'Echo Lake', highestAward: null, game: { id: 'game:2', image: null } }, AwardCaseItemFragmentDoc as never),
  ];
  const html = renderToStaticMarkup(<AwardCase games={games} />);
  expect(html).toContain('Emerald Sprint');
  expect(html).not.toContain('Echo Lake');
});

const card = (name: string, quantity: number, image: string | null = null) => fake(
  { quantity, isOwned: quantity > 0, card: { id: `card:${name}`, name, rarity: 'rare', image } }, CardGridItemFragmentDoc as never);

it('the card grid tells owned from missing cards without colour', () => {
  const html = renderToStaticMarkup(<CardGrid title="Winter" cards={[card('Icicle', 1_300), card('Sled', 0)]} />);
  expect(html).toContain('1,300 of them');
  expect(html).toMatch(/Sled<\/span><span[^>]*>missing/);
});

describe('a picture', () => {
  const cards = [card('Icicle', 1, 'https://i.example/1.png'), card('Sled', 0, 'https://i.example/2.png')];

  it('is shown of what is owned, and of nothing else', () => {
    const html = renderToStaticMarkup(<CardGrid title="Winter" cards={cards} />);
    expect(html.match(/<img [^>]*>/g)).toHaveLength(1);
    expect(html).toContain('src="https://i.example/1.png"');
    expect(html).toContain('referrerPolicy="no-referrer"');
  });

  it('is drawn from the name where none may be shown', () => {
    const html = renderToStaticMarkup(<PictureFilter value={() => false}><CardGrid title="Winter" cards={cards} /></PictureFilter>);
    expect(html).not.toContain('<img');
    expect(html).toContain('<svg class="card-face"');
  });
});

it('the kit needs no style but its own', () => {
  const sheet = readFileSync(new URL('../src/styles/kit.css', import.meta.url), 'utf8');
  const folder = new URL('../src/kit/', import.meta.url);
  const sources = readdirSync(folder).filter((file) => file.endsWith('.tsx')).map((file) => readFileSync(new URL(file, folder), 'utf8')).join('\n');
  const used = [...sources.matchAll(/className="([^"]+)"/g)].flatMap(([, names]) => names?.split(' ') ?? []);
  expect(used.length).toBeGreaterThan(15);
  // `goal-body` and the like; what has no rule of its own is no class from elsewhere either.
  const elsewhere = ['base', 'page', 'admin', 'shell'].map((name) => readFileSync(new URL(`../src/styles/${name}.css`, import.meta.url), 'utf8')).join('\n');
  const foreign = [...new Set(used)].filter((name) => !sheet.includes(`.${name}`) && new RegExp(`\\.${name}\\b`).test(elsewhere));
  expect(foreign).toEqual([]);
  const bare = [...sheet.matchAll(/var\(--(?!kit-)[\w-]+\)/g)].map(([text]) => text);
  expect(bare, 'every property of the page has a value for pages that do not set it').toEqual([]);
});

it('the credit badge warns of expiry and of blocks', () => {
  const account = fake({ available: { credits: '1250.5' }, expiresIn: 3_660, isBlockedForClaiming: true, isBlockedForSpending: false }, CreditBadgeFragmentDoc as never);
  const html = renderToStaticMarkup(<CreditBadge account={account} />);
  for (const text of ['1,250.5', 'next expiry in 1 hour, 1 minute', 'Claiming is blocked']) expect(html).toContain(text);
});
