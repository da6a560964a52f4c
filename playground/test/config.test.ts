import { describe, expect, it } from 'vitest';

import { parseConfig } from '../src/shared/config';

const PAGE = 'http://127.0.0.1:8080/';
const GRACE = { name: 'grace', title: 'Grace', token: 'secret' };

describe('playground.json', () => {
  it('offers credentials in try mode', () => {
    const config = { mode: 'try', graphql: '/graphql', credentials: [GRACE] };
    expect(parseConfig(config, PAGE)).toEqual(config);
  });

  it('may offer none', () => {
    const config = { mode: 'serve', graphql: '/graphql', credentials: [] };
    expect(parseConfig(config, PAGE)).toEqual(config);
  });

  it.each([
    ['is not an object', null],
    ['has another mode', { mode: 'demo', graphql: '/graphql', credentials: [] }],
    ['has no address', { mode: 'try', credentials: [] }],
    ['has a credential without a token', { mode: 'try', graphql: '/graphql', credentials: [{ name: 'a', title: 'A' }] }],
    ['would send tokens to another host', { mode: 'try', graphql: '//elsewhere.example/graphql', credentials: [] }],
  ])('is refused when it %s', (_, config) => {
    expect(() => parseConfig(config, PAGE)).toThrow(TypeError);
  });
});
