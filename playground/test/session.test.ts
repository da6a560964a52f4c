import { expect, it } from 'vitest';

import type { PlaygroundConfig } from '../src/shared/config';
import { Session } from '../src/shared/session';

const config = (...names: string[]): PlaygroundConfig => (
  { mode: 'try', graphql: '/graphql', credentials: names.map((name) => ({ name, title: name, token: `token of ${name}` })) });
const SERVE: PlaygroundConfig = { mode: 'serve', graphql: '/graphql', credentials: [] };

it('whoever opens the page of somebody is that somebody, in any case of letters', () => {
  expect(new Session(config('grace', 'MaxMilyin'), store(), 'maxmilyin').token).toBe('token of MaxMilyin');
});

it('on the page of somebody else a visitor is anonymous', () => {
  const session = new Session(config('grace'), store(), 'lovelace');
  expect([session.name, session.token]).toEqual(['', undefined]);
});

it('a choice holds, also that of nobody', () => {
  const kept = store();
  new Session(config('grace', 'ada'), kept, 'grace').choose('');
  const session = new Session(config('grace', 'ada'), kept, 'grace');
  expect(session.token).toBeUndefined();
  session.choose('ada');
  expect(new Session(config('grace', 'ada'), kept, 'grace').name).toBe('ada');
});

it('a choice that is not offered any more is forgotten', () => {
  const kept = store();
  new Session(config('gone'), kept).choose('gone');
  expect(new Session(config('grace'), kept, 'grace').name).toBe('grace');
});

it('a server that was started anew knows the visitor by the same name', () => {
  const session = new Session(config('grace'), store(), 'grace');
  expect(session.renew(config('grace'))).toBe(false);
  expect(session.renew({ ...config(), credentials: [{ name: 'grace', title: '', token: 'another' }] })).toBe(true);
  expect(session.token).toBe('another');
});

it('a token of one’s own is kept, and can be taken away', () => {
  const session = new Session(SERVE, store());
  let told = 0;
  session.subscribe(() => { told += 1; });
  session.useToken('mine');
  expect(session.token).toBe('mine');
  session.useToken('');
  expect(session.token).toBeUndefined();
  expect([told, session.version]).toEqual([2, 2]);
});

function store() {
  const entries = new Map<string, string>();
  return {
    getItem: (key: string) => entries.get(key) ?? null,
    setItem: (key: string, value: string) => void entries.set(key, value),
    removeItem: (key: string) => void entries.delete(key),
  };
}
