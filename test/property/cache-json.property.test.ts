/** What an answer is kept as: it is given back as it was, or not kept. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { inspect } from "node:util"
import { runInNewContext } from "node:vm"
import fc from "fast-check"
import { answerOf, jsonOf } from "../../src/core/cache/json.ts"

const REFUSED = Symbol("refused")

/**
 * What a caller may count on to be served in place of a value: the same, but for properties that are undefined, which are left
 * out, dates, which are texts, boxes, which are what is in them, and minus zero, which is zero.
 */
const promised = (value: unknown): unknown => {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? REFUSED : value.toISOString()
  if (value instanceof Number || value instanceof String || value instanceof Boolean) return promised(value.valueOf())
  if (typeof value === "number") return Number.isFinite(value) ? value + 0 : REFUSED
  if (typeof value === "bigint" || value === undefined) return REFUSED
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return whole(Array.from(value, promised))
  if (Object.prototype.toString.call(value) !== "[object Object]") return REFUSED
  const parts = Object.entries(value).filter(([, part]) => part !== undefined)
  const kept = parts.map(([name, part]) => [name, promised(part)] as const)
  return kept.some(([, part]) => part === REFUSED) ? REFUSED : Object.fromEntries(kept)
}

const whole = (items: ReadonlyArray<unknown>): unknown => (items.includes(REFUSED) ? REFUSED : items)

/** An object with nothing to be seen from outside. */
class Sealed {
  readonly #secret = 1
  get secret() {
    return this.#secret
  }
}

test("what holds something elsewhere than in properties has no form, of another realm too", () => {
  const elsewhere = (code: string): unknown => runInNewContext(code)
  const emptied = [
    ...[
      new URLSearchParams("a=1"),
      new Headers({ a: "b" }),
      [1].values(),
      new WeakRef({}),
      new Sealed(),
      /a/,
      Object.assign(Promise.resolve(1), { a: 1 })
    ],
    ...[
      Object(Symbol("s")),
      { toJSON: () => new Date(0) },
      { toJSON: () => new Map([[1, 2]]) },
      { toJSON: () => Number.NaN }
    ],
    ...[
      "new Error('e')",
      "Object.assign(new Error('e'), { code: 1 })",
      "Object.assign(new Map([[1, 2]]), { a: 1 })",
      "/a/",
      "new Date(NaN)"
    ].map(elsewhere)
  ]
  for (const part of emptied) assert.equal(jsonOf({ part }, "value", 1 << 20).json, undefined, inspect(part))
  const kept = "({ none: {}, no: [], some: { a: [1, { b: null }] } })"
  assert.deepEqual(jsonOf(elsewhere(kept), "value", 1 << 20), { json: JSON.stringify(elsewhere(kept)) })
})

test("any value is given back as it was, or has no form to be kept in", () => {
  const values = fc.anything({
    withBigInt: true,
    withBoxedValues: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withNullPrototype: true,
    withSparseArray: true,
    withTypedArray: true,
    withUnicodeString: true
  })
  let kept = 0
  fc.assert(
    fc.property(values, (value) => {
      const { json } = jsonOf(value, "value", Number.POSITIVE_INFINITY)
      const wanted = promised(value)
      if (json === undefined) return assert.equal(wanted, REFUSED)
      kept++
      assert.deepEqual(answerOf(json, "value"), wanted)
    }),
    { numRuns: 5000 }
  )
  assert.ok(kept > 500, `${kept} were kept`)
})

test("an answer of many parts is written in a few times the time that JSON takes", () => {
  const answer = Array.from({ length: 200_000 }, (_, i) => i % 10)
  const timeOf = (write: () => unknown): number => {
    const times = Array.from({ length: 7 }, () => {
      const start = performance.now()
      write()
      return performance.now() - start
    })
    return Math.min(...times)
  }
  const ratio = timeOf(() => jsonOf(answer, "value", 1 << 20)) / timeOf(() => JSON.stringify(answer))
  assert.ok(ratio < 6, `${ratio} times`)
})
