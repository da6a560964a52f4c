import { describe, expect, it } from 'vitest';

import { allowsPicture, parseConfig } from '../src/shared/config';

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

describe('pictures', () => {
  const allowed = (imageOrigins: string[], address: string) => allowsPicture({ imageOrigins }, address, PAGE);

  it('of this server are shown', () => {
    expect([allowed([], '/a.png'), allowed([], `${PAGE}a.png`)]).toEqual([true, true]);
  });

  it('of other hosts are shown where the operator lists their origin', () => {
    const origins = ['https://I.example:443', 'http://localhost:9'];
    const shown = ['https://i.example/a.png', 'http://localhost:9/a', 'http://i.example/a', 'https://j.example/a', 'https://i.example.org/a'];
    expect(shown.map((address) => allowed(origins, address))).toEqual([true, true, false, false, false]);
    expect(allowed([], 'https://i.example/a.png')).toBe(false);
    expect(allowed(['*'], 'https://any.example/a.png')).toBe(true);
  });

  it('are pictures of the web, or none', () => {
    for (const address of ['data:image/png;base64,AA', 'javascript:alert(1)', 'http://', 'file:///a']) expect(allowed(['*'], address), address).toBe(false);
  });

  it('keep their list as the server told it', () => {
    const config = parseConfig({ mode: 'serve', graphql: '/graphql', credentials: [], imageOrigins: ['https://i.example', 3] }, PAGE);
    expect(config.imageOrigins).toEqual(['https://i.example']);
  });
});
