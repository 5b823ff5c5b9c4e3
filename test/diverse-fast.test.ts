/** What a fast choice of diverse hits is worth, beside the exact one. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { synsets } from "../examples/wordnet/glosses.ts"
import { type Metric, type MmrOptions, open, staticEmbedder } from "../src/index.ts"
import { randomVectors } from "./property/kernels/random.ts"

const DIMENSIONS = 384
const ROWS = 3000
const QUERIES = 6

type Vectors = ReadonlyArray<Float32Array>

const vectorsOf = (seed: number, count: number): Vectors => {
  const all = randomVectors(seed, count * DIMENSIONS)
  return Array.from({ length: count }, (_, i) => all.slice(i * DIMENSIONS, (i + 1) * DIMENSIONS))
}
const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, x, c) => sum + x * b[c]!, 0)
const unit = (vector: Float32Array): Float32Array => {
  const length = Math.sqrt(dot(vector, vector))
  return vector.map((x) => x / length)
}
const scoreOf: Readonly<Record<Metric, (a: Float32Array, b: Float32Array) => number>> = {
  cosine: dot,
  dot,
  l2: (a, b) => -a.reduce((sum, x, c) => sum + (x - b[c]!) ** 2, 0)
}
const mixed = (a: Float32Array, b: Float32Array, share: number): Float32Array => {
  const [x, y] = [unit(a), unit(b)]
  return unit(x.map((value, c) => value + share * y[c]!))
}

const inClusters = (seed: number, count: number, centres: number, spread: number): Vectors => {
  const middles = vectorsOf(99, centres)
  return vectorsOf(seed, count).map((vector, i) => mixed(middles[i % centres]!, vector, spread))
}

/** What is said of words: vectors as texts have them. */
const ofTexts = async (): Promise<Vectors> => {
  const glosses = (await synsets()).map(({ gloss }) => gloss)
  const every = Math.floor(glosses.length / (ROWS + QUERIES))
  const embedder = staticEmbedder()
  const texts = Array.from({ length: ROWS + QUERIES }, (_, i) => glosses[i * every]!)
  const all = await embedder.embed(texts)
  const d = embedder.dimensions
  return texts.map((_, i) => all.slice(i * d, (i + 1) * d))
}

/** Compares choices of `vectors`, one after another, when each was made. */
const withChoices = async (
  vectors: Vectors,
  metric: Metric,
  use: (worthOf: (queries: Vectors, k: number, mmr: MmrOptions) => Promise<number>) => Promise<void>
): Promise<void> => {
  await using db = await open(":memory:", { threads: 1 })
  const items = await db.collection("items", { dimensions: vectors[0]!.length, metric })
  const rows = metric === "cosine" ? vectors.map(unit) : vectors
  await items.addMany(rows.map((vector, i) => ({ key: `${i}`, vector })))
  await use(async (queries, k, mmr) => {
    let sum = 0
    for (const query of queries) {
      const hits = await items.search(query, { k, mode: "exact", mmr })
      assert.equal(new Set(hits.map(({ key }) => key)).size, k)
      const chosen = hits.map(({ key }) => rows[Number(key)]!)
      const { lambda = 1 } = mmr
      for (const [place, { score }] of hits.entries()) {
        const nearest = Math.max(...chosen.slice(0, place).map((other) => scoreOf[metric](other, chosen[place]!)))
        sum += lambda * score - (place === 0 ? 0 : (1 - lambda) * nearest)
      }
    }
    return sum
  })
}

/** Fails where a fast choice is worth less than 98 % of the exact one. */
const assertWorth = async (
  vectors: Vectors,
  queries: Vectors,
  asked: Asked,
  metric: Metric = "cosine"
): Promise<void> => {
  await withChoices(vectors, metric, async (worthOf) => {
    for (const fetchK of asked.fetchK) {
      for (const k of asked.k.filter((k) => k <= fetchK)) {
        for (const lambda of asked.lambda) {
          const exact = await worthOf(queries, k, { lambda, fetchK })
          const fast = await worthOf(queries, k, { lambda, fetchK, fast: true })
          // Where little is left of relevance, all that is chosen together may be worth less than nothing.
          const least = exact - 0.02 * Math.abs(exact)
          assert.ok(fast >= least, `${k} of ${fetchK}, lambda ${lambda}: ${fast} of ${exact}`)
        }
      }
    }
  })
}

interface Asked {
  readonly fetchK: ReadonlyArray<number>
  readonly k: ReadonlyArray<number>
  readonly lambda: ReadonlyArray<number>
}

const EVERY: Asked = { fetchK: [50, 65, 100, 200, 500, 1000], k: [2, 3, 10, 20, 50], lambda: [0.3, 0.5, 0.7, 0.9] }

describe("a fast choice is worth 98 % of the exact one, whatever is asked for,", () => {
  test("of vectors that are unlike one another", async () => {
    await assertWorth(vectorsOf(1, ROWS), vectorsOf(2, QUERIES), EVERY)
  })

  test("of vectors in clusters", async () => {
    await assertWorth(inClusters(3, ROWS, 40, 0.8), inClusters(4, QUERIES, 40, 0.8), EVERY)
    const many = { fetchK: [500, 1000], k: [100, 200], lambda: [0.5, 0.7, 0.8, 0.9] }
    await assertWorth(inClusters(3, ROWS, 40, 0.3), inClusters(4, QUERIES, 40, 0.3), many)
  })

  test("of vectors in clusters, asked for from outside of all of them", async () => {
    const asked = { fetchK: [100, 200, 500], k: [5, 10, 20], lambda: [0.7, 0.9] }
    for (const spread of [0.3, 0.8]) await assertWorth(inClusters(3, ROWS, 40, spread), vectorsOf(8, 20), asked)
    await assertWorth(inClusters(3, ROWS, 40, 0.4), vectorsOf(8, 20), asked, "l2")
  })

  test("of vectors in clusters whose lengths count", async () => {
    const rows = inClusters(3, ROWS, 40, 0.4).map((vector, i) => vector.map((x) => x * (0.5 + (i % 97) / 48)))
    const asked = { fetchK: [100, 200, 500], k: [5, 10, 20], lambda: [0.7, 0.9] }
    await assertWorth(rows, inClusters(4, 20, 40, 0.5), asked, "dot")
  })

  test("of texts", async () => {
    const all = await ofTexts()
    await assertWorth(all.slice(0, ROWS), all.slice(ROWS), EVERY)
  })

  test("where the nearest are copies of one another, which a floor of relevance alone would choose from", async () => {
    const nearCopies = async (seed: number, copies: number, spread: number, asked: Asked) => {
      const [query, other] = vectorsOf(seed, 2)
      const near = mixed(query!, other!, 0.6)
      const others = vectorsOf(seed + 2, 600).map((vector) => mixed(query!, vector, 1.2))
      const rows = [...vectorsOf(seed + 1, copies).map((vector) => mixed(near, vector, spread)), ...others]
      await assertWorth(rows, [query!], asked)
    }
    await nearCopies(5, 120, 0.05, { fetchK: [500], k: [10], lambda: [0.5, 0.7] })
    for (const seed of [10, 20, 30, 40, 50, 60])
      await nearCopies(seed, 40, 0.1, { fetchK: [80], k: [10], lambda: [0.7] })
  })
})
