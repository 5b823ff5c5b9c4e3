/** Recall as a contract: the level asked for is reached on queries that were never stored, whatever the data. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { synsets } from "../examples/wordnet/glosses.ts"
import { settingFor } from "../src/core/calibration.ts"
import { kernels } from "../src/core/native.ts"
import {
  type Collection,
  type CollectionOptions,
  type Filter,
  open,
  type SearchOptions,
  staticEmbedder
} from "../src/index.ts"
import { failsWith } from "./failures.ts"
import { randomBits, randomVectors } from "./property/kernels/random.ts"

const QUERIES = 200
const K = 10
const LEVELS = [0.9, 0.95, 0.99, 0.999]

interface Data {
  readonly dimensions: number
  readonly base: Float32Array
  readonly queries: Float32Array
}

/** Vectors around `centres` random ones. */
const clustered = (rows: number, dimensions: number, centres: number): Data => {
  const middles = randomVectors(1, centres * dimensions)
  const bits = randomBits(2)
  const around = (seed: number, count: number) => {
    const noise = randomVectors(seed, count * dimensions)
    for (let i = 0; i < count; i++) {
      const middle = (bits() % centres) * dimensions
      for (let j = 0; j < dimensions; j++) {
        noise[i * dimensions + j] = middles[middle + j]! + 0.6 * noise[i * dimensions + j]!
      }
    }
    return noise
  }
  return { dimensions, base: around(3, rows), queries: around(4, QUERIES) }
}

const uniform = (rows: number, dimensions: number): Data => ({
  dimensions,
  base: randomVectors(5, rows * dimensions),
  queries: randomVectors(6, QUERIES * dimensions)
})

/** Each of a few vectors many times over. */
const duplicates = (rows: number, dimensions: number, different: number): Data => {
  const some = randomVectors(7, different * dimensions)
  const base = new Float32Array(rows * dimensions)
  for (let i = 0; i < rows; i++) {
    const from = (i % different) * dimensions
    base.set(some.subarray(from, from + dimensions), i * dimensions)
  }
  return { dimensions, base, queries: randomVectors(8, QUERIES * dimensions) }
}

/** Sentences; every fiftieth is a query. */
const real = async (rows: number): Promise<Data> => {
  const embedder = staticEmbedder()
  const { dimensions } = embedder
  const texts = (await synsets()).slice(0, rows + QUERIES).map(({ gloss }) => gloss)
  const step = Math.floor(texts.length / QUERIES)
  const isQuery = (i: number) => i % step === 0 && i < step * QUERIES
  return {
    dimensions,
    base: await embedder.embed(texts.filter((_, i) => !isQuery(i))),
    queries: await embedder.embed(texts.filter((_, i) => isQuery(i)))
  }
}

const filled = async (collection: Collection, { base, dimensions }: Data): Promise<void> => {
  const keys = Array.from({ length: base.length / dimensions }, (_, i) => `k${i}`)
  await collection.addMany({ keys, vectors: base })
  await collection.buildIndex()
}

/**
 * Mean recall and its standard error, over the queries that there is something to find for. A hit counts when it scores no
 * less than the last of the exact ones.
 */
const recallOf = async (collection: Collection, { queries, dimensions }: Data, options: SearchOptions) => {
  const { filter, minScore, k = K } = options
  const exact = await collection.searchMany(queries, { k, mode: "exact", filter, minScore })
  const found = await collection.searchMany(queries, { ...options, k })
  const shares = Array.from({ length: queries.length / dimensions }, (_, query) => {
    const wanted = exact.counts[query]!
    if (wanted === 0) return []
    const least = exact.scores[query * k + wanted - 1]!
    const scores = found.scores.subarray(query * k, query * k + found.counts[query]!)
    return [scores.filter((score) => score >= least - 1e-6).length / wanted]
  }).flat()
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length
  const variance = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / shares.length
  return { mean, error: Math.sqrt(variance / shares.length) }
}

const reaches = (name: string, options: CollectionOptions, data: () => Data | Promise<Data>) => {
  const isOfProducts = typeof options.codes === "object"
  for (const index of isOfProducts ? (["ivf"] as const) : (["ivf", "hnsw"] as const)) {
    test(`${name}, ${index}: the recall that is asked for is reached`, async () => {
      const made = await data()
      await using db = await open(":memory:", { threads: 2 })
      const collection = await db.collection("c", { dimensions: made.dimensions, index, ...options })
      await filled(collection, made)
      for (const level of LEVELS) {
        await reachesLevel(collection, made, level, { recall: level })
        const walk = walkFor(collection, level)
        if (walk !== undefined) await reachesLevel(collection, made, level, walk)
      }
    })
  }
}

const reachesLevel = async (collection: Collection, data: Data, level: number, options: SearchOptions) => {
  const { mean, error } = await recallOf(collection, data, options)
  assert.ok(mean >= level - error, `${level} was asked for, ${mean} +- ${error} found with ${JSON.stringify(options)}`)
}

/** The walk that is taken for a level where no scan costs less. */
const walkFor = (collection: Collection, level: number): SearchOptions | undefined => {
  const { calibration } = collection.stats()
  const setting = calibration && settingFor({ ...calibration, curves: [] }, K, level, true)
  return setting && { mode: "hnsw", efSearch: setting.efSearch, rerank: setting.rerank }
}

reaches("sentences", {}, () => real(12_000))
reaches("clusters", { metric: "l2" }, () => clustered(8000, 48, 60))
reaches("clusters in many dimensions", { precision: "f16" }, () => clustered(5000, 320, 40))
reaches("uniform", { metric: "dot" }, () => uniform(6000, 32))
reaches("duplicates", { precision: "int8" }, () => duplicates(5000, 24, 150))
reaches("many copies of each", {}, () => duplicates(12_000, 24, 16))
reaches("sentences in product codes", { codes: { pq: { m: 64, bits: 4, rotation: "none" } } }, () => real(12_000))
reaches("clusters in product codes", { metric: "l2", codes: { pq: { m: 12 } } }, () => clustered(8000, 48, 60))
reaches("uniform in product codes", { metric: "dot", codes: { pq: { m: 8 } } }, () => uniform(6000, 32))
reaches("more copies of each in less precision", { precision: "f16" }, () => duplicates(12_000, 24, 8))
reaches("a few", {}, () => uniform(40, 16))

test("a call that measures recall can be cancelled, leaves nothing half measured, and another one does it", async () => {
  await using db = await open(":memory:", { threads: 2 })
  const data = clustered(30_000, 48, 60)
  const collection = await db.collection("c", { dimensions: data.dimensions, index: { ivf: { lists: 64 } } })
  const keys = Array.from({ length: 30_000 }, (_, i) => `k${i}`)
  await collection.addMany({ keys, vectors: data.base })
  await collection.buildIndex()
  await collection.delete("k7")
  const measured = collection.stats().calibration
  const controller = new AbortController()
  const building = collection.buildIndex({ signal: controller.signal })
  // Made anew, and so without a calibration until they have been measured.
  while (collection.stats().calibration === measured) await new Promise(setImmediate)
  assert.equal(collection.stats().calibration, undefined)
  controller.abort(new Error("enough"))
  await assert.rejects(building, failsWith("Cancelled"))
  assert.deepEqual([collection.stats().calibration, collection.stats().lists], [undefined, 64])
  assert.equal((await collection.search(data.queries.subarray(0, 48), { recall: 0.9 })).length, K)
  await collection.buildIndex()
  assert.equal(collection.stats().calibration?.rows, 29_999)
})

/** Shares of the rows, in the order of their scores for a direction and in none. */
const FILTERS: ReadonlyArray<Filter> = [
  { drawn: { lt: 0.9 } },
  { drawn: { lt: 0.3 } },
  { drawn: { lt: 0.03 } },
  { along: { lt: 0.3 } },
  { along: { gte: 0.7 } },
  { along: { gte: 0.97 } }
]

/** As `filled`, with places for `FILTERS`. */
const filledToFilter = async (collection: Collection, { base, dimensions }: Data): Promise<void> => {
  const rows = base.length / dimensions
  const direction = base.subarray(0, dimensions)
  const scores = Float64Array.from({ length: rows }, (_, row) =>
    direction.reduce((sum, x, i) => sum + x * base[row * dimensions + i]!, 0)
  )
  const along = new Float64Array(rows)
  for (const [place, row] of [...scores.keys()].sort((a, b) => scores[b]! - scores[a]!).entries()) {
    along[row] = place / rows
  }
  const drawn = Float64Array.from({ length: rows }, (_, row) => (row * 0.6180339887498949) % 1)
  const keys = Array.from({ length: rows }, (_, i) => `k${i}`)
  await collection.addMany({ keys, vectors: base, fields: { along, drawn } })
  await collection.buildIndex()
}

const reachesUnderFilters = (name: string, options: CollectionOptions, data: () => Data | Promise<Data>) => {
  test(`${name}: the recall that is asked for is reached under filters, and nothing is missing`, async () => {
    const made = await data()
    await using db = await open(":memory:", { threads: 2 })
    const fields = { along: "number", drawn: "number" } as const
    const collection = await db.collection("c", { dimensions: made.dimensions, index: "ivf", fields, ...options })
    await filledToFilter(collection, made)
    for (const filter of FILTERS) {
      for (const recall of LEVELS) await reachesLevel(collection, made, recall, { recall, filter })
      const { counts } = await collection.searchMany(made.queries, { k: K, mode: "ivf", nprobe: 1, filter })
      assert.ok(counts.every((count) => count === K))
    }
  })
}

reachesUnderFilters("sentences", {}, () => real(40_000))
reachesUnderFilters("clusters", { metric: "l2" }, () => clustered(40_000, 48, 200))

/** The same vectors, longer or shorter, about another middle. */
const scaled = ({ base, queries, dimensions }: Data, by: number, middle = 0): Data => ({
  dimensions,
  base: base.map((x) => middle + by * x),
  queries: queries.map((x) => middle + by * x)
})
const PRODUCTS = { codes: { pq: { m: 12 } } } as const
reachesUnderFilters("off centre in product codes", PRODUCTS, () => scaled(clustered(12_000, 48, 60), 1, 3))
reachesUnderFilters("short in product codes", { metric: "l2", ...PRODUCTS }, () =>
  scaled(clustered(12_000, 48, 60), 0.01)
)
reachesUnderFilters("long in product codes", { metric: "dot", ...PRODUCTS }, () =>
  scaled(clustered(12_000, 48, 60), 100)
)

const reachesAboveScores = (name: string, options: CollectionOptions, data: () => Data | Promise<Data>) => {
  test(`${name}: the recall that is asked for is reached above a least score, in lists`, async () => {
    const made = await data()
    const { dimensions, queries } = made
    await using db = await open(":memory:", { threads: 2 })
    const collection = await db.collection("c", { dimensions, index: "ivf", ...options })
    await filled(collection, made)
    const { scores } = await collection.searchMany(queries, { k: K, mode: "exact" })
    // Nearly every query has as many hits, or few have any.
    const some = scores.toSorted()
    for (const minScore of [0.02, 0.5, 0.9, 0.99].map((share) => some[Math.floor(share * some.length)]!)) {
      for (const recall of LEVELS) await reachesLevel(collection, made, recall, { recall, minScore })
    }
  })
}

test("a least score that is met by all leaves nothing out, under filters and where much was deleted", async () => {
  const made = clustered(20_000, 48, 300)
  await using db = await open(":memory:", { threads: 2 })
  const fields = { along: "number", drawn: "number" } as const
  const collection = await db.collection("c", { dimensions: made.dimensions, index: "ivf", fields })
  await filledToFilter(collection, made)
  const usual = { k: 100, recall: 0.7 }
  const loose = { ...usual, minScore: -1 }
  const check = async () => {
    for (const filter of [undefined, { drawn: { lt: 0.9 } }, { drawn: { lt: 0.5 } }]) {
      const without = await recallOf(collection, made, { ...usual, filter })
      await reachesLevel(collection, made, without.mean, { ...loose, filter })
      const { counts } = await collection.searchMany(made.queries, { ...loose, filter })
      assert.ok(counts.every((count) => count === 100))
    }
    const [some] = await collection.search(made.queries.subarray(0, made.dimensions), { mode: "exact" })
    await reachesLevel(collection, made, 0.99, { nprobe: 1, minScore: 0.5 * some!.score })
  }
  await check()
  for (let i = 0; i < 9000; i++) await collection.delete(`k${(i * 7) % 20_000}`)
  await check()
})

test("diverse hits are chosen from the nearest that were asked for, in lists", async () => {
  const made = clustered(20_000, 48, 400)
  const { dimensions, queries } = made
  await using db = await open(":memory:", { threads: 2 })
  const collection = await db.collection("c", { dimensions, index: "ivf" })
  await filled(collection, made)
  const mmr = { lambda: 0.3, fetchK: 400 }
  for (const minScore of [undefined, 0]) {
    const exact = await collection.searchMany(queries, { k: K, mode: "exact", minScore, mmr })
    const found = await collection.searchMany(queries, { k: K, minScore, mmr })
    const near = new Set(found.keys.map((key, i) => `${Math.floor(i / K)} ${key}`))
    const same = exact.keys.filter((key, i) => near.has(`${Math.floor(i / K)} ${key}`))
    assert.ok(same.length >= 0.93 * exact.keys.length, `${same.length} of ${exact.keys.length}`)
  }
})

reachesAboveScores("sentences", { precision: "int8" }, () => real(40_000))
reachesAboveScores("clusters", {}, () => clustered(40_000, 48, 200))
reachesAboveScores("clusters by distance", { metric: "l2" }, () => clustered(20_000, 48, 60))
reachesAboveScores("uniform", { metric: "dot" }, () => uniform(20_000, 32))

test("settings follow the level: what costs less is taken where less is asked for", async () => {
  await using db = await open(":memory:", { threads: 2 })
  const data = clustered(8000, 48, 60)
  const collection = await db.collection("c", { dimensions: data.dimensions, index: "ivf" })
  await filled(collection, data)
  const { lists, calibration } = collection.stats()
  assert.ok(lists >= 16)
  const settings = calibration!.curves[0]!.settings
  assert.ok(settings.length > 2)
  for (const [i, { us, recall }] of settings.entries()) {
    if (i > 0) assert.ok(us >= settings[i - 1]!.us && recall > settings[i - 1]!.recall)
  }
})

/** Recall asked for of which a setting that was measured is the cheapest: as `settingFor` chooses. */
const levelOf = ({ recall, error }: { readonly recall: number; readonly error: number }) =>
  1 - (1 - recall + error) / 0.75

for (const [name, data] of [
  ["clusters", () => clustered(8000, 48, 60)],
  ["uniform", () => uniform(8000, 16)]
] as const) {
  test(`${name}: lists shorter than what is measured at once are measured as they are searched`, async () => {
    await using db = await open(":memory:", { threads: 2 })
    const made = data()
    const { dimensions } = made
    const collection = await db.collection("c", { dimensions, metric: "l2", index: { ivf: { lists: 256 } } })
    await filled(collection, made)
    const settings = collection.stats().calibration!.curves[0]!.settings.filter((setting) => levelOf(setting) > 0.5)
    assert.ok(settings.length > 2)
    for (const { recall, error, ...setting } of settings) {
      const found = await recallOf(collection, made, { recall: levelOf({ recall, error }) })
      const spread = 3 * Math.hypot(found.error, error)
      assert.ok(
        recall <= found.mean + spread,
        `${recall} +- ${error} measured, ${found.mean}: ${JSON.stringify(setting)}`
      )
    }
  })
}

test("walks are measured as for queries that are not stored, and the graph is whole again after it", {
  skip: kernels.graph === undefined
}, async () => {
  await using db = await open(":memory:", { threads: 2 })
  const data = clustered(20_000, 96, 400)
  const collection = await db.collection("c", { dimensions: data.dimensions, index: "hnsw" })
  await filled(collection, data)
  const { calibration, hnsw } = collection.stats()
  assert.deepEqual([hnsw?.linked, hnsw?.pending], [20_000, 0])
  const settings = calibration!.walks![0]!.settings
  assert.ok(settings.length > 2)
  for (const { efSearch, rerank, recall, error } of settings) {
    const found = await recallOf(collection, data, { mode: "hnsw", efSearch, rerank })
    const spread = 3 * Math.hypot(found.error, error)
    assert.ok(recall <= found.mean + spread, `${efSearch}: ${recall} +- ${error} measured, ${found.mean} found`)
  }
})
