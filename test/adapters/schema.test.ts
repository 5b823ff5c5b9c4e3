/** JSON Schemas: what is said to fit them does, by the validator of LangChain, and what is not known fits nothing. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { Validator } from "@langchain/core/utils/json_schema"
import fc from "fast-check"
import { fitsSchema } from "../../src/adapters/schema.ts"
import { turnsOf } from "../turns.ts"

const value = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    fc.integer({ min: -3, max: 6 }),
    fc.constantFrom(0.5, null, true, false, "", "a", "bb", "cat", "é", "\u{1f431}"),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom("a", "b", "cc", "__proto__x"), tie("value"), { maxKeys: 4 })
  )
})).value

const size = fc.integer({ min: 0, max: 4 })

const schema = fc.letrec((tie) => {
  const some = fc.array(tie("schema"), { minLength: 1, maxLength: 3 })
  const named = fc.dictionary(fc.constantFrom("a", "b", "cc"), tie("schema"), { maxKeys: 3 })
  const types = fc.constantFrom("string", "number", "integer", "boolean", "null", "array", "object")
  const keywords: Record<string, fc.Arbitrary<unknown>> = {
    type: fc.oneof(types, fc.uniqueArray(types, { minLength: 1, maxLength: 3 })),
    enum: fc.array(value, { minLength: 1, maxLength: 4 }),
    const: value,
    minimum: size,
    maximum: size,
    exclusiveMinimum: size,
    exclusiveMaximum: size,
    multipleOf: fc.integer({ min: 1, max: 3 }),
    minLength: size,
    maxLength: size,
    pattern: fc.constantFrom("^a", "t$", "b+"),
    minItems: size,
    maxItems: size,
    uniqueItems: fc.boolean(),
    items: tie("schema"),
    prefixItems: some,
    required: fc.uniqueArray(fc.constantFrom("a", "b", "cc"), { maxLength: 2 }),
    properties: named,
    patternProperties: fc.dictionary(fc.constantFrom("^a", "c"), tie("schema"), { maxKeys: 2 }),
    additionalProperties: tie("schema"),
    propertyNames: tie("schema"),
    minProperties: size,
    maxProperties: size,
    allOf: some,
    anyOf: some,
    oneOf: some,
    not: tie("schema"),
    title: fc.constant("a title")
  }
  return {
    schema: fc.oneof(
      { maxDepth: 3, depthSize: "small" },
      fc.boolean(),
      fc.constantFrom({ $ref: "#/$defs/small" }),
      fc
        .subarray(Object.keys(keywords), { minLength: 1, maxLength: 3 })
        .chain((names) => fc.record(Object.fromEntries(names.map((name) => [name, keywords[name]!]))))
    )
  }
}).schema

test("values fit a schema where another validator says so, and nowhere else", async () => {
  let [fitting, all] = [0, 0]
  await fc.assert(
    fc.asyncProperty(schema, value, async (part, value) => {
      const whole = { $defs: { small: { type: ["integer", "string"], maximum: 2, maxLength: 1 } }, allOf: [part] }
      const expected = new Validator(whole as never, "2020-12").validate(value).valid
      assert.equal(await fitsSchema(value, whole), expected)
      all++
      if (expected) fitting++
    }),
    { numRuns: 5000 }
  )
  assert.ok(fitting > 0.1 * all && fitting < 0.9 * all, `${fitting} of ${all}`)
})

test("what asks for anything that is not known fits nothing, wherever it is asked for", async () => {
  const unknown = [
    { format: "email" },
    { if: true },
    { contains: true },
    { $ref: "https://example.com/schema" },
    { $ref: "#/nowhere" },
    { type: "text" },
    { type: "toString" },
    { exclusiveMinimum: true },
    null,
    "string"
  ]
  for (const schema of unknown) {
    const wrapped = [
      schema,
      { not: schema },
      { anyOf: [true, schema] },
      { properties: { a: schema } },
      { oneOf: [schema, true] }
    ]
    for (const one of wrapped) assert.equal(await fitsSchema({ a: "x" }, one), false, JSON.stringify(one))
  }
  assert.equal(await fitsSchema({ a: "x" }, { properties: { a: { type: "string" } } }), true)
  // As older drafts write them, or nobody does.
  assert.equal(await fitsSchema([1], { items: [{}] }), false)
  assert.equal(await fitsSchema("(", { pattern: "(" }), false)
  assert.equal(await fitsSchema({}, { required: true }), false)
})

test("references may go round, and do not go on for ever", async () => {
  const tree = {
    type: "object",
    required: ["name"],
    properties: { name: { type: "string" }, parts: { type: "array", items: { $ref: "#" } } }
  }
  assert.equal(await fitsSchema({ name: "a", parts: [{ name: "b", parts: [] }] }, tree), true)
  assert.equal(await fitsSchema({ name: "a", parts: [{ parts: [] }] }, tree), false)
  assert.equal(await fitsSchema(1, { anyOf: [{ $ref: "#" }, { $ref: "#" }] }), false)
  // Each asks twice for the next.
  const twice = Array.from({ length: 30 }, (_, i) => {
    const next = { $ref: `#/$defs/${i + 1}` }
    return [i, { allOf: [next, next] }]
  })
  const $defs = Object.fromEntries([...twice, [30, true]])
  assert.equal(await fitsSchema(1, { $ref: "#/$defs/0", $defs }), false)
  assert.equal(await fitsSchema(1, { $ref: "#/$defs/20", $defs }), true)
})

// Each compared with each took ten seconds and more.
test("many items are told apart soon, and those nested too deep fit nothing", { timeout: 9000 }, async () => {
  const unique = { type: "array", uniqueItems: true }
  const items = Array.from({ length: 20_000 }, (_, i) => ({ a: i, b: "x" }))
  assert.equal(await fitsSchema(items, unique), true)
  assert.equal(await fitsSchema([...items, { b: "x", a: 7 }], unique), false)
  const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`
  assert.equal(await fitsSchema(JSON.parse(`[${deep},${deep}]`), unique), false)
})

test("a value may have any number of items, whatever they refer to", async () => {
  const items = Array.from({ length: 60_000 }, () => ({ a: 1 }))
  const item = { type: "object", properties: { a: { type: "integer" } } }
  const schemas = [
    { type: "array", items: item },
    { type: "array", items: { $ref: "#/$defs/item" }, $defs: { item } }
  ]
  for (const schema of schemas) {
    assert.equal(await fitsSchema(items, schema), true)
    assert.equal(await fitsSchema([...items, { a: "1" }], schema), false)
  }
})

test("eight times as many properties are known by their names in about eight times as long", async () => {
  const timeOf = async (count: number) => {
    const names = Array.from({ length: count }, (_, i) => `n${i}`)
    const value = Object.fromEntries(names.map((name) => [name, 1]))
    const properties = Object.fromEntries(names.map((name) => [name, true]))
    const start = performance.now()
    assert.equal(await fitsSchema(value, { properties, additionalProperties: false }), true)
    assert.equal(await fitsSchema({ ...value, n: 1 }, { properties, additionalProperties: false }), false)
    return performance.now() - start
  }
  // Each name looked for among all of them takes sixty times as long.
  let [few, many] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let round = 0; round < 4; round++) {
    few = Math.min(few, await timeOf(10_000))
    many = Math.min(many, await timeOf(80_000))
  }
  assert.ok(many < 30 * few, `${many} ms for ${few} ms`)
})

test("a large value is looked at in turns of the event loop, however its schema is made", async () => {
  const list = Array.from({ length: 10_000 }, (_, i) => ({ id: i }))
  const names = Object.fromEntries(list.map((one, i) => [`n${i}`, one]))
  const item = { type: "object", properties: { id: { type: "integer" } } }
  const cases: ReadonlyArray<readonly [unknown, object]> = [
    [list, { items: item }],
    [list, { items: true }],
    [list, { prefixItems: list.map(() => item) }],
    [list, { uniqueItems: true }],
    [list, { anyOf: [{ items: item }] }],
    [list, { not: { items: { not: item } }, items: item }],
    [list, { $ref: "#/$defs/list", $defs: { list: { oneOf: [{ items: item }, { type: "null" }] } } }],
    [names, { additionalProperties: item }],
    [names, { additionalProperties: false, patternProperties: { n: true } }],
    [names, { patternProperties: { n: item } }],
    [names, { patternProperties: { x: false } }],
    [names, { propertyNames: { minLength: 1 } }]
  ]
  for (const [value, schema] of cases) {
    const turns = await turnsOf(async () => assert.equal(await fitsSchema(value, schema), true))
    assert.ok(turns > 100, `${Object.keys(schema)}: ${turns} turns`)
  }
})
