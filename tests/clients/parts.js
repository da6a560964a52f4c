// What a cache has to know of the schema: the types behind each interface, and the objects without an id. Those belong to
// what they stand in.

import { readFileSync } from 'node:fs'
import { buildSchema, isInterfaceType, isObjectType } from 'graphql'
import { schemaFile } from './scratch.js'

const schema = buildSchema(readFileSync(schemaFile, 'utf8'))
const types = Object.values(schema.getTypeMap()).filter(({ name }) => !name.startsWith('__'))
const roots = ['Query', 'Mutation', 'Subscription']

export const possibleTypes = Object.fromEntries(
  types.filter(isInterfaceType).map((type) => [type.name, schema.getPossibleTypes(type).map(({ name }) => name)]),
)

export const parts = types
  .filter((type) => isObjectType(type) && !roots.includes(type.name) && !('id' in type.getFields()))
  .map(({ name }) => name)
