/** Filters find what a look at every entry finds, whatever evaluates them. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import fc from "fast-check"
import { CheckedFields } from "../../src/core/collection/fields.ts"
import type { Hits, Kernels } from "../../src/core/kernels/contract.ts"
import { scalar } from "../../src/core/kernels/scalar.ts"
import { BLOCK } from "../../src/core/kernels/shape.ts"
import { parseFilter } from "../../src/core/search/filter/parse.ts"
import { compileFilter } from "../../src/core/search/filter/program.ts"
import { newHits } from "../../src/core/search/hits.ts"
import { choose, plan } from "../../src/core/search/plan.ts"
import { encodeKey } from "../../src/core/store/rows.ts"
import type { Store } from "../../src/core/store/store.ts"
import { writeVectors } from "../../src/core/store/write.ts"
import type { FieldValues, Filter } from "../../src/index.ts"
import { newStore } from "../stores.ts"
import { FIELDS, fieldValues, filter, matches } from "./filtering.ts"
import { addon, testEveryIsa } from "./kernels/addon.ts"
import { randomVectors } from "./kernels/random.ts"

const SHAPE = { dimensions: 5, metric: "dot", precision: "f32", fields: FIELDS } as const

/** A store with an entry for each of `fields`, every eleventh of them deleted. */
const storeOf = (kernels: Kernels, fields: ReadonlyArray<FieldValues>): Store => {
  const store = newStore(kernels, SHAPE)
  const rows = store.reserve(fields.length)
  writeVectors(kernels, store.columns, rows, randomVectors(3, fields.length * SHAPE.dimensions))
  const checked = new CheckedFields(FIELDS, fields.length)
  for (const [i, values] of fields.entries()) {
    checked.set(i, values, "fields")
    checked.intern(i, store)
    const key = encodeKey(`${i}`)!
    store.writeFields(rows[i]!, checked.columns, i)
    store.publish(rows[i]!, key, store.writeRecord(key, undefined), -1)
    if (isDeleted(i)) store.remove(rows[i]!, encodeKey(`${i}`)!)
  }
  return store
}

const isDeleted = (row: number): boolean => row % 11 === 5

const programOf = (store: Store, filter: Filter) => compileFilter(store, undefined, parseFilter(filter, FIELDS))

/** The rows that pass by `kernels`. */
const rowsBy = (kernels: Kernels, store: Store, filter: Filter): ReadonlyArray<number> => {
  const blocks = Math.ceil(store.directory.rows / BLOCK)
  const words = new Uint32Array(2 * blocks)
  const { layout, rows } = store.columns
  const count = kernels.filterRows(layout.liveOffset, rows, programOf(store, filter), words)
  const found = Array.from({ length: blocks * BLOCK }, (_, row) => row).filter(
    (row) => (words[row >>> 5]! >>> (row & 31)) & 1
  )
  assert.equal(count, found.length)
  return found
}

const naiveRows = (fields: ReadonlyArray<FieldValues>, filter: Filter): ReadonlyArray<number> =>
  fields.flatMap((values, row) => (!isDeleted(row) && matches(filter, values) ? [row] : []))

/** Entries enough for several blocks; which values they have follows from few that are drawn. */
const entries = fc
  .tuple(fc.array(fieldValues, { minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 300 }))
  .map(([few, count]) => Array.from({ length: count }, (_, i) => few[(i * i) % few.length]!))

const asProperty = (kernels: () => Kernels, memory: Kernels) =>
  fc.property(entries, filter, (fields, filter) => {
    assert.deepEqual(rowsBy(kernels(), storeOf(memory, fields), filter), naiveRows(fields, filter))
  })

describe("a program finds what a look at every entry finds", () => {
  test("in TypeScript", () =>
    fc.assert(
      asProperty(() => scalar, scalar),
      { numRuns: 300 }
    ))
  testEveryIsa("natively", (native) =>
    fc.assert(
      asProperty(() => native, native),
      { numRuns: 300 }
    )
  )
})

/** Hits of one query by kernels, with the rows of a store. */
const search = (
  kernels: Kernels,
  store: Store,
  filter: Filter,
  mode: "exact" | "flat" | "binary",
  k: number,
  rerank: number
): Hits => {
  const claim = store.directory.claim(store.reader)
  const choice = choose({ mode, k, rerank }, SHAPE)
  const whole = plan(choice, store.columns, store.directory.rows, store.directory.cancelWord(claim))
  const hits = newHits(1, whole.keep)
  const queries = randomVectors(8, SHAPE.dimensions)
  kernels.search(whole, store.columns, queries, store.directory.words, hits, programOf(store, filter))
  store.directory.release(claim, store.reader)
  return hits
}

test("filtered searches find as many as pass, and nothing else, by the addon as in TypeScript", () => {
  const mode = fc.constantFrom("exact" as const, "flat" as const, "binary" as const)
  const numbers = fc.record({ k: fc.integer({ min: 1, max: 40 }), rerank: fc.constantFrom(0, 1, 50, 400) })
  fc.assert(
    fc.property(entries, filter, mode, numbers, (fields, filter, mode, { k, rerank }) => {
      const store = storeOf(addon ?? scalar, fields)
      const passing = new Set(naiveRows(fields, filter))
      const expected = search(scalar, store, filter, mode, k, rerank)
      const found = search(addon ?? scalar, store, filter, mode, k, rerank)
      for (const hits of [expected, found]) {
        assert.equal(hits.counts[0], Math.min(k, passing.size))
        for (let i = 0; i < hits.counts[0]; i++) assert.ok(passing.has(hits.rows[i]!))
      }
      assert.deepEqual(found.rows, expected.rows)
    }),
    { numRuns: 200 }
  )
})
