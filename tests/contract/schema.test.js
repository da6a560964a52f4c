// What leaves the schema says so first: why, and when.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { buildSchema, isEnumType, isInputObjectType, isInterfaceType, isObjectType } from 'graphql'

/** Everything that is deprecated, by its place. */
function deprecated(sdl) {
  const found = []
  const note = (place, { deprecationReason }) => {
    if (deprecationReason != null) found.push([place, deprecationReason])
  }
  for (const type of Object.values(buildSchema(sdl).getTypeMap())) {
    if (isEnumType(type)) for (const value of type.getValues()) note(`${type}.${value.name}`, value)
    if (isInputObjectType(type) || isObjectType(type) || isInterfaceType(type)) {
      for (const field of Object.values(type.getFields())) {
        note(`${type}.${field.name}`, field)
        for (const argument of field.args ?? []) note(`${type}.${field.name}(${argument.name})`, argument)
      }
    }
  }
  return found
}

/** What is wrong with a reason; nothing if it tells what to use instead, and from which day on it is gone. */
function fault(reason) {
  const date = reason.match(/\b\d{4}-\d{2}-\d{2}\b/)?.[0]
  if (!date || Number.isNaN(Date.parse(date))) return 'the reason names no day such as 2027-06-30'
  if (reason.replace(date, '').trim().length < 20) return 'the reason does not say what to use instead'
  return undefined
}

test('whatever is deprecated says what to use instead and when it goes', () => {
  const sdl = readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8')
  for (const [place, reason] of deprecated(sdl)) assert.equal(fault(reason), undefined, `${place}: ${reason}`)
})

test('a reason without a day or without advice is found wherever it stands', () => {
  const sdl = `
    type Query { a: Int @deprecated b(x: Int @deprecated(reason: "since 2027-01-01")): Int c: E }
    enum E { ONE @deprecated(reason: "Use \`TWO\` instead; it goes.") TWO }
    input I { x: Int @deprecated(reason: "Use \`y\` instead; gone from 2027-06-30 on.") y: Int }`
  const wrong = deprecated(sdl).filter(([, reason]) => fault(reason)).map(([place]) => place)
  assert.deepEqual(wrong.sort(), ['E.ONE', 'Query.a', 'Query.b(x)'])
})
