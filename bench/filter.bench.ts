/** Filtered searches at falling shares of entries that pass: what they find of the exact answer, and what they cost. */
import { type Collection, type Filter, open } from "../src/index.ts"
import type { Dataset, Queries } from "./data.ts"
import type { Measured } from "./figure.ts"
import { inTurn } from "./scanning.ts"
import { datasets, type Setting } from "./setting.ts"
import { interleave, ratio } from "./timing.ts"

export const about = "searches under a filter, against the same search without one"

const K = 10
const SHARES = [1, 0.5, 0.1, 0.01, 0.001]
const UNFILTERED = "the same search without a filter"
/** Queries of one exact batch. */
const TRUTH_QUERIES = 100

export async function* figures(setting: Setting): AsyncGenerator<Measured> {
  for await (const dataset of datasets(setting)) {
    await using db = await open(":memory:")
    const collection = await filled(
      await db.collection("filtered", { dimensions: dataset.dimensions, fields: FIELDS }),
      dataset
    )
    for (const queries of dataset.queries) yield* ofQueries(collection, dataset, queries)
  }
}

const FIELDS = { rank: "number", decile: "tag" } as const

/** Every row with its place in a shuffled order, so that any share passes. */
const filled = async (collection: Collection, { rows, base }: Dataset): Promise<Collection> => {
  const rank = Float64Array.from({ length: rows }, (_, i) => Math.floor(((i * 0.6180339887498949) % 1) * rows))
  await collection.addMany({
    keys: Array.from(rank, (_, row) => `${row}`),
    vectors: base,
    fields: { rank, decile: Array.from(rank, (place) => `${Math.floor((10 * place) / rows)}`) }
  })
  await collection.buildIndex()
  return collection
}

async function* ofQueries(
  collection: Collection,
  { dimensions, rows }: Dataset,
  queries: Queries
): AsyncGenerator<Measured> {
  const turn = (filter: Filter | undefined, mode: "flat" | "auto") =>
    inTurn(queries, dimensions, (query) => collection.search(query, { k: K, filter, mode }))
  const filters: ReadonlyArray<readonly [name: string, filter: Filter]> = [
    ...SHARES.map((share) => [`${100 * share} % by number`, { rank: { lt: share * rows } }] as const),
    ["10 % by tag", { decile: "3" }]
  ]
  // Nothing of these is remembered: each is asked for once.
  let asked = 0
  const fresh = inTurn(queries, dimensions, (query) =>
    collection.search(query, { k: K, mode: "flat", filter: { rank: { gte: -++asked, lt: rows / 100 } } })
  )
  const { all, passing } = await interleave({ all: turn(undefined, "flat"), passing: fresh }, { rounds: 5, turnMs: 60 })
  const once = { value: passing.p50, unit: "us", against: UNFILTERED, ratio: ratio(passing, all) }
  yield { case: `search, ${queries.name}, flat, 1 %, a new filter each time, p50`, ...once }
  for (const [name, filter] of filters) {
    const value = await recallUnder(collection, dimensions, queries, filter)
    yield { case: `recall@${K}, ${queries.name}, ${name}`, value, unit: "of exact", target: ".99" }
    for (const mode of ["flat", "auto"] as const) {
      const subjects = { all: turn(undefined, mode), passing: turn(filter, mode) }
      const { all, passing } = await interleave(subjects, { rounds: 5, turnMs: 60 })
      const times = { value: passing.p50, unit: "us", against: UNFILTERED, ratio: ratio(passing, all), target: "1" }
      yield { case: `search, ${queries.name}, ${mode}, ${name}, p50`, ...times }
    }
  }
}

/** Share of the exact filtered answer that default searches find. */
const recallUnder = async (
  collection: Collection,
  dimensions: number,
  { vectors, count }: Queries,
  filter: Filter
): Promise<number> => {
  let found = 0
  let wanted = 0
  for (let from = 0; from < count; from += TRUTH_QUERIES) {
    const part = vectors.subarray(from * dimensions, (from + TRUTH_QUERIES) * dimensions)
    const exact = await collection.searchMany(part, { k: K, filter, mode: "exact" })
    const usual = await collection.searchMany(part, { k: K, filter })
    for (const [query, hits] of exact.counts.entries()) {
      const nearest = new Set(exact.keys.slice(query * K, query * K + hits))
      wanted += hits
      for (const key of usual.keys.slice(query * K, query * K + usual.counts[query]!)) if (nearest.has(key)) found++
    }
  }
  return found / wanted
}
