/** Options of a wrong type: each is a typed error, none counts as left out, and nothing has changed then. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { open } from "../../src/index.ts"
import {
  complementTensor,
  filterTensor,
  mixTensors,
  neighbourhoodCoherence,
  type RecallPool,
  recallPool,
  saturateTensor,
  tensorFromSeed
} from "../../src/recall.ts"
import { DIMENSIONS, vectorsOf, withPool } from "./pools.ts"

const vectors = vectorsOf(87, 12)
const query = vectors[0]!
/** Of no use as anything that is an option, but for what is said beside it. */
const NOTHING: ReadonlyArray<unknown> = [null, [], [1], "1", "", Number.NaN, true, {}, () => 1, 1n, Symbol("s"), -7]

const wrongFor = (...right: ReadonlyArray<string>): ReadonlyArray<unknown> =>
  NOTHING.filter((value) => !right.includes(value === null ? "null" : Array.isArray(value) ? "array" : typeof value))

const INVALID = { _tag: "InvalidParameter" }

const isTyped = (name: string, value: unknown) => (error: { readonly _tag?: string }) => {
  const tags = ["InvalidParameter", "InvalidConfiguration"]
  assert.ok(tags.includes(error._tag ?? ""), `${name} that is ${value === null ? "null" : typeof value}: ${error}`)
  return true
}

/** Types that each option may have, beside values that are wrong for it. */
type Types = Readonly<Record<string, ReadonlyArray<string>>>

/** Calls `call` with each wrong value of each option. */
const refusesEach = async (call: (options: never) => Promise<unknown>, is: Types) => {
  for (const [name, right] of Object.entries(is)) {
    for (const value of wrongFor(...right)) await assert.rejects(call({ [name]: value } as never), isTyped(name, value))
  }
}

/** The same, and with what is no options at all. */
const refuses = async (call: (options: never) => Promise<unknown>, is: Types) => {
  await refusesEach(call, is)
  for (const options of wrongFor("object")) await assert.rejects(call(options as never), isTyped("options", options))
}

const LIMITS = { signal: [], timeout: [] }
const OF_SIMILAR = { ...LIMITS, k: [], filter: ["object"], minSimilarity: [], index: [] }

describe("an option of a wrong type is refused", () => {
  test("when a pool is opened, before its collection is made", async () => {
    await using db = await open(":memory:", { threads: 1 })
    await refuses(
      async (options) =>
        recallPool(
          db,
          typeof options === "object" && options !== null && !Array.isArray(options)
            ? { dimensions: 4, ...(options as object) }
            : options
        ),
      {
        name: ["string"],
        dimensions: [],
        embedder: ["function"],
        encoder: [],
        precision: [],
        fields: ["object"],
        maxSize: [],
        memoryBudgetMb: [],
        eviction: [],
        coherence: [],
        coherenceThreshold: [],
        retrievalLimit: [],
        index: [],
        weights: ["object"],
        biasStrength: [],
        queryCache: ["object"],
        clock: ["function"]
      }
    )
    for (const name of ["similarity", "utility", "class"]) {
      await refuses((weights) => recallPool(db, { dimensions: 4, weights }), { [name]: [] })
    }
    for (const name of ["maxEntries", "maxBytes"]) {
      await refuses((queryCache) => recallPool(db, { dimensions: 4, queryCache }), { [name]: [] })
    }
    await assert.rejects(recallPool(db, { dimensions: 4, name: "" }), INVALID)
    assert.deepEqual(await db.collections(), [])
    await refuses(async (options) => neighbourhoodCoherence(options), { k: [] })
  })

  const retrieved = (
    name: string,
    call: (pool: RecallPool, options: never) => Promise<unknown>,
    is: Types,
    refused = refuses
  ) =>
    test(`by ${name}`, async () => {
      await withPool({}, async (pool) => {
        await pool.addMany(vectors.map((embedding, i) => ({ key: `${i}`, embedding, class: `c${i % 2}` })))
        await refused((options) => call(pool, options), is)
        assert.equal(pool.stats().items, 12)
      })
    })
  retrieved("similar", (pool, options) => pool.similar(query, options), OF_SIMILAR)
  retrieved("byClass with a query", (pool, options) => pool.byClass("c0", options), {
    ...OF_SIMILAR,
    query: ["string", "array"]
  })
  retrieved("byUtility", (pool, options) => pool.byUtility(options), { ...LIMITS, k: [], filter: ["object"] })
  const { k: _, ...balanced } = OF_SIMILAR
  retrieved("balanced", (pool, options) => pool.balanced(query, options), {
    ...balanced,
    perClass: [],
    classes: ["array"]
  })
  retrieved("diverse", (pool, options) => pool.diverse(query, options), {
    ...OF_SIMILAR,
    lambda: [],
    candidates: [],
    fast: ["boolean"],
    minDispersion: []
  })
  retrieved("hybrid", (pool, options) => pool.hybrid(query, options), {
    ...OF_SIMILAR,
    class: ["string"],
    weights: ["object"],
    decay: [],
    lambda: [],
    candidates: []
  })
  for (const write of ["add", "addIfCoherent"] as const) {
    retrieved(write, (pool, options) => pool[write]({ embedding: query }, options), LIMITS)
  }
  for (const write of ["addMany", "addManyIfCoherent"] as const) {
    retrieved(write, (pool, options) => pool[write]([{ embedding: query }], options), LIMITS)
  }
  retrieved("buildIndex", (pool, options) => pool.buildIndex(options), LIMITS)
  retrieved("checkIndex", (pool, options) => pool.checkIndex(options), LIMITS)

  retrieved(
    "an item",
    (pool, item) => pool.add({ embedding: query, ...(item as object) }),
    {
      key: ["string"],
      embedding: ["array"],
      class: ["string"],
      utility: [],
      text: ["string"],
      tensor: [],
      fields: ["object"]
    },
    refusesEach
  )
  retrieved(
    "an outcome",
    (pool, outcome) => pool.feedback([{ key: "0", deltaLoss: 0, ...(outcome as object) }]),
    {
      key: ["string"],
      deltaLoss: ["number"]
    },
    refusesEach
  )
  retrieved(
    "a profile",
    (pool, part) => pool.useBias({ version: 1, classes: {}, ...(part as object) }),
    {
      version: [],
      classes: ["object"]
    },
    refusesEach
  )
  retrieved(
    "a class of a profile",
    (pool, part) => pool.useBias({ version: 1, classes: { a: { outcomes: 1, utility: 0, ...(part as object) } } }),
    { outcomes: [], utility: [] },
    refusesEach
  )

  test("by operations on tensors", async () => {
    const sides = { rows: 2, columns: 2, layers: 1, channels: 3 }
    const tensor = tensorFromSeed(1, sides)
    const parts = { rows: [], columns: [], layers: [], channels: [], data: [], certainty: [] }
    const of = (part: object) => ({ ...tensor, ...part })
    await refusesEach(async (part) => complementTensor(of(part)), parts)
    await refusesEach(async (part) => saturateTensor(of(part), 1), parts)
    await refusesEach(async (part) => mixTensors(tensor, of(part)), parts)
    await refusesEach(async (part) => filterTensor(of(part), tensor), parts)
    await refusesEach(async (part) => tensorFromSeed(1, { ...sides, ...(part as object) }), {
      rows: [],
      columns: [],
      layers: [],
      channels: []
    })
    for (const value of NOTHING) {
      assert.throws(() => complementTensor(value as never), INVALID)
      assert.throws(() => tensorFromSeed(value as never, sides), INVALID)
      assert.throws(() => tensorFromSeed(1, value as never), INVALID)
      assert.throws(() => mixTensors(tensor, tensor, value as never), INVALID)
      assert.throws(() => saturateTensor(tensor, value as never), INVALID)
    }
    assert.throws(() => tensorFromSeed(1, { rows: 4096, columns: 4096, layers: 4096, channels: 4096 }), INVALID)
  })
})

test("a pool that is told nothing but its components has the defaults", async () => {
  await withPool({ index: undefined, coherenceThreshold: undefined }, async (pool) => {
    await pool.addMany(vectorsOf(89, 1000).map((embedding, i) => ({ key: `${i}`, embedding })))
    await pool.add({ embedding: query })
    const { items, evicted, index, memory } = pool.stats()
    assert.deepEqual([items, evicted, index, memory.maxBytes], [1000, 1, "auto", 500 * 2 ** 20])
    assert.equal(await pool.get("0"), undefined)
    assert.equal((await pool.similar(query)).length, 3)
    const { threshold, measure } = await pool.addIfCoherent({ embedding: query })
    assert.deepEqual([threshold, measure], [0.75, "neighbourhood-5"])
  })
})

describe("a query of a wrong type is refused", () => {
  test("by each retrieval that takes one", async () => {
    await withPool({}, async (pool) => {
      await pool.add({ embedding: vectors[0]! })
      const wrong = [
        ...wrongFor("string", "array"),
        { tensor: null },
        { tensor: [] }
      ] as unknown as ReadonlyArray<never>
      for (const query of wrong) {
        if (!Array.isArray(query)) await assert.rejects(pool.feedback(query), INVALID)
        for (const call of ["similar", "balanced", "diverse", "hybrid"] as const) {
          await assert.rejects(pool[call](query), INVALID)
        }
      }
      for (const query of [[], [1]]) {
        await assert.rejects(pool.similar(query), { _tag: "DimensionMismatch", expected: DIMENSIONS })
      }
    })
  })
})
