import { expect, it } from 'vitest';

import { forgetTabs, initialEditors } from '../src/explore/tabs';

const EXAMPLES = [
  { query: 'query First { a }', variables: '{"x": 1}' },
  { query: 'query Second { b }', variables: null },
];

it('a new visitor begins with the first example and its variables', () => {
  expect(initialEditors(EXAMPLES, storage())).toEqual({ initialQuery: 'query First { a }', initialVariables: '{"x": 1}' });
});

it('a visitor who comes back sees the tab that was open', () => {
  const tabs = [{ query: 'query Mine { c }', variables: '{"y": 2}' }, { query: 'query Other { d }', variables: null }];
  const stored = storage({ activeTabIndex: 1, tabs });
  expect(initialEditors(EXAMPLES, stored)).toEqual({ initialQuery: 'query Other { d }', initialVariables: '' });
});

it('unreadable stored tabs are ignored', () => {
  expect(initialEditors(EXAMPLES, storage(7)).initialQuery).toBe('query First { a }');
});

it('forgotten tabs give way to the examples', () => {
  const stored = storage({ activeTabIndex: 0, tabs: [{ query: 'query Mine { c }', variables: null }] });
  forgetTabs(stored);
  expect(initialEditors(EXAMPLES, stored).initialQuery).toBe('query First { a }');
});

/** The part of `localStorage` that is used here, holding these tabs. */
function storage(tabs?: unknown): Storage {
  const entries = new Map(tabs === undefined ? [] : [['graphiql:tabState', JSON.stringify(tabs)]]);
  return {
    getItem: (key: string) => entries.get(key) ?? null,
    removeItem: (key: string) => entries.delete(key),
  } as unknown as Storage;
}
