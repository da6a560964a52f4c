import { readFileSync } from 'node:fs';

import { buildSchema, type DocumentNode, type OperationDefinitionNode, parse, validate } from 'graphql';
import { getVariableValues } from 'graphql/execution/values';
import { describe, expect, it } from 'vitest';

import { EXAMPLES } from '../src/explore/examples';

const schema = buildSchema(readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'));

describe.each(EXAMPLES.map((example) => ({ ...example, name: operation(parse(example.query)).name?.value })))(
  'the example $name',
  ({ name, query, variables }) => {
    it('has a name, which is the title of its tab', () => {
      expect(name).toMatch(/^[A-Z]\w+$/);
    });

    it('begins with a comment of one or two sentences', () => {
      const comment = /^(?:#.*\n)+/.exec(query)?.[0] ?? '';
      expect(comment.replaceAll(/\n#? ?/g, ' ').match(/[.?](?= )/g)?.length).toBeOneOf([1, 2]);
    });

    it('is valid against the schema', () => {
      expect(validate(schema, parse(query)).map(({ message }) => message)).toEqual([]);
    });

    it('has variables that fit their types', () => {
      const definitions = operation(parse(query)).variableDefinitions ?? [];
      const { errors } = getVariableValues(schema, definitions, JSON.parse(variables ?? '{}'));
      expect(errors?.map(({ message }) => message) ?? []).toEqual([]);
    });
  },
);

it('the first example asks for the whole profile of a user', () => {
  const [profile] = EXAMPLES;
  expect(profile?.query).toContain('query Profile(');
  expect(JSON.parse(profile?.variables ?? '{}')).toEqual({ user: { handle: 'grace' } });
});

function operation(document: DocumentNode): OperationDefinitionNode {
  const found = document.definitions.find((definition) => definition.kind === 'OperationDefinition');
  if (found === undefined) throw new Error('the document has no operation');
  return found;
}
