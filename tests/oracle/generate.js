// Writes random documents for our schema, each with what graphql-js makes of it: whether it is refused, and else which
// fields are asked for of which type of object, with the values of their arguments.
//
//   node generate.js [--seed 1] [--count 200] > cases.ndjson

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import {
  buildSchema,
  getNamedType,
  getNullableType,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  parse,
  validate,
  valueFromASTUntyped,
} from "graphql";
import { collectFields, collectSubfields } from "graphql/execution/collectFields.js";
import { getArgumentValues, getVariableValues } from "graphql/execution/values.js";

const { values: options } = parseArgs({
  options: { seed: { type: "string", default: "1" }, count: { type: "string", default: "200" } },
});

const schema = buildSchema(readFileSync(new URL("../../schema.graphql", import.meta.url), "utf8"));

// graphql-js knows nothing of our scalars. What they refuse is tested elsewhere: here they get what they take.
for (const type of Object.values(schema.getTypeMap())) {
  if (["BigInt", "Credits", "DateTime", "JSON"].includes(type.name)) {
    type.parseValue = (value) => value;
    type.parseLiteral = (node, variables) => valueFromASTUntyped(node, variables);
  }
}

/** Numbers that come in the same order for the same seed (mulberry32). */
class Dice {
  constructor(seed) {
    this.state = seed >>> 0;
  }

  next() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }

  below(count) {
    return Math.floor(this.next() * count);
  }

  one(list) {
    return list[this.below(list.length)];
  }

  chance(of) {
    return this.next() < of;
  }
}

const TEXTS = ["", "a", "A b", "é", "𝒳 😀", "line\nbreak", 'quo"te', "back\\slash", "\t", "\u2028", "1", "true", "game:1"];
const NUMBERS = [0, 1, 2, 3, 7, 20, 50, 100, -1];

/** Makes one document. */
class Author {
  constructor(dice) {
    this.dice = dice;
    this.variables = new Map();
    this.fragments = new Map();
    this.keys = new Map();
    // Most documents are to be right; what is wrong stands in one place, for the cause to be seen.
    this.faults = dice.chance(0.25) ? 1 : 0;
  }

  wrong(chance) {
    if (this.faults === 0 || !this.dice.chance(chance)) return false;
    this.faults = 0;
    return true;
  }

  /** A value of this type: its text in a document and as JSON. */
  value(type, depth = 0, mayBeNull = true) {
    const { dice } = this;
    if (isNonNullType(type)) {
      return this.wrong(0.04) ? { text: "null", json: null } : this.value(type.ofType, depth, false);
    }
    if (mayBeNull && dice.chance(0.08)) return { text: "null", json: null };
    if (isListType(type)) {
      // A single value stands for a list of one.
      if (dice.chance(0.15)) return this.value(type.ofType, depth + 1, mayBeNull);
      const items = Array.from({ length: dice.below(4) }, () => this.inner(type.ofType, depth + 1));
      return { text: `[${items.map((item) => item.text).join(", ")}]`, json: items.map((item) => item.json) };
    }
    if (isInputObjectType(type)) return this.object(type, depth);
    const isOurs = !isEnumType(type) && !["Boolean", "Float", "ID", "Int", "String"].includes(type.name);
    if (!isOurs && this.wrong(0.05)) return dice.one([this.scalar("String"), this.scalar("Float"), { text: "{}", json: {} }]);
    if (isEnumType(type)) {
      const name = dice.one(type.getValues()).name;
      return { text: name, json: name };
    }
    return this.scalar(type.name);
  }

  /** A value inside of another one; a variable at times, which has no place in JSON. */
  inner(type, depth) {
    if (this.inJson || !this.dice.chance(0.15)) return this.value(type, depth);
    return { text: this.variable(type), json: null };
  }

  object(type, depth) {
    const { dice } = this;
    const fields = Object.values(type.getFields());
    let chosen = fields.filter((field) => (isNonNullType(field.type) && field.defaultValue === undefined) || dice.chance(depth > 2 ? 0.1 : 0.35));
    if (type.isOneOf) {
      chosen = [dice.one(fields)];
      if (this.wrong(0.2)) chosen = dice.chance(0.5) ? [] : fields.slice(0, 2);
    } else if (this.wrong(0.1)) {
      chosen = chosen.slice(1);
    }
    const members = chosen.map((field) => {
      if (!type.isOneOf) return [field.name, this.inner(field.type, depth + 1)];
      // What is one of many has to have a value. A variable would have to be of a type without null, which graphql-js 16
      // does not ask.
      return [field.name, this.wrong(0.3) ? { text: "null", json: null } : this.value(field.type, depth + 1, false)];
    });
    const json = Object.fromEntries(members.map(([name, value]) => [name, value.json]));
    const text = members.map(([name, value]) => `${name}: ${value.text}`);
    if (this.wrong(0.05)) {
      text.push("unheardOf: 1");
      json.unheardOf = 1;
    }
    return { text: `{${text.join(", ")}}`, json };
  }

  scalar(name) {
    const { dice } = this;
    const json = {
      Int: () => (this.wrong(0.05) ? dice.one([2147483648, 1.5, "1"]) : dice.one([...NUMBERS, 2147483647])),
      Float: () => dice.one([...NUMBERS, 0.5, -2.25, 1e21]),
      Boolean: () => (this.wrong(0.05) ? "true" : dice.chance(0.5)),
      String: () => (this.wrong(0.05) ? 7 : dice.one(TEXTS)),
      ID: () => (dice.chance(0.3) ? dice.one([1, 42, -3, 9007199254740991]) : dice.one(["1", "game:1", "user:x", "é"])),
      BigInt: () => dice.one([0, 1, -5, 9007199254740991]),
      Credits: () => dice.one(["0", "12.5", "1000000"]),
      DateTime: () => dice.one(["2026-03-15T14:30:00.000Z", "2026-03-15T14:30:00+02:00"]),
      JSON: () => dice.one([1, "a", [1, { b: null }], { c: [true] }]),
    }[name]();
    if (typeof json === "string" && ["String"].includes(name) && dice.chance(0.15) && !/["\\\u2028\t]/.test(json)) {
      return { text: `"""${json}"""`, json };
    }
    return { text: literal(json), json };
  }

  /** The name of a variable that may stand where this type is wanted. */
  variable(type, hasDefault = false) {
    const { dice } = this;
    const named = [...this.variables].filter(([, known]) => known.wanted === String(type));
    if (named.length > 0 && dice.chance(0.4)) return `$${dice.one(named)[0]}`;
    const name = `v${this.variables.size}`;
    const known = { wanted: String(type), declared: String(type) };
    this.variables.set(name, known);
    this.inJson = true;
    const nullable = getNullableType(type);
    let isNullable = !isNonNullType(type);
    if (!isNullable && dice.chance(0.25)) {
      // A default that is not null, here or at the place, lets a nullable variable stand where null may not.
      known.declared = String(nullable);
      if (!hasDefault || dice.chance(0.5)) known.default = this.value(nullable, 1, false).text;
      isNullable = true;
    } else if (isNullable && dice.chance(0.2)) {
      known.declared = `${nullable}!`;
      isNullable = false;
    } else if (dice.chance(0.2)) {
      known.default = this.value(type, 1).text;
    }
    if (this.wrong(0.05)) known.declared = dice.one(["String", "Int!", "[ID!]", "Nothing"]);
    const omits = (isNullable || known.default !== undefined || this.wrong(0.2)) && dice.chance(0.35);
    if (!omits) {
      const value = isNullable && !isNonNullType(type) ? this.value(nullable, 1) : this.value(nullable, 1, false);
      known.value = value.json;
    }
    this.inJson = false;
    return this.wrong(0.05) ? "$undeclared" : `$${name}`;
  }

  arguments(field) {
    const { dice } = this;
    const texts = [];
    for (const argument of field.args) {
      const isNeeded = isNonNullType(argument.type) && argument.defaultValue === undefined;
      if (!isNeeded && !dice.chance(0.3)) continue;
      if (isNeeded && this.wrong(0.1)) continue;
      const value = dice.chance(0.35)
        ? this.variable(argument.type, argument.defaultValue !== undefined)
        : this.value(argument.type).text;
      texts.push(`${argument.name}: ${value}`);
    }
    if (this.wrong(0.02)) texts.push("unheardOf: 1");
    return texts.length === 0 ? "" : `(${texts.join(", ")})`;
  }

  directives() {
    const { dice } = this;
    if (!dice.chance(0.1)) return "";
    const condition = () => (dice.chance(0.5) ? String(dice.chance(0.5)) : this.variable(BOOLEAN));
    const name = dice.chance(0.5) ? "skip" : "include";
    const one = ` @${name}(if: ${condition()})`;
    return dice.chance(0.1) ? `${one} @${name === "skip" ? "include" : "skip"}(if: ${condition()})` : one;
  }

  /** A selection of this type. */
  selections(type, depth) {
    const { dice } = this;
    const parts = [];
    for (let count = 1 + dice.below(depth > 3 ? 2 : 4); count > 0; count -= 1) {
      const kind = dice.next();
      if (kind < 0.12 && depth < 5) parts.push(`...${this.condition(type, depth)}`);
      else if (kind < 0.24 && depth < 5) parts.push(this.spread(type, depth));
      else if (kind < 0.32 || !type.getFields) parts.push(dice.chance(0.3) ? "t: __typename" : "__typename");
      else parts.push(this.field(type, depth));
    }
    // A key twice: its parts are put together.
    if (dice.chance(0.1)) parts.push(dice.one(parts));
    return `{ ${parts.join(" ")} }`;
  }

  /** A type that objects of `type` can be of too. */
  narrowed(type) {
    const { dice } = this;
    if (this.wrong(0.03)) return schema.getType("AuditEntry");
    const possible = isAbstractType(type) ? [...schema.getPossibleTypes(type)] : [...type.getInterfaces()];
    return possible.length === 0 || dice.chance(0.3) ? type : dice.one(possible);
  }

  condition(type, depth) {
    if (this.dice.chance(0.2)) return `${this.directives()} ${this.selections(type, depth + 1)}`;
    const on = this.narrowed(type);
    return ` on ${on.name}${this.directives()} ${this.selections(on, depth + 1)}`;
  }

  spread(type, depth) {
    const on = this.narrowed(type);
    const known = [...this.fragments].filter(([, fragment]) => fragment.on === on.name && fragment.text);
    if (known.length > 0 && this.dice.chance(0.5)) return `...${this.dice.one(known)[0]}`;
    const name = `F${this.fragments.size}`;
    const fragment = { on: on.name };
    this.fragments.set(name, fragment);
    fragment.text = this.selections(on, depth + 1);
    return this.wrong(0.05) ? "...Unknown" : `...${name}${this.directives()}`;
  }

  field(type, depth) {
    const { dice } = this;
    const all = Object.values(type.getFields());
    const simple = all.filter((field) => !isCompositeType(getNamedType(field.type)));
    const field = dice.one(depth > 4 && simple.length > 0 ? simple : all);
    const composite = isCompositeType(getNamedType(field.type));
    const written = this.arguments(field);
    // The same key always stands for the same field with the same arguments, so that most documents are valid.
    let alias = "";
    if (written !== "" || dice.chance(0.15)) {
      const place = `${type.name}.${field.name}${written}`;
      if (!this.keys.has(place)) this.keys.set(place, `k${this.keys.size}`);
      alias = `${this.keys.get(place)}: `;
    }
    if (this.wrong(0.03)) alias = "k: ";
    const name = this.wrong(0.03) ? "unheardOf" : field.name;
    const inner = composite === this.wrong(0.02) ? "" : ` ${this.selections(composite ? getNamedType(field.type) : type, depth + 1)}`;
    return `${alias}${name}${written}${this.directives()}${inner}`;
  }

  document() {
    const { dice } = this;
    const kind = dice.next();
    const root = kind < 0.7 ? schema.getQueryType() : kind < 0.93 ? schema.getMutationType() : schema.getSubscriptionType();
    const operation = root === schema.getQueryType() ? "query" : root === schema.getMutationType() ? "mutation" : "subscription";
    const selections =
      operation === "subscription" && !this.wrong(0.2) ? `{ ${this.field(root, 0)} }` : this.selections(root, 0);
    const variables = [...this.variables].map(([name, known]) => {
      const fallback = known.default === undefined ? "" : ` = ${known.default}`;
      return `$${name}: ${known.declared}${fallback}`;
    });
    if (this.wrong(0.1)) variables.push("$unused: Int");
    const given = Object.fromEntries([...this.variables].filter(([, known]) => known.value !== undefined).map(([name, known]) => [name, known.value]));
    const head = variables.length === 0 ? operation : `${operation} Q(${variables.join(", ")})`;
    const fragments = [...this.fragments].map(([name, { on, text }]) => `fragment ${name} on ${on} ${text}`);
    return { query: [`${head} ${selections}`, ...fragments].join("\n"), variables: given };
  }
}

const BOOLEAN = schema.getDirective("skip").args[0].type;

/** A value as it is written in a document. */
function literal(json) {
  if (Array.isArray(json)) return `[${json.map(literal).join(", ")}]`;
  if (json !== null && typeof json === "object") {
    return `{${Object.entries(json).map(([name, value]) => `${name}: ${literal(value)}`).join(", ")}}`;
  }
  return JSON.stringify(json);
}

/** What is asked for of each type of object, as `[key, field, arguments, what is asked for of its value]`. */
function asked(context, type, of) {
  const possible = isObjectType(type) ? [type] : schema.getPossibleTypes(type);
  const lists = [...possible].sort((a, b) => (a.name < b.name ? -1 : 1)).map((object) => [object.name, of(object)]);
  const named = lists.map(([name, fields]) => [
    name,
    [...fields].map(([key, nodes]) => {
      const [node] = nodes;
      const field = object(name).getFields()[node.name.value] ?? META[node.name.value];
      const result = getNamedType(field.type);
      const below = isCompositeType(result)
        ? asked(context, result, (one) => collectSubfields(schema, context.fragments, context.values, one, nodes))
        : null;
      return [key, node.name.value, getArgumentValues(field, node, context.values), below];
    }),
  ]);
  return Object.fromEntries(named.filter(([, fields]) => fields.length > 0));
}

const object = (name) => schema.getType(name);
const META = { __typename: { type: schema.getType("String"), args: [] } };

/** Whether a directive decides about a field of the root. */
function decides(set, fragments) {
  return set.selections.some((one) => {
    if ((one.directives ?? []).length > 0) return true;
    const inner = one.kind === Kind.FRAGMENT_SPREAD ? fragments[one.name.value].selectionSet : one.selectionSet;
    return one.kind !== Kind.FIELD && decides(inner, fragments);
  });
}

/** How many fields stand at the root. */
function count(set, fragments) {
  const counts = set.selections.map((one) => {
    const inner = one.kind === Kind.FRAGMENT_SPREAD ? fragments[one.name.value].selectionSet : one.selectionSet;
    return one.kind === Kind.FIELD ? 1 : count(inner, fragments);
  });
  return counts.reduce((sum, one) => sum + one, 0);
}

/** What graphql-js makes of a document. */
function judged({ query, variables }) {
  let document;
  try {
    document = parse(query);
  } catch {
    return { refused: "document" };
  }
  let faults;
  try {
    faults = validate(schema, document);
  } catch (fault) {
    // Thrown for types that no input may have.
    faults = [fault];
  }
  if (faults.length > 0) return { refused: "document", why: faults[0].message };
  const operation = document.definitions.find((one) => one.kind === Kind.OPERATION_DEFINITION);
  const fragments = Object.fromEntries(
    document.definitions.filter((one) => one.kind === Kind.FRAGMENT_DEFINITION).map((one) => [one.name.value, one]),
  );
  // The specification of September 2025 forbids what this version of graphql-js still takes.
  if (operation.operation === "subscription" && decides(operation.selectionSet, fragments)) {
    return { refused: "document", why: "@skip and @include may not stand at the root of a subscription" };
  }
  // The one known difference: apollo-compiler counts the fields at the root of a subscription, and not their keys.
  if (operation.operation === "subscription" && count(operation.selectionSet, fragments) > 1) {
    return { refused: "document", why: "the root field of a subscription stands there twice" };
  }
  const coerced = getVariableValues(schema, operation.variableDefinitions ?? [], variables);
  if (coerced.errors) return { refused: "variables", why: coerced.errors[0].message };
  const context = { fragments, values: coerced.coerced };
  const root = schema.getRootType(operation.operation);
  try {
    return {
      asked: asked(context, root, (type) => collectFields(schema, fragments, context.values, type, operation.selectionSet)),
    };
  } catch (error) {
    // It would be refused while it is executed.
    return { refused: "variables", why: error.message };
  }
}

for (let number = 0; number < Number(options.count); number += 1) {
  const one = new Author(new Dice(Number(options.seed) * 1_000_003 + number)).document();
  process.stdout.write(`${JSON.stringify({ ...one, ...judged(one) })}\n`);
}
