import { buildSchema, defaultFieldResolver, isAbstractType, isEnumType, isListType, isNonNullType, isObjectType, isScalarType } from 'graphql';

const LIST_LENGTH = 2;

const SCALARS = {
  Boolean: () => true,
  Credits: () => '12.5',
  DateTime: () => '2026-03-15T14:30:00Z',
  Float: () => 0.5,
  ID: (name) => `${name}:1`,
  Int: () => 3,
  String: (name) => `a ${name}`,
};

/** The schema of this SDL with an answer of the right shape for every field. */
export function inventedSchema(sdl) {
  const schema = buildSchema(sdl);
  const invent = (type, name) => {
    if (isNonNullType(type)) return invent(type.ofType, name);
    if (isListType(type)) return Array.from({ length: LIST_LENGTH }, () => invent(type.ofType, name));
    if (isAbstractType(type)) return { __typename: schema.getPossibleTypes(type)[0].name };
    if (isEnumType(type)) return type.getValues()[0].value;
    if (isScalarType(type)) return (SCALARS[type.name] ?? SCALARS.String)(name);
    return {};
  };
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const field of Object.values(type.getFields())) {
      field.resolve = (source, args, context, info) =>
        defaultFieldResolver(source, args, context, info) ?? invent(field.type, field.name);
    }
  }
  return schema;
}
