/** Diverse hits and least scores over real vectors: what they cost, and what the fast choice loses. */
import { type Collection, type Hit, open, type SearchOptions } from "../src/index.ts"
import { addBase } from "./adding.ts"
import type { Dataset, Queries } from "./data.ts"
import type { Measured } from "./figure.ts"
import { inTurn } from "./scanning.ts"
import { datasets, type Setting } from "./setting.ts"
import { interleave, ratio } from "./timing.ts"

export const about = "mmr and minScore, against the same search without them"

const K = 10
const LAMBDA = 0.7
const UNCHANGED = "the same search without it"
const ASKED: ReadonlyArray<readonly [name: string, options: SearchOptions]> = [
  ["mmr", { mmr: {} }],
  ["mmr, fast", { mmr: { fast: true } }],
  ["mmr, fetchK 500", { mmr: { fetchK: 500 } }],
  ["minScore 0.85, k 1", { k: 1, minScore: 0.85 }],
  ["minScore 0.7, k 100", { k: 100, minScore: 0.7 }]
]

export async function* figures(setting: Setting): AsyncGenerator<Measured> {
  for await (const dataset of datasets(setting)) {
    await using db = await open(":memory:")
    const collection = await db.collection("diverse", { dimensions: dataset.dimensions })
    await addBase(collection, dataset)
    for (const queries of dataset.queries) {
      yield* times(collection, dataset, queries)
      const value = await objectiveRatio(collection, dataset, queries)
      yield { case: `objective of fast over exact mmr, ${queries.name}`, value, unit: "of exact" }
    }
  }
}

async function* times(collection: Collection, { dimensions }: Dataset, queries: Queries): AsyncGenerator<Measured> {
  for (const [name, options] of ASKED) {
    const turn = (asked: SearchOptions) =>
      inTurn(queries, dimensions, (query) => collection.search(query, { k: K, mode: "flat", ...asked }))
    const { k = K } = options
    const { plain, asked } = await interleave({ plain: turn({ k }), asked: turn(options) }, { rounds: 5, turnMs: 60 })
    const against = { against: UNCHANGED, ratio: ratio(asked, plain) }
    yield { case: `${name}, ${queries.name}, p50`, value: asked.p50, unit: "us", ...against }
  }
}

/** The sum of what each choice was worth when it was made, of fast choices over that of exact ones. */
const objectiveRatio = async (collection: Collection, { dimensions }: Dataset, queries: Queries): Promise<number> => {
  let exact = 0
  let fast = 0
  for (let i = 0; i < Math.min(queries.count, 100); i++) {
    const query = queries.vectors.subarray(i * dimensions, (i + 1) * dimensions)
    exact += await objective(collection, await collection.search(query, { k: K, mmr: { lambda: LAMBDA } }))
    fast += await objective(collection, await collection.search(query, { k: K, mmr: { lambda: LAMBDA, fast: true } }))
  }
  return fast / exact
}

const objective = async (collection: Collection, hits: ReadonlyArray<Hit>): Promise<number> => {
  const vectors = await Promise.all(hits.map(async ({ key }) => (await collection.get(key))!.vector!))
  const between = (a: number, b: number) => vectors[a]!.reduce((sum, x, i) => sum + x * vectors[b]![i]!, 0)
  return hits.reduce((total, { score }, place) => {
    const before = Array.from({ length: place }, (_, other) => between(place, other))
    return total + LAMBDA * score - (1 - LAMBDA) * (place === 0 ? 0 : Math.max(...before))
  }, 0)
}
